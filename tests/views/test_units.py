"""Durations, sizes and moments as text."""

from __future__ import annotations

import time

import pytest

from rawlog.views.units import duration_text, iso_text, moment_text, size_text


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (None, ""),
        (0, "0 µs"),
        (999, "999 µs"),
        (1_000, "1.0 ms"),
        (9_949, "9.9 ms"),
        (9_950, "10 ms"),
        (999_499, "999 ms"),
        (999_500, "1.00 s"),
        (9_994_999, "9.99 s"),
        (9_995_000, "10.0 s"),
        (99_949_999, "99.9 s"),
        (99_950_000, "1m39s"),
        (3_599_999_999, "59m59s"),
        (3_725_000_000, "1h02m"),
        (180_000_000_000, "2d02h"),
    ],
)
def test_durations(microseconds: int | None, text: str) -> None:
    assert duration_text(microseconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (9_999, "9999"),
        (10_000, "10.0k"),
        (99_949, "99.9k"),
        (99_951, "100k"),
        (999_501, "1.0M"),
        (4_500_000_000, "4.5G"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size_text(count) == text
    assert len(text) <= 5


def test_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    assert moment_text(1795385217_426464) == "2026-11-23 00:06:57"
    assert moment_text(None) == ""
    assert moment_text(1 << 70) == "?"
    assert iso_text(1795385217_426464) == "2026-11-22T22:06:57.426464Z"
    assert iso_text(None) is iso_text(1 << 70) is None
    monkeypatch.undo()
    time.tzset()
