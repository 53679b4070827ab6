"""Inflates one direction of a conversation behind COMPRESS (RFC 4978: DEFLATE, RFC 1951), in bounded steps.

Knows: zlib, and what is no mail any more. Must not know: protocols, recordings.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

STEP = 64 * 1024  # the most that one step gives
BOMB_RATIO = 100  # more than this after BOMB_FREE bytes is no mail
BOMB_FREE = 1024 * 1024


_WINDOW = 32 * 1024  # how far back DEFLATE refers (RFC 1951 section 2)
_FLUSHED = b"\x00\x00\xff\xff"  # how a flush ends: an empty stored block, after which the stream is at a byte's edge


class InflateError(Exception):
    """What comes can't be inflated; the text says why. It is raised once, then nothing more is inflated."""


class Inflater:
    """A stream of DEFLATE data."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        self._taken = 0
        self._given = 0
        self._broken = False

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """The next bytes, inflated in pieces of at most ``STEP``; raises InflateError."""
        self._taken += len(data)
        while not self._broken:
            piece = self._step(data)
            self._given += len(piece)
            if piece:
                yield piece
            data = self._zlib.unconsumed_tail
            if self._given > BOMB_FREE and self._given > BOMB_RATIO * self._taken:
                self._fail(f"more than {BOMB_RATIO} times its size")
            if self._zlib.unused_data:
                self._fail("bytes behind the end of the compressed stream")
            if not data and len(piece) < STEP:
                return

    def _step(self, data: bytes) -> bytes:
        try:
            return self._zlib.decompress(data, STEP)
        except zlib.error as error:
            self._fail(str(error))
            raise

    def _fail(self, cause: str) -> None:
        self._broken = True
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)  # lets go of what it had kept
        raise InflateError(cause)


class ResumableInflater(Inflater):
    """The same, and it can be pickled in the middle of a stream.

    It keeps what zlib does not give: the plain text before the last flush (32 KiB), and what came since, compressed.
    Clients and servers flush after each answer, so that is little.
    """

    def __init__(self) -> None:
        super().__init__()
        self._plain = b""  # the end of what was given
        self._window = b""  # the same at the last flush
        self._since = b""  # what was taken since

    def _step(self, data: bytes) -> bytes:
        piece = super()._step(data)
        rest = len(self._zlib.unconsumed_tail)
        self._since += data[: len(data) - rest]
        self._plain = (self._plain + piece)[-_WINDOW:]
        if not rest and len(piece) < STEP and self._since.endswith(_FLUSHED):
            self._window, self._since = self._plain, b""
        return piece

    def __getstate__(self) -> tuple[int, int, bool, bytes, bytes, bytes]:
        return self._taken, self._given, self._broken, self._plain, self._window, self._since

    def __setstate__(self, state: tuple[int, int, bool, bytes, bytes, bytes]) -> None:
        self._taken, self._given, self._broken, self._plain, self._window, self._since = state
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS, self._window)
        data, given = self._since, STEP
        while not self._broken and (data or given == STEP):
            given = len(self._zlib.decompress(data, STEP))
            data = self._zlib.unconsumed_tail
