"""Inflates one direction of a conversation behind COMPRESS (RFC 4978: DEFLATE, RFC 1951), in bounded steps.

Knows: zlib, and what is no mail any more. Must not know: protocols, recordings.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

STEP = 64 * 1024  # the most that one step gives
BOMB_RATIO = 100  # more than this after BOMB_FREE bytes is no mail
BOMB_FREE = 1024 * 1024


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
