"""The numbers fit together."""

from __future__ import annotations

from rawlog.engine import bounds


def test_reads_grow_from_the_first_to_the_largest() -> None:
    assert bounds.READ_FIRST < bounds.READ_AFTER_STALL < bounds.READ_MAX == bounds.DEFAULT_LIMITS.read_max


def test_a_side_is_given_up_later_than_it_is_looked_at() -> None:
    assert bounds.LAST_LOOK < bounds.DEFAULT_LIMITS.drain < bounds.DEFAULT_LIMITS.stall
