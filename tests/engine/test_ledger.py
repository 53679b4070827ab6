"""The shared memory: what counts after any store, seen by another process that maps the same memory."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from rawlog.engine.ledger import BLOB, DONE, INLINE, LARGE, LIVE, READ_MAX, SMALL, Journal, Ledger
from rawlog.engine.pipes import why_not
from rawlog.events import Direction

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"no shared memory: {why_not()}")

Look = Callable[[int], Journal]


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger(4, smalls=1, larges=1)
    made.clear(1)
    return made


@pytest.fixture
def successor(ledger: Ledger) -> Look:
    """A journal as another process would see it."""
    return lambda slot: Journal(Ledger(4, ledger.fd, smalls=1, larges=1), slot)


def put(journal: Journal, data: bytes, side: int = 0, at: int = 5) -> None:
    room = journal.room()
    assert room is not None
    journal.begin(side)
    room[: len(data)] = data
    journal.commit(at, side, len(data))


def contents(journal: Journal) -> list[tuple[int, Direction, bytes]]:
    return [(at, direction, bytes(data)) for at, direction, data, _ in journal.pieces()]


def test_what_is_committed_is_seen_by_a_successor_and_what_is_not_is_not(ledger: Ledger, successor: Look) -> None:
    journal = Journal(ledger, 1)
    put(journal, b"abc", at=7)
    put(journal, b"x" * 9, side=1, at=8)
    room = journal.room()
    assert room is not None
    room[:4] = b"lost"
    assert contents(successor(1)) == [(7, Direction.IN, b"abc"), (8, Direction.OUT, b"x" * 9)]


def test_a_turn_that_was_begun_is_not_recorded_until_its_commit(ledger: Ledger, successor: Look) -> None:
    journal = Journal(ledger, 1)
    put(journal, b"abc", side=1)
    journal.begin(0)
    assert not successor(1).recorded(0)
    assert successor(1).recorded(1)
    journal.commit(1, 0, 3)
    assert successor(1).recorded(0)
    journal.skip(0)
    assert successor(1).recorded(0)


def test_a_settled_journal_is_empty_and_its_checkpoint_counts(ledger: Ledger, successor: Look) -> None:
    journal = Journal(ledger, 1)
    put(journal, b"abc")
    put(journal, b"def")
    first = next(journal.pieces())[3]
    journal.settle(first, (3, 0), b"half")
    assert contents(successor(1)) == [(5, Direction.IN, b"def")]
    assert successor(1).checkpoint().state == b"half"
    journal.settle(journal.end, (6, 0), b"s" * (INLINE + 1))
    assert successor(1).used == 0
    assert successor(1).area is None
    assert successor(1).checkpoint().sizes == (6, 0)
    assert successor(1).checkpoint().state == b"s" * (INLINE + 1)


def test_a_state_that_is_too_long_changes_nothing(ledger: Ledger, successor: Look) -> None:
    journal = Journal(ledger, 1)
    put(journal, b"abc")
    with pytest.raises(ValueError, match="limit"):
        journal.settle(journal.end, (1, 1), b"s" * (BLOB + 1))
    assert contents(successor(1)) == [(5, Direction.IN, b"abc")]


def fill(journal: Journal) -> None:
    while (room := journal.room()) is not None:
        put(journal, b"y" * len(room))


def test_a_journal_is_due_when_it_is_long_and_has_no_room_at_its_end(ledger: Ledger) -> None:
    journal = Journal(ledger, 1)
    put(journal, b"x" * (SMALL // 4))
    assert not journal.due
    put(journal, b"x" * (SMALL // 4))
    assert journal.due
    fill(journal)
    assert SMALL - 16 <= journal.used <= SMALL
    journal.lose(1, 77)
    assert journal.holed
    assert journal.lost == (0, 77)


def test_who_moves_much_gets_a_large_area_and_who_is_quiet_again_a_small_one(ledger: Ledger) -> None:
    journal = Journal(ledger, 1)
    fill(journal)
    journal.settle(journal.end, (1, 0), b"")
    fill(journal)
    assert LARGE - READ_MAX < journal.used <= LARGE
    journal.settle(journal.end, (2, 0), b"")
    put(journal, b"quiet")
    journal.settle(journal.end, (2, 0), b"")
    fill(journal)
    assert journal.used <= SMALL


def test_areas_are_reclaimed_when_all_are_taken(ledger: Ledger) -> None:
    for slot in (0, 2):
        ledger.clear(slot)
    first, second, third = (Journal(ledger, slot) for slot in range(3))
    put(first, b"1")
    put(second, b"2")
    assert third.room() is None
    ledger.reclaim = lambda: first.settle(first.end, (1, 0), b"")
    put(third, b"3")
    assert contents(third) == [(5, Direction.IN, b"3")]
    assert contents(second) == [(5, Direction.IN, b"2")]


def test_a_cleared_slot_has_nothing_of_its_predecessor(ledger: Ledger) -> None:
    journal = Journal(ledger, 1)
    put(journal, b"abc")
    journal.settle(journal.end, (9, 9), b"state")
    ledger.set_silent(1, 2)
    ledger.set_state(1, DONE)
    ledger.clear(1)
    assert (ledger.state(1), ledger.silent(1)) == (LIVE, 0)
    assert Journal(ledger, 1).checkpoint().sizes == (0, 0)
    assert Journal(ledger, 1).checkpoint().state == b""


def test_owners_and_the_slot_in_work_are_seen_by_others(ledger: Ledger) -> None:
    other = Ledger(4, os.dup(ledger.fd), smalls=1, larges=1)
    ledger.own(3, 2 * 1 + 1 + 1)
    ledger.work_on(1)
    assert other.owner(3) == (1, Direction.OUT)
    assert other.owner(2) is None
    assert other.current == 1
    ledger.work_on(None)
    assert other.current is None
