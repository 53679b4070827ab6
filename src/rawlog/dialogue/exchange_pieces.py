"""A conversation cut into its fragments, each with its times and the beginning of its bytes.

Knows: how the offsets of fragments lie over the chunks of a recording, and who is the client in it. Must not know:
commands and answers; that is what follows here (exchange.py). Of a literal or a message only the first bytes are kept,
so that a long one needs no memory; whoever wants all of it says how much that may be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from rawlog.dialogue.redact import MASK
from rawlog.events import Chunk, Direction, Event
from rawlog.protocols.fragments import Fragment, Kind, Lane
from rawlog.protocols.framing import Framer
from rawlog.protocols.guess import guess_protocol
from rawlog.protocols.tape import Tape

HEAD = 256
"""Bytes that are kept of what is no line: enough to recognise a command that is longer than a line may be."""

HELD_LIMIT = 16 * 1024 * 1024
"""So much of a client's side waits for the server to speak. Beyond it this is a recording of one side alone."""

LOOK = 20
"""Events that are looked at to see who is the client: a greeting and a command are among the first."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A fragment with the times of its first and its last byte, in microseconds since the epoch, None if unknown.

    ``data`` is the line with its ending, or the first bytes of anything else; credentials in it are masked.
    """

    fragment: Fragment
    began: int | None
    ended: int | None
    data: bytes

    @property
    def text(self) -> bytes:
        """A line without its ending."""
        return self.data.rstrip(b"\r\n")


class Pieces:
    """Cuts a conversation, chunk by chunk. ``keep`` is how many bytes of literals and messages are kept."""

    def __init__(self, framer: Framer, *, keep: int = HEAD) -> None:
        self.framer = framer
        self._sides = {direction: _Side(framer.lanes[direction], keep) for direction in Direction}

    def feed(self, chunk: Chunk) -> list[Piece]:
        """The pieces that this chunk completes, of either direction."""
        self._sides[chunk.direction].append(chunk)
        framer = self.framer
        made = self._place(framer.feed(chunk.direction, chunk.data))
        if framer.client.held and framer.client.tape.size > HELD_LIMIT:
            made += self._server_is_silent()
        for side in self._sides.values():
            side.pass_under_way()
        return made

    def end(self) -> list[Piece]:
        """The pieces of what was not complete, now that nothing follows."""
        return self._place(self.framer.end(self.framer.client.direction)) + self._server_is_silent()

    def _server_is_silent(self) -> list[Piece]:
        """The server says no more. Where it never spoke, the client's commands are those of somebody logged in:
        what is a login by its form is masked all the same, and more can't be known."""
        self.framer.authenticated |= not self.framer.server_spoke
        return self._place(self.framer.end(self.framer.server.direction))

    def _place(self, fragments: Iterable[Fragment]) -> list[Piece]:
        return [self._sides[fragment.direction].piece(fragment) for fragment in fragments]


class _Side:
    """The bytes and times of one direction, from the last piece on."""

    def __init__(self, lane: Lane, keep: int) -> None:
        self._lane = lane
        self._keep = keep
        self._tape = Tape()
        self._kept: list[bytes] = []  # of the fragment under way
        self._room = keep
        self._times: deque[tuple[int, int | None]] = deque()  # where chunks begin, and their times

    def append(self, chunk: Chunk) -> None:
        if not self._times or self._times[-1][1] != chunk.at:
            self._times.append((self._tape.end, chunk.at))
        self._tape.append(chunk.data)

    def piece(self, fragment: Fragment) -> Piece:
        """The piece of a complete fragment; fragments come in the order of their offsets."""
        began, ended = self._time(fragment.start), self._time(fragment.end - 1)
        size = fragment.end - self._tape.start
        if fragment.kind is Kind.LINE:
            self._tape.skip(size)
            return Piece(fragment, began, ended, masked(fragment, fragment.data))
        self._pass(size)
        data, self._kept, self._room = b"".join(self._kept), [], self._keep
        return Piece(fragment, began, ended, masked(fragment, data))

    def pass_under_way(self) -> None:
        """Let go of what the framer has taken of an incomplete fragment: most of its bytes, and the times between."""
        taken = self._lane.tape.start - self._tape.start
        if taken <= 0 or self._lane.undecided:
            return
        self._pass(taken)
        self._time(self._lane.begin)
        while len(self._times) > 2 and self._times[2][0] < self._tape.start:
            del self._times[1]

    def _pass(self, size: int) -> None:
        if self._room:
            part = self._tape.take(min(size, self._room))
            self._kept.append(part)
            self._room -= len(part)
            size -= len(part)
        self._tape.skip(size)

    def _time(self, offset: int) -> int | None:
        while len(self._times) > 1 and self._times[1][0] <= offset:
            self._times.popleft()
        return self._times[0][1] if self._times else None


def masked(fragment: Fragment, data: bytes) -> bytes:
    """``data``, with which the fragment begins, with its secrets masked."""
    if not fragment.secrets:
        return data
    text = bytearray(data)
    for start, end in fragment.secrets:
        a, b = start - fragment.start, end - fragment.start
        text[a:b] = text[a:b].translate(MASK)
    return bytes(text)


def who_is_client(events: Iterable[Event]) -> tuple[Direction, Iterator[Event]]:
    """Which direction is the client's, seen from the first events, and all events from the first one on."""
    seen: list[Event] = []
    heads = dict.fromkeys(Direction, b"")
    events = iter(events)
    protocol, client = None, Direction.IN
    while protocol is None and len(seen) < LOOK and (event := next(events, None)) is not None:
        seen.append(event)
        if isinstance(event, Chunk):
            heads[event.direction] += event.data
            protocol, client = guess_protocol(heads[Direction.IN], heads[Direction.OUT])
    return client, chain(seen, events)
