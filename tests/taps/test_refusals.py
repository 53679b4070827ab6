"""Lines about refused clients: the first at once, the others as a number once a minute."""

from __future__ import annotations

from rawlog.taps.refusals import AGAIN, Refusals
from tests.support.table import ModelLoop


def test_the_first_is_told_and_the_others_are_counted() -> None:
    loop, told = ModelLoop(), list[str]()
    refusals = Refusals(loop, told.append)  # type: ignore[arg-type]
    for number in range(1000):
        refusals.tell("limit", f"client {number} is refused")
    refusals.tell("other", "too much of it")
    assert told == ["client 0 is refused", "too much of it"]
    loop.advance(AGAIN)
    assert told[2:] == ["limit: 999 more refused in the last 60 s"]
    assert refusals.counts == {"limit": 1000, "other": 1}


def test_a_flood_goes_on_being_told() -> None:
    loop, told = ModelLoop(), list[str]()
    refusals = Refusals(loop, told.append)  # type: ignore[arg-type]
    refusals.tell("limit", "first")
    refusals.tell("limit", "second")
    loop.advance(AGAIN)
    refusals.tell("limit", "third")
    loop.advance(AGAIN)
    assert told == ["first", "limit: 1 more refused in the last 60 s", "limit: 1 more refused in the last 60 s"]
    loop.advance(AGAIN)
    refusals.tell("limit", "after a quiet minute")
    assert told[3:] == ["after a quiet minute"]
