"""Gaps: what is missing, said so that a person and a program can read it."""

from __future__ import annotations

from rawlog.events import Direction, Mark
from rawlog.recorder.gap import Gap, begin_line, gap_line, utc

T = 1795385217427810


def test_line() -> None:
    assert gap_line(1234, T, T + 1_572_190, "No space left on device") == (
        b"[rawlog: 1234 bytes not recorded from 2026-11-22T22:06:57.427810Z to 2026-11-22T22:06:59.000000Z: "
        b"No space left on device]\r\n"
    )
    assert gap_line(1, None, None, "x") == b"[rawlog: 1 bytes not recorded from ? to ?: x]\r\n"
    assert begin_line("limit") == b"[rawlog: not recorded from here on: limit]\r\n"


def test_counts_by_direction() -> None:
    gap = Gap("No space left on device", T, T)
    gap.add(T, Direction.IN, 10)
    gap.add(T + 1, Direction.OUT, 500)
    gap.add(T + 2, Direction.IN, 1)
    assert gap.mark() == Mark(
        T + 2,
        "gap",
        {"cause": "No space left on device", "in": "11", "out": "500", "from": utc(T), "to": utc(T + 2)},
    )
    assert gap.line(Direction.IN) == gap_line(11, T, T + 2, "No space left on device")
    assert gap.line(Direction.OUT) == gap_line(500, T, T + 2, "No space left on device")


def test_utc() -> None:
    assert utc(0) == "1970-01-01T00:00:00.000000Z"
    assert utc(T) == "2026-11-22T22:06:57.427810Z"
    assert utc(None) == "?"
