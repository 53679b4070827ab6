"""From the bytes of a leg to what is written down: credentials masked at equal length, COMPRESS inflated.

Knows: a Framer, which says what is secret and up to where that is decided, and zlib. Must not know: where the result
goes. Bytes wait here only until it is known whether they are secret: at most an unfinished line of the client before
login, or what a client sent ahead of an answer. The wire never waits for this.

Lengths stay equal so that literals' sizes, offsets and the protocol itself stay true. That shows how long a secret was.
"""

from __future__ import annotations

import zlib
from collections import deque

from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.protocols.framing import Framer, Span, Switch

MASK = bytes(c if c in b"\r\n" else ord("X") for c in range(256))  # X is valid in an atom, in quotes, in base64
INFLATE_STEP = 64 * 1024  # the most that one step of inflating may give
BOMB_RATIO = 100  # more than this after BOMB_FREE bytes is no mail
BOMB_FREE = 1024 * 1024


class Masker:
    """Takes the chunks of one leg, gives the events to record. With ``keep`` nothing is masked.

    The framer must be made with ``wire_compressed=True`` when the leg carries COMPRESS as it is on the wire.
    """

    def __init__(self, framer: Framer, *, keep: bool = False) -> None:
        self.framer = framer
        self._keep = keep
        self._lanes = {direction: _Lane() for direction in Direction}

    def chunk(self, at: int, direction: Direction, data: bytes) -> list[Event]:
        """The next bytes of one direction; gives what may be recorded now, of both directions."""
        events: list[Event] = []
        self._take(at, direction, data, events)
        if self.framer.switch is Switch.COMPRESS:
            self._start_inflating(at, events)
        self._settle(events)
        return events

    def end(self, direction: Direction) -> list[Event]:
        """The direction has ended; gives what was waiting."""
        events: list[Event] = []
        self.framer.end(direction)
        self._settle(events)
        return events

    def _take(self, at: int, direction: Direction, data: bytes, events: list[Event]) -> None:
        lane = self._lanes[direction]
        if lane.inflater is not None:
            data = lane.inflater.inflate(at, direction, data, events)
        if data:
            lane.waiting.append((at, data))
            self.framer.feed(direction, data)

    def _start_inflating(self, at: int, events: list[Event]) -> None:
        rests = {direction: self.framer.take_rest(direction) for direction in Direction}
        for direction, rest in rests.items():
            self._lanes[direction].forget(len(rest))
            self._lanes[direction].inflater = _Inflater()
        self.framer.resume()
        events.append(Mark(at, "compress", {"algorithm": "DEFLATE"}))
        for direction, rest in rests.items():
            if rest:
                self._take(at, direction, rest, events)

    def _settle(self, events: list[Event]) -> None:
        for direction, lane in self._lanes.items():
            if not lane.waiting and not lane.spans:
                continue
            found = self.framer.take_secrets(direction)
            if found and not self._keep:
                lane.learn(found)
            lane.release(self.framer.settled(direction), direction, events)


class _Lane:
    """What waits in one direction, and the secrets known in it."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, bytes]] = deque()
        self.offset = 0  # of the first byte that waits
        self.spans: list[Span] = []
        self.inflater: _Inflater | None = None

    def learn(self, spans: list[Span]) -> None:
        for span in spans:
            # A span with a start that is known already says where an endless one ended.
            self.spans = [known for known in self.spans if known[0] != span[0]]
            self.spans.append(span)

    def forget(self, count: int) -> None:
        """Drop the last ``count`` bytes that wait."""
        while count:
            at, data = self.waiting.pop()
            if len(data) > count:
                self.waiting.append((at, data[:-count]))
            count -= min(count, len(data))

    def release(self, settled: int, direction: Direction, events: list[Event]) -> None:
        while self.waiting and self.offset < settled:
            at, data = self.waiting.popleft()
            if self.offset + len(data) > settled:
                cut = settled - self.offset
                self.waiting.appendleft((at, data[cut:]))
                data = data[:cut]
            end = self.offset + len(data)
            events.append(Chunk(at, direction, self._masked(data, end) if self.spans else data))
            self.offset = end

    def _masked(self, data: bytes, end: int) -> bytes:
        begin = self.offset
        for start, stop in self.spans:
            a, b = max(start, begin) - begin, min(stop, end) - begin
            if a < b:
                data = data[:a] + data[a:b].translate(MASK) + data[b:]
        self.spans = [span for span in self.spans if span[1] > end]
        return data


class _Inflater:
    """RFC 1951 of one direction. What can't be inflated, or grows beyond all measure, is left out with a mark."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        self._taken = 0
        self._given = 0
        self._broken = False

    def inflate(self, at: int, direction: Direction, data: bytes, events: list[Event]) -> bytes:
        if self._broken:
            return b""
        self._taken += len(data)
        parts = []
        try:
            while data:
                parts.append(self._zlib.decompress(data, INFLATE_STEP))
                self._given += len(parts[-1])
                data = self._zlib.unconsumed_tail
                if self._given > BOMB_FREE and self._given > BOMB_RATIO * self._taken:
                    raise zlib.error(f"more than {BOMB_RATIO} times its size")
        except zlib.error as error:
            self._broken = True
            cause = f"compressed data cannot be inflated, the rest is not recorded: {error}"
            events.append(Mark(at, "gap", {"direction": direction.value, "cause": cause}))
        return b"".join(parts)
