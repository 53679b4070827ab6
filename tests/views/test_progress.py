"""A line that says how far it is."""

from __future__ import annotations

import io

import pytest

from rawlog.views import progress as module
from rawlog.views.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_long_work_has_a_line_that_goes_away(clock: list[float]) -> None:
    stream = Terminal()
    with Progress(stream, "reading") as progress:
        progress(1, 4000)
        assert stream.getvalue() == ""
        clock[0] += 1.5
        progress(2000, 4000)
        progress(2001, 4000)
        assert stream.getvalue() == "\r\x1b[Kreading [############            ] 2,000 of 4,000"
    assert stream.getvalue().endswith("\r\x1b[K")


def test_quick_work_has_none(clock: list[float]) -> None:
    stream = Terminal()
    with Progress(stream, "reading") as progress:
        progress(1, 1)
    assert stream.getvalue() == ""


def test_where_there_is_no_terminal_there_is_none(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress(stream, "reading") as progress:
        clock[0] += 9
        progress(1, 2)
    assert stream.getvalue() == ""


def test_of_nothing_all_is_done(clock: list[float]) -> None:
    stream = Terminal()
    progress = Progress(stream, "reading")
    clock[0] += 9
    progress(0, 0)
    assert "[########################] 0 of 0" in stream.getvalue()
