"""A recording as lines, with literals and message bodies folded away or laid open.

Knows: how the fragments of a Framer lie over the chunks of a recording, and when each line began. Must not know: how
lines are shown. What is folded is counted and forgotten at once, so that a long body needs no memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.protocols.fragments import Fragment, Kind, Mode
from rawlog.protocols.framing import Framer
from rawlog.protocols.tape import Tape

LINE_LIMIT = 64 * 1024
"""A longer line of a body, or of an unknown protocol, is given in pieces."""

HELD_LIMIT = 16 * 1024 * 1024
"""So much of a client's side waits for the server to speak. Beyond it this is a recording of one side alone."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its ending, or what there is of it. ``at`` is the time of its first byte.

    ``body`` says that it is part of a literal, of a dot block or of something not understood.
    """

    at: int | None
    direction: Direction
    data: bytes
    body: bool = False


@dataclass(frozen=True, slots=True)
class Fold:
    """``size`` bytes that are not shown. ``data`` are these bytes where they were to be kept, and are not too many."""

    at: int | None
    direction: Direction
    kind: Kind
    size: int
    data: bytes | None = None


Item = Line | Fold | Mark


def fold(events: Iterable[Event], framer: Framer | None, *, bodies: bool = False, keep: int = 0) -> Iterator[Item]:
    """The conversation line by line. With ``bodies`` nothing is folded. Without a framer everything is plain lines.

    Nothing is lost: all lines and folds of one direction together are its bytes. What is folded is kept up to ``keep``
    bytes each.
    """
    folder = Folder(framer, bodies=bodies, keep=keep)
    for event in events:
        yield from folder.feed(event)
    yield from folder.end()


class Folder:
    """The same, event by event."""

    def __init__(self, framer: Framer | None, *, bodies: bool = False, keep: int = 0) -> None:
        self._framer = framer
        self._bodies = bodies
        self._strips = {direction: _Strip(direction, keep) for direction in Direction}

    def feed(self, event: Event) -> Iterator[Item]:
        """What this event completes. It must be taken to its end."""
        if isinstance(event, Mark):
            yield event
            return
        framer, strips = self._framer, self._strips
        strip = strips[event.direction]
        strip.append(event)
        if framer is None:
            yield from strip.lines(strip.tape.size, body=False)
            return
        yield from _place(framer.feed(event.direction, event.data), strips, self._bodies)
        if framer.client.held and strips[framer.client.direction].tape.size > HELD_LIMIT:
            yield from _place(framer.end(framer.server.direction), strips, self._bodies)
        yield from _under_way(framer, strips, self._bodies)

    def end(self) -> Iterator[Item]:
        """What was not complete, now that nothing follows."""
        if self._framer is not None:
            for direction in (self._framer.client.direction, self._framer.server.direction):
                yield from _place(self._framer.end(direction), self._strips, self._bodies)
        for strip in self._strips.values():
            yield from strip.lines(strip.tape.size, body=False)
            yield from strip.last_line(body=False)


class _Strip:
    """The bytes of one direction that are not shown yet, with their times."""

    def __init__(self, direction: Direction, keep: int) -> None:
        self.direction = direction
        self.tape = Tape()
        self._keep = keep
        self._kept: list[bytes] = []
        self._folded_at: int | None = None
        self._folded = 0  # so many bytes of the fragment under way
        self._times: deque[tuple[int, int | None]] = deque()
        self._line = b""
        self._line_at: int | None = None

    def append(self, chunk: Chunk) -> None:
        self._times.append((self.tape.end, chunk.at))
        self.tape.append(chunk.data)

    def time(self) -> int | None:
        """The time of the next byte."""
        while len(self._times) > 1 and self._times[1][0] <= self.tape.start:
            self._times.popleft()
        return self._times[0][1] if self._times else None

    def lines(self, size: int, *, body: bool) -> Iterator[Line]:
        """The next ``size`` bytes as lines; an unfinished last one waits for more."""
        end = self.tape.start + size
        while self.tape.start < end:
            if not self._line:
                self._line_at = self.time()
            length = min(self.tape.line_length() or LINE_LIMIT, LINE_LIMIT, end - self.tape.start)
            self._line += self.tape.take(length)
            if self._line.endswith(b"\n") or len(self._line) >= LINE_LIMIT:
                yield from self.last_line(body=body)

    def last_line(self, *, body: bool) -> Iterator[Line]:
        """The line that waits, now that nothing follows."""
        if self._line:
            yield Line(self._line_at, self.direction, self._line, body)
            self._line = b""

    def drop(self, size: int) -> None:
        """The next ``size`` bytes are folded."""
        if not self._folded:
            self._folded_at = self.time()
        if self._folded + size <= self._keep:
            self._kept.append(self.tape.peek(size))
        self._folded += self.tape.skip(size)

    def fold(self, kind: Kind) -> Fold:
        """All that was folded."""
        data = b"".join(self._kept) if self._folded <= self._keep else None
        made = Fold(self._folded_at, self.direction, kind, self._folded, data)
        self._folded, self._kept = 0, []
        return made


def _place(fragments: Iterable[Fragment], strips: dict[Direction, _Strip], bodies: bool) -> Iterator[Line | Fold]:
    """The fragments that are complete."""
    for fragment in fragments:
        strip = strips[fragment.direction]
        rest = fragment.end - strip.tape.start
        if fragment.kind is Kind.LINE:
            yield Line(strip.time(), fragment.direction, strip.tape.take(rest))
        elif bodies:
            yield from strip.lines(rest, body=True)
            yield from strip.last_line(body=True)
        else:
            strip.drop(rest)
            yield strip.fold(fragment.kind)


def _under_way(framer: Framer, strips: dict[Direction, _Strip], bodies: bool) -> Iterator[Line]:
    """What is there of bodies that are not complete yet."""
    for direction, strip in strips.items():
        lane = framer.lanes[direction]
        here = lane.tape.start - strip.tape.start
        if lane.mode is Mode.LINES or not here:
            continue
        if bodies:
            yield from strip.lines(here, body=True)
        else:
            strip.drop(here)
