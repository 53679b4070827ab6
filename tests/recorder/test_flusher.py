"""The flusher: one timer, whoever is dirty."""

from __future__ import annotations

from rawlog.recorder.flusher import AT_ONCE, INTERVAL, Flusher
from tests.support.recording import Timers


class Note:
    """Counts its flushes; is done after ``needed`` of them."""

    def __init__(self, needed: int = 1) -> None:
        self.needed = needed
        self.flushed = 0

    def flush(self) -> bool:
        self.flushed += 1
        return self.flushed < self.needed


def test_one_timer_for_all() -> None:
    timers = Timers()
    flusher = Flusher(timers.call_later, now=timers.now)
    notes = [Note() for _ in range(5)]
    for note in notes:
        flusher.add(note)
        flusher.add(note)
    assert len(timers.armed) == 1
    timers.advance(INTERVAL - 0.01)
    assert not any(note.flushed for note in notes)
    timers.advance(0.02)
    assert [note.flushed for note in notes] == [1] * 5
    assert not timers.armed


def test_who_still_waits_is_asked_again() -> None:
    timers = Timers()
    flusher = Flusher(timers.call_later, now=timers.now)
    note = Note(needed=3)
    flusher.add(note)
    timers.advance(INTERVAL)
    assert (note.flushed, len(timers.armed)) == (1, 1)
    timers.advance(10 * INTERVAL)
    assert note.flushed == 3
    assert not timers.armed


def test_now() -> None:
    timers = Timers()
    flusher = Flusher(timers.call_later, now=timers.now)
    first, second = Note(needed=2), Note()
    flusher.add(first)
    flusher.add(second)
    flusher.flush()
    assert (first.flushed, second.flushed) == (1, 1)
    timers.advance(INTERVAL)
    assert (first.flushed, second.flushed) == (2, 1)
    timers.advance(INTERVAL)
    assert not timers.armed


def test_many_write_in_turns_and_others_have_theirs_in_between() -> None:
    timers = Timers()
    flusher = Flusher(timers.call_later, now=timers.now)
    notes = [Note() for _ in range(2 * AT_ONCE + 1)]
    late = Note()
    for note in notes:
        flusher.add(note)
    seen: list[int] = []

    def look() -> None:
        seen.append(sum(note.flushed for note in notes))
        flusher.add(late)
        if len(seen) < 3:
            timers.call_later(0.0, look)

    timers.call_later(INTERVAL, look)
    timers.advance(INTERVAL)
    assert seen == [AT_ONCE, 2 * AT_ONCE, len(notes)]
    assert [note.flushed for note in notes] == [1] * len(notes)
    assert late.flushed == 0
    timers.advance(INTERVAL)
    assert late.flushed == 1
    assert not timers.armed


def test_now_means_also_those_whose_turn_has_not_come() -> None:
    timers = Timers()
    flusher = Flusher(timers.call_later, now=timers.now)
    notes = [Note() for _ in range(AT_ONCE + 3)]
    for note in notes:
        flusher.add(note)
    seen: list[int] = []

    def now() -> None:
        flusher.flush()
        seen.extend(note.flushed for note in notes)

    timers.call_later(INTERVAL, now)
    timers.advance(10 * INTERVAL)
    assert seen == [1] * len(notes)
    assert [note.flushed for note in notes] == [1] * len(notes)
    assert not timers.armed
