"""Few columns for many points, and nothing that stands out is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rawlog.web.buckets import BUCKETS_LIMIT, Point, buckets

POINTS = st.lists(
    st.builds(Point, st.integers(0, 10_000), st.none() | st.integers(0, 10**9), st.integers(0, 3), st.integers(0, 99)),
    min_size=1,
)


@given(POINTS, st.integers(1, 2000))
def test_nothing_is_lost(points: list[Point], count: int) -> None:
    start, end = min(point.at for point in points), max(point.at for point in points)
    columns = buckets(points, start, end, count)
    assert sum(columns["count"]) == len(points)
    assert sum(columns["failed"]) == sum(point.failed for point in points)
    known = [point.latency for point in points if point.latency is not None]
    assert max((value for value in columns["latency"] if value is not None), default=None) == max(known, default=None)
    assert len(columns["at"]) <= min(count, BUCKETS_LIMIT)
    assert columns["at"] == sorted(columns["at"])
    assert columns["at"][0] == start


def test_a_column() -> None:
    points = [Point(0, 5, 0, 0), Point(4, None, 1, 1), Point(9, 7, 0, 2), Point(8, 3, 0, 3), Point(99, 1, 0, 4)]
    assert buckets(points, 0, 9, 2) == {
        "start": 0,
        "end": 9,
        "width": 5,
        "at": [0, 5],
        "count": [2, 2],
        "failed": [1, 0],
        "latency": [5, 7],
        "place": [0, 2],
    }


def test_nothing_at_all() -> None:
    assert buckets((), 0, 0, 300)["at"] == []
    assert buckets([Point(3, 1, 0, 0)], 3, 3, 0)["count"] == [1]
