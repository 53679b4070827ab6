"""From the bytes of a leg to what is written down: credentials masked at equal length, COMPRESS inflated.

Knows: a Framer, which says what is secret and up to where that is decided, and an inflater. Must not know: where the
result goes. Bytes wait here only until it is known whether they are secret: at most an unfinished line of the client
before login, or what a client sent ahead of an answer. The wire never waits for this.

Lengths stay equal so that literals' sizes, offsets and the protocol itself stay true. That shows how long a secret was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from rawlog.dialogue.inflate import InflateError, Inflater
from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.protocols.framing import Fragment, Framer, Span, Switch
from rawlog.protocols.tape import Tape

MASK = bytes(c if c in b"\r\n" else ord("X") for c in range(256))  # X is valid in an atom, in quotes, in base64
STAMPS_LIMIT = 1000  # reads that are kept apart while they wait; further ones are joined, so that bytes cost no more


class Masker:
    """Takes the chunks of one leg, gives the events to record. With ``keep`` nothing is masked.

    The framer must be made with ``wire_compressed=True`` when the leg carries COMPRESS as it is on the wire. With a
    ``ResumableInflater`` as ``inflater`` a masker can be pickled at any time.
    """

    def __init__(self, framer: Framer, *, keep: bool = False, inflater: type[Inflater] = Inflater) -> None:
        self.framer = framer
        self._inflater = inflater
        self._lanes = {direction: _Lane(direction, keep=keep) for direction in Direction}
        # Only what is compressed has to wait for its meaning when nothing is masked.
        self._waits = not keep or framer.wire_compressed
        self._at: int | None = None  # the time of the last read

    def chunk(self, at: int | None, direction: Direction, data: bytes) -> list[Event]:
        """The next bytes of one direction, never none; gives what may be recorded now, of both directions."""
        if self._lanes[direction].inflater is not None:
            return list(self.steps(at, direction, data))
        events = self._take(at, direction, data)
        return events if self.framer.switch is None else [*events, *self._switched()]

    def steps(self, at: int | None, direction: Direction, data: bytes) -> Iterator[Event]:
        """As ``chunk``, one after the other: what is compressed 1000:1 never lies in memory as a whole.

        The iterator must be taken to its end.
        """
        inflater = self._lanes[direction].inflater
        if inflater is None:
            yield from self._take(at, direction, data)
            yield from self._switched()
            return
        try:
            for piece in inflater.inflate(data):
                yield from self._take(at, direction, piece)
        except InflateError as error:
            cause = f"compressed data cannot be inflated, the rest is not recorded: {error}"
            yield Mark(at, "gap", {"direction": direction.value, "cause": cause})

    def end(self, direction: Direction) -> list[Event]:
        """The direction has ended; gives what was waiting."""
        events = self._settle(self.framer.end(direction))
        return [*events, *self._switched()]

    def _take(self, at: int | None, direction: Direction, data: bytes) -> list[Event]:
        """The next bytes of the conversation itself."""
        self._at = at
        lane = self._lanes[direction]
        fragments = self.framer.feed(direction, data)
        if self._is_plain(lane, direction, len(data), fragments):
            lane.tape.start += len(data)
            return [Chunk(at, direction, data)]
        lane.append(at, data)
        return self._settle(fragments)

    def _is_plain(self, lane: _Lane, direction: Direction, size: int, fragments: list[Fragment]) -> bool:
        """Whether nothing waits, and the read that came last holds no secret: nearly all do not, behind the login."""
        for fragment in fragments:
            if fragment.secrets:
                return False
        for waiting in self._lanes.values():
            if waiting.tape.size:
                return False
        known = self.framer.settled(direction) == lane.tape.start + size and not lane.secrets
        return known and self.framer.secret_from(direction) is None

    def _settle(self, fragments: list[Fragment]) -> list[Event]:
        """What may be recorded now that the framer has given ``fragments``."""
        events: list[Event] = []
        for fragment in fragments:
            if fragment.secrets:
                self._lanes[fragment.direction].secrets.extend(fragment.secrets)
        for direction, lane in self._lanes.items():
            if lane.tape.size:
                settled = self.framer.settled(direction) if self._waits else lane.tape.end
                lane.release(settled, self.framer.secret_from(direction), events)
        return events

    def _switched(self) -> Iterator[Event]:
        """Where COMPRESS begins: what the framer has not understood yet is compressed already."""
        if self.framer.switch is not Switch.COMPRESS:
            return
        yield Mark(self._at, "compress", {"algorithm": "DEFLATE"})
        rests = []
        for direction, lane in self._lanes.items():
            # Everything before the switch is settled and released: what waits here is what the framer gives back.
            rests.append((lane.forget(), direction, self.framer.take_rest(direction)))
            lane.inflater = self._inflater()
        yield from self._settle(self.framer.resume())
        for at, direction, rest in rests:
            if rest:
                yield from self.steps(at, direction, rest)


class _Lane:
    """What waits in one direction, and the secrets known in it."""

    def __init__(self, direction: Direction, *, keep: bool) -> None:
        self.tape = Tape()
        self.secrets: deque[Span] = deque()  # of complete fragments, not yet released
        self.inflater: Inflater | None = None
        self._direction = direction
        self._keep = keep
        self._stamps: deque[tuple[int | None, int]] = deque()  # the time of each read, and the offset of its end

    def append(self, at: int | None, data: bytes) -> None:
        self.tape.append(data)
        if len(self._stamps) >= STAMPS_LIMIT:
            at = self._stamps.pop()[0]
        self._stamps.append((at, self.tape.end))

    def forget(self) -> int | None:
        """Drop what waits, for it is none of this stream; gives the time of its first byte."""
        at = self._stamps[0][0] if self._stamps else None
        self._stamps.clear()
        self.tape.give_back()
        return at

    def release(self, settled: int, secret_from: int | None, events: list[Event]) -> None:
        """Give out the bytes up to offset ``settled``, masked; from ``secret_from`` on they are secret."""
        while self._stamps and self.tape.start < settled:
            at, end = self._stamps[0]
            if end <= settled:
                self._stamps.popleft()
            start = self.tape.start
            data = self.tape.take(min(end, settled) - start)
            if self.secrets or secret_from is not None:
                data = self._masked(data, start, secret_from)
            events.append(Chunk(at, self._direction, data))

    def _masked(self, data: bytes, start: int, secret_from: int | None) -> bytes:
        spans = list(self._spans(start, start + len(data), secret_from))
        if self._keep or not spans:
            return data
        masked = bytearray(data)
        for a, b in spans:
            masked[a - start : b - start] = masked[a - start : b - start].translate(MASK)
        return bytes(masked)

    def _spans(self, start: int, end: int, secret_from: int | None) -> Iterator[Span]:
        """The secrets in [start, end)."""
        while self.secrets and self.secrets[0][0] < end:
            a, b = self.secrets[0]
            if start < b:
                yield max(a, start), min(b, end)
            if b > end:
                break
            self.secrets.popleft()
        if secret_from is not None and secret_from < end:
            yield max(secret_from, start), end
