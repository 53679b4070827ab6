"""Many points on one time axis, as few as a plot can show.

Knows: buckets of equal width. Must not know: what the points are about. Of each bucket the most and the counts are
kept, so that nothing that stands out is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

BUCKETS_LIMIT = 1000
"""More than screens have columns for."""


class Point(NamedTuple):
    """Something that happened ``at``; ``latency`` and ``at`` in microseconds. ``place`` is where to find it."""

    at: int
    latency: int | None
    failed: int
    place: int


def buckets(points: Iterable[Point], start: int, end: int, count: int) -> dict[str, Any]:
    """Columns for the points from ``start`` to ``end``: of each bucket that has any, its begin, how many there are,
    how many failed, the longest latency (None where there is none), and the first place."""
    count = max(1, min(count, BUCKETS_LIMIT))
    width = max(1, -(-(end - start + 1) // count))
    sums = [0] * count
    failed = [0] * count
    most: list[int | None] = [None] * count
    places: list[int | None] = [None] * count
    for point in points:
        number = (point.at - start) // width
        if 0 <= number < count:
            sums[number] += 1
            failed[number] += point.failed
            if places[number] is None:
                places[number] = point.place
            latency = point.latency
            if latency is not None and latency >= (most[number] or 0):
                most[number] = latency
    kept = [number for number in range(count) if sums[number]]
    return {
        "start": start,
        "end": end,
        "width": width,
        "at": [start + number * width for number in kept],
        "count": [sums[number] for number in kept],
        "failed": [failed[number] for number in kept],
        "latency": [most[number] for number in kept],
        "place": [places[number] for number in kept],
    }
