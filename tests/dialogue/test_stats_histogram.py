"""Percentiles in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlog.dialogue.stats_histogram import Histogram


def histogram_of(*values: int) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def test_of_nothing_there_is_nothing() -> None:
    empty = Histogram()
    assert (empty.percentile(50), empty.least, empty.most, list(empty.octaves())) == (None, None, None, [])


def test_of_one_value_everything_is_that() -> None:
    one = histogram_of(777)
    assert [one.percentile(percent) for percent in (0, 50, 99, 100)] == [777] * 4


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=200), st.sampled_from([1, 50, 90, 99, 100]))
def test_percentiles_are_right_to_a_few_percent(values: list[int], percent: int) -> None:
    found = histogram_of(*values).percentile(percent)
    ordered = sorted(values)
    exact = ordered[max(1, -(-len(values) * percent // 100)) - 1]
    assert found == pytest.approx(exact, rel=0.03, abs=1)


@given(st.lists(st.integers(0, 10**9)), st.lists(st.integers(0, 10**9)))
def test_merging_is_adding(first: list[int], second: list[int]) -> None:
    merged, both = histogram_of(*first), histogram_of(*first, *second)
    merged.merge(histogram_of(*second))
    for name in ("count", "total", "least", "most"):
        assert getattr(merged, name) == getattr(both, name)
    assert merged.percentile(90) == both.percentile(90)
    assert list(merged.octaves()) == list(both.octaves())


def test_octaves_have_no_holes() -> None:
    octaves = list(histogram_of(0, 1, 2, 3, 20, 31, 32).octaves())
    assert octaves == [(0, 1), (1, 1), (2, 2), (4, 0), (8, 0), (16, 2), (32, 1)]


def test_memory_is_bounded() -> None:
    histogram = histogram_of(*range(0, 10_000_000, 1000))
    assert len(histogram._classes) < 400
