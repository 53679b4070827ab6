"""What is encoded but not yet written, for one sink, with an exact account of whose bytes they are.

Knows: pieces of encoded bytes, and how many bytes of the conversation each stands for. Must not know: formats, time,
what to do about a failure. A failed write leaves here what the sink did not take, so nothing is lost by it; the
next write goes on at the very byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rawlog.events import Direction
from rawlog.recorder.sinks import Sink

FULL = 48 << 10
"""Bytes that are written as one piece: one system call for hundreds of commands. Also what waits for a
failed sink at most, beside the one read that met the failure. With the 16 KiB that a gateway may put off
understanding it is 64 KiB that a killed process may lose."""

LARGE = 16 << 10
"""From this size on a piece is not copied together with others: the copy would cost more than the call."""


class Buffer:
    """Pieces on their way to one sink."""

    __slots__ = ("_held", "_pieces", "_shares", "_until_full", "sink", "size")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.size = 0
        self._pieces: list[bytes] = []
        self._shares: list[tuple[Direction, int]] = []
        self._until_full: Callable[[], int] | None = getattr(sink, "until_full", None)  # of sealed files
        self._held: dict[Direction, int] = {}  # what an encoder keeps back until its line is complete

    def put(self, encoded: bytes, direction: Direction, share: int) -> bool:
        """Takes a piece that stands for ``share`` bytes of a direction. True when it is time to write."""
        if not encoded:
            self._held[direction] = self._held.get(direction, 0) + share
            return False
        self._pieces.append(encoded)
        self._shares.append((direction, share + self._held.pop(direction, 0)))
        self.size += len(encoded)
        if self._until_full is not None:
            return self.size >= self._until_full()
        return self.size >= FULL or len(encoded) >= LARGE

    def write(self) -> None:
        """Writes everything. When the sink raises, what it did not take stays here."""
        if not self._pieces:
            return
        before = self.sink.written
        *small, last = self._pieces
        try:
            if small and len(last) >= LARGE:
                self.sink.write(b"".join(small), last)
            else:
                self.sink.write(b"".join(self._pieces))
        except BaseException:
            self._forget(self.sink.written - before)
            raise
        self._forget(self.size)

    def waiting(self) -> Counter[Direction]:
        """Bytes of the conversation that are still here. A piece that was cut counts with what can be left of it."""
        counts = Counter(self._held)
        for direction, share in self._shares:
            counts[direction] += share
        return counts

    def _forget(self, taken: int) -> None:
        """Takes out what the sink has."""
        self.size -= taken
        if not self.size:
            self._pieces, self._shares = [], []
            return
        whole = 0
        while taken >= len(self._pieces[whole]):
            taken -= len(self._pieces[whole])
            whole += 1
        del self._pieces[:whole], self._shares[:whole]
        if taken:
            rest = self._pieces[0][taken:]
            direction, share = self._shares[0]
            self._pieces[0], self._shares[0] = rest, (direction, min(share, len(rest)))
