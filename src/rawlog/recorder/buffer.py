"""What is encoded but not yet written, for one sink, with an exact account of whose bytes they are.

Knows: pieces of encoded bytes, and how many bytes of the conversation each stands for. Must not know: formats, time,
what to do about a failure. A failed write leaves here what the sink did not take, so nothing is lost by it; the
next write goes on at the very byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rawlog.events import Direction
from rawlog.recorder.sinks import Piece, Sink

FULL = 48 << 10
"""Bytes that are written as one piece: one system call for hundreds of commands. Also what waits for a
failed sink at most, beside the one read that met the failure. With the 16 KiB that a gateway may put off
understanding it is 64 KiB that a killed process may lose."""

LARGE = 16 << 10
"""From this size on a piece is not copied together with others: the copy would cost more than the call."""


class Buffer:
    """Pieces on their way to one sink."""

    __slots__ = ("_pieces", "_until_full", "held", "sink", "size")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.size = 0
        self.held: dict[Direction, int] | None = None  # what an encoder keeps back until its line is complete
        self._pieces: list[tuple[Piece, Direction, int]] | None = None  # with their shares; mostly there are none
        self._until_full: Callable[[], int] | None = getattr(sink, "until_full", None)  # of sealed files

    def put(self, encoded: Piece, direction: Direction, share: int) -> bool:
        """Takes a piece that stands for ``share`` bytes of a direction. True when it is time to write."""
        size = len(encoded)
        if self.held or not size:
            share = self._with_held(size, direction, share)
            if not size:
                return False
        if self._pieces is None:
            self._pieces = [(encoded, direction, share)]
        else:
            self._pieces.append((encoded, direction, share))
        self.size += size
        if self._until_full is not None:
            return self.size >= self._until_full()
        return self.size >= FULL or size >= LARGE

    def write(self) -> None:
        """Writes everything. When the sink raises, what it did not take stays here."""
        pieces = self._pieces
        if pieces is None:
            return
        before = self.sink.written
        try:
            if len(pieces) == 1:
                self.sink.write(pieces[0][0])
            else:
                self.sink.write(*_gathered(pieces))
        except BaseException:
            self._forget(pieces, self.sink.written - before)
            raise
        self._pieces, self.size = None, 0

    def waiting(self) -> Counter[Direction]:
        """Bytes of the conversation that are still here. A piece that was cut counts with what can be left of it."""
        counts = Counter(self.held)
        for _, direction, share in self._pieces or ():
            counts[direction] += share
        return counts

    def _with_held(self, size: int, direction: Direction, share: int) -> int:
        """The share with those that were held back before it; it is held back itself when nothing was encoded."""
        held = self.held = self.held or {}
        share += held.pop(direction, 0)
        if not size and share:
            held[direction] = share
        return share

    def _forget(self, pieces: list[tuple[Piece, Direction, int]], taken: int) -> None:
        """Takes out what the sink has."""
        self.size -= taken
        if not self.size:
            self._pieces = None
            return
        whole = 0
        while taken >= len(pieces[whole][0]):
            taken -= len(pieces[whole][0])
            whole += 1
        del pieces[:whole]
        if taken:
            cut, direction, share = pieces[0]
            pieces[0] = cut[taken:], direction, min(share, len(cut) - taken)


def _gathered(pieces: list[tuple[Piece, Direction, int]]) -> list[Piece]:
    """The pieces as one, and a large last one by itself."""
    *small, last = [piece for piece, _, _ in pieces]
    return [b"".join(small), last] if len(last) >= LARGE else [b"".join((*small, last))]
