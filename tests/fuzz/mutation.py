"""Makes new inputs from known ones, the same ones for the same seed.

Knows: bytes, and words that a dictionary gives. Must not know: what is done with them. It is small on purpose: the long
runs are guided by coverage (see run.py); this is what CI runs in a second, and what runs where no such library is.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

LIMIT = 4096
"""Bytes of an input. What needs more to show is looked for by pumping (see pump.py)."""

_ODD = (b"", b"\0", b"\r", b"\n", b"\r\n", b"\xfe", b"\xff", b"\xfd", b'"', b"\\", b"{", b"}", b" ", b"*", b"+", b".")


class Mutator:
    """Gives inputs: each a few steps away from one of ``seeds``."""

    def __init__(self, seeds: Sequence[bytes], words: Sequence[bytes], seed: int) -> None:
        self._random = random.Random(seed)
        self._seeds = list(seeds) or [b""]
        self._words = [*words, *_ODD]

    def next(self) -> bytes:
        """A new input."""
        data = bytearray(self._random.choice(self._seeds)[:LIMIT])
        for _ in range(self._random.choice((1, 1, 2, 2, 3, 5, 8))):
            self._step(data)
        return bytes(data[:LIMIT])

    def _step(self, data: bytearray) -> None:
        at = self._random.randint(0, len(data))
        end = min(len(data), at + self._random.choice((1, 1, 2, 4, 16, 64, 256)))
        kind = self._random.randrange(7)
        if kind == 0:
            del data[at:end]
        elif kind == 1:
            data[at:at] = self._random.choice(self._words)
        elif kind == 2:
            data[at:end] = self._random.choice(self._words)
        elif kind == 3 and at < len(data):
            data[at] = self._random.randrange(256)
        elif kind == 4:
            data[at:at] = data[at:end] * self._random.choice((1, 1, 2, 10))
        elif kind == 5:
            other = self._random.choice(self._seeds)
            begin = self._random.randint(0, len(other))
            data[at:] = other[begin : begin + LIMIT]
        else:
            data[at:at] = b"%d" % self._random.choice((0, 1, 7, 255, 4096, 65536, 2**32 - 1, 2**63, 10**30))
