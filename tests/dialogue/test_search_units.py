"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest

from rawlog.dialogue.search_units import duration, size


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1", 1_000_000),
        ("1.5s", 1_500_000),
        ("500ms", 500_000),
        ("20 us", 20),
        ("2m", 120_000_000),
        (".5h", 1800 * 10**6),
    ],
)
def test_durations(text: str, microseconds: int) -> None:
    assert duration(text) == microseconds


@pytest.mark.parametrize(("text", "count"), [("7", 7), ("10k", 10_000), ("4MB", 4_000_000), ("1.5 G", 1_500_000_000)])
def test_sizes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "s", "fast", "1 parsec", "-1s", "1s 2s", "1e3"])
def test_what_is_neither(text: str) -> None:
    assert duration(text) is None
    assert size(text) is None
