"""Counts by key that several processes keep together: how many connections an address has at all workers.

The theory. Each process writes into a share of its own and reads those of the others, so nobody waits for anybody and
nothing is left locked by who dies. What a process counts itself is exact. Of the others it sees counts by a hash of the
key, in two rows with different hashes, and takes the smaller: another key can only make it too high, and only if it
meets this one in both rows. Who is refused by a limit is refused by a number, so that is good enough.

Knows: shared memory that is made before the fork. Must not know: what is counted.
"""

from __future__ import annotations

import mmap

SHARES = 64
"""Processes that count together: workers, and their predecessors while these drain. Untouched memory costs nothing."""
ROW = 1 << 16
"""Counts in a row: 4,000 clients of a busy service leave nine of ten free."""

_ROWS = 2
_SHARE = ROW * _ROWS
_MOST = 0xFFFF


class Tally:
    """All the shares. Made by the parent of those who count, who all see the same memory."""

    def __init__(self, shares: int = SHARES) -> None:
        self._used = memoryview(mmap.mmap(-1, shares)).cast("B")
        self._counts = memoryview(mmap.mmap(-1, shares * _SHARE * 2)).cast("H")

    def take(self) -> Share | None:
        """A share for one process, before it is forked; None when there is none left: it has to count by itself."""
        for number, used in enumerate(self._used):
            if not used:
                self._used[number] = 1
                return Share(self._used, self._counts, number)
        return None

    def give_back(self, share: Share | None) -> None:
        """The process of this share has ended: what it counted counts no more."""
        if share is None:
            return
        begin = share.number * _SHARE
        self._counts[begin : begin + _SHARE] = memoryview(bytes(_SHARE * 2)).cast("H")
        self._used[share.number] = 0


class Share:
    """What one process counts. ``number`` is its place."""

    def __init__(self, used: memoryview, counts: memoryview, number: int) -> None:
        self.number = number
        self._used = used
        self._counts = counts
        self._own: dict[bytes, int] = {}

    def add(self, key: bytes, change: int) -> None:
        """Count up (1) or down (-1)."""
        own = self._own.get(key, 0) + change
        if own > 0:
            self._own[key] = own
        else:
            self._own.pop(key, None)
        for place in _places(key):
            at = self.number * _SHARE + place
            self._counts[at] = min(max(self._counts[at] + change, 0), _MOST)

    def total(self, key: bytes) -> int:
        """What all processes have counted for a key."""
        first, second = _places(key)
        total = self._own.get(key, 0)
        for number, used in enumerate(self._used):
            if used and number != self.number:
                base = number * _SHARE
                total += min(self._counts[base + first], self._counts[base + second])
        return total


def alone() -> Share:
    """For a process that counts by itself."""
    share = Tally(1).take()
    assert share is not None
    return share


def _places(key: bytes) -> tuple[int, int]:
    """Where a key is counted, in each row. The hash is random, and the same in all forks."""
    mixed = hash(key)
    return mixed % ROW, ROW + (mixed >> 20) % ROW
