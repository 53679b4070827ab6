"""Figures about exchanges as a table, a histogram, or JSON.

Knows: columns, bars, names of fields. Must not know: how things are counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

from rawlog.dialogue.stats import Figures, Statistics
from rawlog.dialogue.stats_histogram import Histogram
from rawlog.views.escape import neutral_text
from rawlog.views.table import Column, table
from rawlog.views.units import duration_text, size_text

PERCENTILES = (50, 90, 99)

BAR = 50
"""Characters of the longest bar."""

SORTS: dict[str, Callable[[Figures], int]] = {
    "count": lambda figures: figures.count,
    "errors": lambda figures: figures.errors,
    "sent": lambda figures: figures.sent,
    "received": lambda figures: figures.received,
    "p50": lambda figures: figures.latency.percentile(50) or 0,
    "p90": lambda figures: figures.latency.percentile(90) or 0,
    "p99": lambda figures: figures.latency.percentile(99) or 0,
    "max": lambda figures: figures.latency.most or 0,
    "idle": lambda figures: figures.idle,
}
"""What groups can be sorted by, the largest first."""

_COLUMNS = (
    Column("RECS", right=True),
    Column("CMDS", right=True),
    Column("ERRS", right=True),
    Column("NO ANSWER", right=True),
    Column("SENT", right=True),
    Column("RECEIVED", right=True),
    *(Column(f"P{percent}", right=True) for percent in PERCENTILES),
    Column("MAX", right=True),
    Column("IDLE", right=True),
)


def sorted_groups(statistics: Statistics, sort: str) -> list[tuple[str, Figures]]:
    """The groups, the largest first."""
    return sorted(statistics.groups.items(), key=lambda group: (-SORTS[sort](group[1]), group[0]))


def figures_table(statistics: Statistics, groups: Iterable[tuple[str, Figures]]) -> Iterator[str]:
    """The table of groups, with all of them together in the last line."""
    rows = [[*_cells(figures), neutral_text(key)] for key, figures in groups]
    if len(rows) > 1:
        rows.append([*_cells(statistics.total), "(all)"])
    return table((*_COLUMNS, Column(statistics.by.upper(), limit=80)), rows)


def figures_json(statistics: Statistics, groups: Iterable[tuple[str, Figures]]) -> Iterator[str]:
    """One JSON object for each group, and one for all (``"group": null``). Times are in microseconds."""
    for key, figures in [*groups, (None, statistics.total)]:
        yield json.dumps({"by": statistics.by, "group": key, **_fields(figures)}).replace("\x7f", "\\u007f")


def histogram_lines(histogram: Histogram) -> Iterator[str]:
    """A bar for each power of two."""
    bars = list(histogram.octaves())
    most = max((count for _, count in bars), default=0)
    for start, count in bars:
        bar = "#" * max(1 if count else 0, round(count / most * BAR))
        yield f"{'from ' + duration_text(start):>12}  {count:>9,}  {bar}".rstrip()


def _cells(figures: Figures) -> list[str]:
    latency = figures.latency
    return [
        str(figures.recordings),
        str(figures.count),
        str(figures.errors or ""),
        str(figures.unanswered or ""),
        size_text(figures.sent),
        size_text(figures.received),
        *(duration_text(latency.percentile(percent)) for percent in PERCENTILES),
        duration_text(latency.most),
        duration_text(figures.idle or None),
    ]


def _fields(figures: Figures) -> dict[str, object]:
    latency = figures.latency
    return {
        "recordings": figures.recordings,
        "count": figures.count,
        "errors": figures.errors,
        "unanswered": figures.unanswered,
        "sent": figures.sent,
        "received": figures.received,
        "idle": figures.idle,
        "latency": {
            "count": latency.count,
            "mean": round(latency.total / latency.count) if latency.count else None,
            "min": latency.least,
            **{f"p{percent}": latency.percentile(percent) for percent in PERCENTILES},
            "max": latency.most,
            "histogram": [{"from": start, "count": count} for start, count in latency.octaves()],
        },
    }
