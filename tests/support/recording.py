"""Things a recorder leans on, made to fail at will: a sink, a timer, an encoder; and a recorder with all of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from rawlog.events import Direction, Mark
from rawlog.formats.base import Encoder
from rawlog.recorder.limits import Limit
from rawlog.recorder.recorder import Flusher, Recorder


class Timers:
    """An event loop's timers and clock, moved by hand. ``call_later`` and ``now`` are what a Flusher wants."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.armed: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.time

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.armed.append((self.time + seconds, callback))

    def advance(self, seconds: float) -> None:
        """Lets time pass, and calls what becomes due on the way, in order."""
        end = self.time + seconds
        while due := [entry for entry in self.armed if entry[0] <= end]:
            entry = min(due, key=lambda entry: entry[0])
            self.armed.remove(entry)
            self.time = entry[0]
            entry[1]()
        self.time = end


class FaultySink:
    """Keeps bytes as a memory sink does, and fails at the calls of ``write`` it is told: the first is number 1.

    A failing call takes ``taken`` bytes before it raises ``error``. ``room`` bounds the bytes it holds: a small disk.
    """

    def __init__(
        self,
        failing: Collection[int] = (),
        *,
        taken: int = 0,
        room: int | None = None,
        error: Exception | None = None,
        name: str = "/raw/x.in",
    ) -> None:
        self.name = name
        self.written = 0
        self.data = bytearray()
        self.calls = 0
        self.closed = 0
        self.failing = failing
        self.taken = taken
        self.room = room
        self.error = error or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(self, *pieces: bytes) -> None:
        self.calls += 1
        data = b"".join(pieces)
        limit = self.taken if self.calls in self.failing else len(data)
        if self.room is not None:
            limit = min(limit, self.room - len(self.data))
        self.data += data[:limit]
        self.written += len(data[:limit])
        if limit < len(data) or self.calls in self.failing:
            raise self.error

    def close(self) -> None:
        self.closed += 1


class PlainEncoder:
    """Writes the bytes as they are, so that a test can count them; marks as ``{name}`` when it has any."""

    def __init__(self, *, single: bool = False, marks: bool = False) -> None:
        self.single = single
        self._marks = marks

    def chunk(self, at: int | None, direction: Direction, data: bytes) -> bytes:
        return data

    def mark(self, mark: Mark) -> bytes:
        if not self._marks:
            return b""
        detail = ",".join(f"{name}={value}" for name, value in mark.detail.items())
        return f"{{{mark.name}:{detail}}}".encode()

    def end(self, direction: Direction) -> bytes:
        return b""


class Desk:
    """A recorder with everything around it."""

    def __init__(
        self,
        encoder: Encoder | None = None,
        sinks: Mapping[Direction, Any] | None = None,
        *,
        limit: Limit | None = None,
    ) -> None:
        self.timers = Timers()
        self.reports: list[str] = []
        self.sinks = sinks or {direction: FaultySink(name=f"/raw/x.{direction.value}") for direction in Direction}
        self.recorder = Recorder(
            encoder or PlainEncoder(),
            self.sinks,
            name="imap alice s1",
            report=self.reports.append,
            flusher=Flusher(self.timers.call_later, now=self.timers.now),
            limit=limit,
        )
        self.chunk = self.recorder.chunk

    def data(self, direction: Direction) -> bytes:
        return bytes(self.sinks[direction].data)

    def counts(self) -> tuple[int, ...]:
        """Recorded in and out, lost in and out, gaps."""
        stats = self.recorder.stats
        return *(stats.recorded[d] for d in Direction), *(stats.lost[d] for d in Direction), stats.gaps
