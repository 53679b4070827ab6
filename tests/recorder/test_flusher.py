"""The flusher: one timer, whoever is dirty."""

from __future__ import annotations

from rawlog.recorder.flusher import INTERVAL, Flusher
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
