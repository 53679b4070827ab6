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


class Tally:
    """All the shares. Made by the parent of those who count, who all see the same memory.

    ``exact``: what a process counts itself is kept by its full key. Otherwise all see the same numbers.
    """

    def __init__(self, shares: int = SHARES, row: int = ROW, *, exact: bool = True) -> None:
        self._exact = exact
        self._free = list(range(shares))
        self._used = memoryview(mmap.mmap(-1, shares)).cast("B")
        self._counts = memoryview(mmap.mmap(-1, shares * row * _ROWS * 8)).cast("q")
        self._row = row

    def take(self) -> Share | None:
        """A share for one process, before it is forked; None when there is none left: it has to count by itself."""
        if not self._free:
            return None
        number = self._free.pop(0)
        self._used[number] = 1
        return Share(self._used, self._counts, number, self._row, exact=self._exact)

    def give_back(self, share: Share | None) -> None:
        """The process of this share has ended. Where it counted exactly, that counts no more; else it stays."""
        if share is None:
            return
        if self._exact:
            size = self._row * _ROWS
            begin = share.number * size
            self._counts[begin : begin + size] = memoryview(bytes(size * 8)).cast("q")
            self._used[share.number] = 0
        self._free.append(share.number)


class Share:
    """What one process counts. ``number`` is its place."""

    def __init__(self, used: memoryview, counts: memoryview, number: int, row: int, *, exact: bool) -> None:
        self.number = number
        self._used = used
        self._counts = counts
        self._row = row
        self._own: dict[bytes, int] | None = {} if exact else None

    def add(self, key: bytes, change: int) -> None:
        """Count up, or down again."""
        if self._own is not None:
            self._own[key] = own = self._own.get(key, 0) + change
            if not own:
                del self._own[key]
        base = self.number * self._row * _ROWS
        for place in self._places(key):
            self._counts[base + place] += change

    def total(self, key: bytes) -> int:
        """What all processes have counted for a key."""
        first, second = self._places(key)
        total = 0 if self._own is None else self._own.get(key, 0)
        for number, used in enumerate(self._used):
            if used and (number != self.number or self._own is None):
                base = number * self._row * _ROWS
                total += min(self._counts[base + first], self._counts[base + second])
        return total

    def _places(self, key: bytes) -> tuple[int, int]:
        """Where a key is counted, in each row. The hash is random, and the same in all forks."""
        mixed = hash(key)
        return mixed % self._row, self._row + (mixed >> 20) % self._row


def alone() -> Share:
    """For a process that counts by itself."""
    share = Tally(1, 1).take()
    assert share is not None
    return share
