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
    """``size`` bytes that are not shown."""

    at: int | None
    direction: Direction
    kind: Kind
    size: int


def fold(events: Iterable[Event], framer: Framer | None, *, bodies: bool = False) -> Iterator[Line | Fold | Mark]:
    """The conversation line by line. With ``bodies`` nothing is folded. Without a framer everything is plain lines.

    Nothing is lost: all lines and folds of one direction together are its bytes.
    """
    strips = {direction: _Strip(direction) for direction in Direction}
    for event in events:
        if isinstance(event, Mark):
            yield event
            continue
        strip = strips[event.direction]
        strip.append(event)
        if framer is None:
            yield from strip.lines(strip.tape.size, body=False)
            continue
        yield from _place(framer.feed(event.direction, event.data), strips, bodies)
        if framer.client.held and strips[framer.client.direction].tape.size > HELD_LIMIT:
            yield from _place(framer.end(framer.server.direction), strips, bodies)
        yield from _under_way(framer, strips, bodies)
    if framer is not None:
        for direction in (framer.client.direction, framer.server.direction):
            yield from _place(framer.end(direction), strips, bodies)
    for strip in strips.values():
        yield from strip.lines(strip.tape.size, body=False)
        yield from strip.last_line(body=False)


class _Strip:
    """The bytes of one direction that are not shown yet, with their times."""

    def __init__(self, direction: Direction) -> None:
        self.direction = direction
        self.tape = Tape()
        self.folded: tuple[int | None, int] | None = None  # time and size of what is folded of the fragment under way
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
        at, folded = self.folded or (self.time(), 0)
        self.folded = at, folded + self.tape.skip(size)


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
            at, size = strip.folded or (None, 0)
            strip.folded = None
            yield Fold(at, fragment.direction, fragment.kind, size)


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
