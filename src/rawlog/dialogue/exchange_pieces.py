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
from rawlog.dialogue.search_text import Hit, Scan
from rawlog.events import Chunk, Direction, Event
from rawlog.protocols.fragments import Fragment, Kind, Lane
from rawlog.protocols.framing import Framer
from rawlog.protocols.guess import guess_protocol

HEAD = 256
"""Bytes that are kept of what is no line: enough to recognise a command that is longer than a line may be."""

HELD_LIMIT = 16 * 1024 * 1024
"""So much of a client's side waits for the server to speak. Beyond it this is a recording of one side alone."""

LOOK = 20
"""Events that are looked at to see who is the client: a greeting and a command are among the first."""


@dataclass(slots=True)
class Piece:
    """A fragment with the times of its first and its last byte, in microseconds since the epoch, None if unknown.

    ``data`` is the line with its ending, or the first bytes of anything else; credentials in it are masked. ``hits``
    is what was looked for and found in it.
    """

    fragment: Fragment
    began: int | None
    ended: int | None
    data: bytes
    hits: list[Hit] | None = None

    @property
    def text(self) -> bytes:
        """A line without its ending."""
        return self.data.rstrip(b"\r\n")


class Pieces:
    """Cuts a conversation, chunk by chunk. ``keep`` is how many bytes of literals and messages are kept; ``scan``
    looks for texts."""

    def __init__(self, framer: Framer, *, keep: int = HEAD, scan: Scan | None = None) -> None:
        self.framer = framer
        self._scan = scan
        self._client = _Side(framer.client, keep, scan)
        self._server = _Side(framer.server, keep, scan)
        self._client_is = framer.client.direction

    def feed(self, chunk: Chunk) -> list[Piece]:
        """The pieces that this chunk completes, of either direction."""
        framer = self.framer
        if self._scan is not None:
            self._scan.append(chunk.direction, chunk.data)
        (self._client if chunk.direction is self._client_is else self._server).append(chunk)
        made = self._place(framer.feed(chunk.direction, chunk.data))
        if framer.client.held and framer.client.tape.size > HELD_LIMIT:
            made += self._place(framer.end(framer.server.direction))
        self._client.let_go()
        self._server.let_go()
        return made

    def end(self) -> list[Piece]:
        """The pieces of what was not complete, now that nothing follows."""
        ends = (self.framer.end(lane.direction) for lane in (self.framer.client, self.framer.server))
        return [piece for fragments in ends for piece in self._place(fragments)]

    def _place(self, fragments: Iterable[Fragment]) -> list[Piece]:
        client, server, client_is = self._client, self._server, self._client_is
        return [(client if f.direction is client_is else server).piece(f) for f in fragments]


class _Side:
    """The bytes and times of one direction, from the last piece on."""

    def __init__(self, lane: Lane, keep: int, scan: Scan | None) -> None:
        self._lane = lane
        self._scan = scan
        self._keep = keep
        self._end = 0
        self._chunks: deque[tuple[int, bytes]] = deque()  # where chunks begin, and what they hold
        self._times: deque[tuple[int, int | None]] = deque()  # where chunks begin, and their times
        self._kept: list[bytes] = []  # of the fragment under way, up to here:
        self._kept_to = 0
        self._room = keep

    def append(self, chunk: Chunk) -> None:
        if not self._times or self._times[-1][1] != chunk.at:
            self._times.append((self._end, chunk.at))
        self._chunks.append((self._end, chunk.data))
        self._end += len(chunk.data)

    def piece(self, fragment: Fragment) -> Piece:
        """The piece of a complete fragment; fragments come in the order of their offsets."""
        began = ended = self._times[0][1] if len(self._times) == 1 else self._time(fragment.start)
        if len(self._times) > 1:
            ended = self._time(fragment.end - 1)
        data = fragment.data if fragment.kind is Kind.LINE else self._beginning(fragment.end)
        self._kept_to = fragment.end
        hits = None if self._scan is None else self._scan.take(fragment.direction, fragment.end)
        return Piece(fragment, began, ended, masked(fragment, data) if fragment.secrets else data, hits)

    def let_go(self) -> None:
        """Forget what the framer has taken: all of what is complete, and of the rest most bytes and times."""
        lane, chunks = self._lane, self._chunks
        taken = lane.tape.start
        if taken > self._kept_to and not lane.undecided:
            self._keep_until(taken)
            self._time(lane.begin)
            if self._scan is not None:
                self._scan.thin(lane.direction, lane.begin, taken)
            while len(self._times) > 2 and self._times[2][0] < taken:
                del self._times[1]
        while chunks and chunks[0][0] + len(chunks[0][1]) <= self._kept_to:
            chunks.popleft()

    def _beginning(self, end: int) -> bytes:
        """The first bytes of the fragment that ends at ``end``."""
        self._keep_until(end)
        data, self._kept, self._room = b"".join(self._kept), [], self._keep
        return data

    def _keep_until(self, end: int) -> None:
        """Keep the bytes up to offset ``end``, as far as there is room."""
        for start, data in self._chunks:
            if start >= end or not self._room:
                break
            part = data[max(0, self._kept_to - start) : end - start][: self._room]
            if part:
                self._kept.append(part)
                self._room -= len(part)
        self._kept_to = end

    def _time(self, offset: int) -> int | None:
        times = self._times
        while len(times) > 1 and times[1][0] <= offset:
            times.popleft()
        return times[0][1] if times else None


def masked(fragment: Fragment, data: bytes) -> bytes:
    """``data``, with which the fragment begins, with its secrets masked."""
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
