"""How durations are distributed, in bounded memory.

Knows: counting in classes that grow by the same factor. Must not know: what is measured.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

PER_OCTAVE = 16
"""Classes from one value to its double: a percentile is right to about two percent."""

_FACTOR = PER_OCTAVE / math.log(2)


class Histogram:
    """Counts of durations in microseconds."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.least: int | None = None
        self.most: int | None = None
        self._classes: Counter[int] = Counter()

    def add(self, microseconds: int) -> None:
        """One more."""
        self.count += 1
        self.total += microseconds
        self.least = microseconds if self.least is None else min(self.least, microseconds)
        self.most = microseconds if self.most is None else max(self.most, microseconds)
        self._classes[_class(microseconds)] += 1

    def merge(self, other: Histogram) -> None:
        """All of another one, too."""
        self.count += other.count
        self.total += other.total
        for value in (other.least, other.most):
            if value is not None:
                self.least = value if self.least is None else min(self.least, value)
                self.most = value if self.most is None else max(self.most, value)
        self._classes.update(other._classes)

    def percentile(self, percent: float) -> int | None:
        """The duration that ``percent`` of all do not exceed; None when there are none.

        >>> histogram = Histogram()
        >>> for value in range(1, 101): histogram.add(value * 1000)
        >>> 49_000 <= histogram.percentile(50) <= 51_000
        True
        """
        if self.least is None or self.most is None:
            return None
        rank = max(1, math.ceil(self.count * percent / 100))
        for number in sorted(self._classes):
            rank -= self._classes[number]
            if rank <= 0:
                return min(max(round(_middle(number)), self.least), self.most)
        return self.most

    def octaves(self) -> Iterator[tuple[int, int]]:
        """The lower bound of each power of two in use and of those in between, and how many lie there."""
        if not self._classes:
            return
        octaves: Counter[int] = Counter()
        for number, count in self._classes.items():
            octaves[number // PER_OCTAVE] += count
        for octave in range(min(octaves), max(octaves) + 1):
            yield (1 << octave if octave >= 0 else 0), octaves[octave]


def _class(microseconds: int) -> int:
    """0 is for one microsecond; below that there is one class of its own."""
    return -1 if microseconds < 1 else int(math.log(microseconds) * _FACTOR + 1e-9)


def _middle(number: int) -> float:
    return 0.0 if number < 0 else math.exp((number + 0.5) / _FACTOR)
