"""The column of times."""

from __future__ import annotations

import time

import pytest

from rawlog.views.time_column import WIDTHS, TimeColumn

AT = 1795385217_426464


def test_relative_times_count_from_the_start_whether_it_was_shown_or_not() -> None:
    column = TimeColumn("relative")
    column.begin(AT - 2_500_000)
    column.begin(AT)
    assert column.show(AT) == "     2.500 "
    assert TimeColumn("relative").show(AT) == "     0.000 "


def test_wall_times_and_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    column = TimeColumn("wall")
    assert column.show(AT) == "22:06:57.426 "
    days = [list(column.new_day(AT + hours * 3_600_000_000)) for hours in (0, 1, 2)]
    assert days == [["-- 2026-11-22 +0000"], [], ["-- 2026-11-23 +0000"]]
    assert list(column.new_day(None)) == []
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("kind", ["wall", "relative", "none"])
def test_it_is_always_of_the_same_width(kind: str) -> None:
    column = TimeColumn(kind)  # type: ignore[arg-type]
    assert {len(column.show(at)) for at in (None, AT, AT + 5_000_000)} == {WIDTHS[kind]}
