"""Moments as people say them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from rawlog.errors import ConfigError
from rawlog.views.when import When

START = 1795385217_000000  # 2026-11-22 22:06:57 UTC
SECOND = 1_000_000


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-22T22:06:57", START),
        ("2026-11-22 22:06:57.5", START + SECOND // 2),
        ("2026-11-22T23:06:57+01:00", START),
        ("2026-11-22", START - (22 * 3600 + 6 * 60 + 57) * SECOND),
        ("22:07", START + 3 * SECOND),
        ("22:06:58.25", START + 5 * SECOND // 4),
        ("+12.5", START + 25 * SECOND // 2),
        ("+3s", START + 3 * SECOND),
        ("-2h", START + 500 * SECOND - 7200 * SECOND),
        ("00:30", START + (2 * 3600 + 23 * 60 + 3) * SECOND),
        ("21:00", START - (3600 + 6 * 60 + 57) * SECOND),
    ],
)
def test_forms(text: str, at: int) -> None:
    assert When(text, now=START + 500 * SECOND).at(START) == at


def test_where_nobody_knows_when_a_recording_began() -> None:
    assert When("10:45").at(None) is None
    assert When("+1").at(None) is None
    assert When("2026-11-22T22:06:57").at(None) == START


@pytest.mark.parametrize("text", ["", "noon", "25:00", "2026-13-01", "-soon", "+x"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ConfigError, match="is no moment: use a date and time"):
        When(text)
