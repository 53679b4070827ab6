"""Figures as a table, as JSON, as bars."""

from __future__ import annotations

import json

import pytest

from rawlog.dialogue.stats import Figures, Statistics
from rawlog.dialogue.stats_histogram import Histogram
from rawlog.views.figures import BAR, SORTS, figures_json, figures_table, histogram_lines, sorted_groups


def statistics() -> Statistics:
    made = Statistics("user")
    for key, count in (("a\x1b[2J", 1), ("bob", 30)):
        figures = Figures(1, count, 1, 0, 10 * count, 5, 2_000_000)
        figures.latency.add(count * 1000)
        made.groups[key] = figures
        made.total.merge(figures)
    return made


def test_the_largest_come_first_and_all_at_last() -> None:
    made = statistics()
    lines = list(figures_table(made, sorted_groups(made, "count")))
    assert lines[0].split() == [
        "RECS",
        "CMDS",
        "ERRS",
        "NO",
        "ANSWER",
        "SENT",
        "RECEIVED",
        "P50",
        "P90",
        "P99",
        "MAX",
        "IDLE",
        "USER",
    ]
    assert lines[1].split() == [
        "1",
        "30",
        "1",
        "300",
        "5",
        "30",
        "ms",
        "30",
        "ms",
        "30",
        "ms",
        "30",
        "ms",
        "2.00",
        "s",
        "bob",
    ]
    assert lines[2].endswith("  a\\x1b[2J")
    assert lines[3].endswith("  (all)")
    assert len(list(figures_table(made, sorted_groups(made, "count")[:1]))) == 2


@pytest.mark.parametrize("sort", SORTS)
def test_every_order(sort: str) -> None:
    assert len(sorted_groups(statistics(), sort)) == 2


def test_json() -> None:
    made = statistics()
    found = [json.loads(line) for line in figures_json(made, sorted_groups(made, "count"))]
    assert [one["group"] for one in found] == ["bob", "a\x1b[2J", None]
    assert found[0]["latency"] == {
        "count": 1,
        "mean": 30_000,
        "min": 30_000,
        "p50": 30_000,
        "p90": 30_000,
        "p99": 30_000,
        "max": 30_000,
        "histogram": [{"from": 16384, "count": 1}],
    }
    assert found[2]["count"] == 31


def test_without_latencies() -> None:
    made = Statistics("all")
    made.groups["all"] = Figures(count=1)
    (line,) = list(figures_table(made, made.groups.items()))[1:]
    assert line.split() == ["0", "1", "0", "0", "all"]
    assert json.loads(next(figures_json(made, made.groups.items())))["latency"]["p50"] is None


def test_bars() -> None:
    histogram = Histogram()
    for value in [1000] * 100 + [5000]:
        histogram.add(value)
    assert list(histogram_lines(histogram)) == [
        f" from 512 µs        100  {'#' * BAR}",
        " from 1.0 ms          0",
        " from 2.0 ms          0",
        " from 4.1 ms          1  #",
    ]
    assert list(histogram_lines(Histogram())) == []
