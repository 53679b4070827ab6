"""The list as somebody wants to see it: filtered, sorted, a part of it at a time; and its plot.

Knows: the search language's terms about recordings, and that the others take a hunt (hunt.py). Must not know: HTTP, how
a list looks. All texts are neutral.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rawlog.dialogue.exchange_summary import Summary
from rawlog.dialogue.search import Query, parse
from rawlog.views.escape import neutral_text
from rawlog.views.listing import LARGEST_FIRST, SORTS, Listed
from rawlog.web.buckets import Point, buckets
from rawlog.web.catalog import LIVE, Catalog, Entry
from rawlog.web.hunt import Hunt

EMPTY = Summary()


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to see: the order, and a span of time in microseconds."""

    sort: str = "start"
    reverse: bool = False
    since: int | None = None
    until: int | None = None


class Selection:
    """The conversations of a catalog that match an expression. Raises ConfigError when that means nothing."""

    def __init__(self, catalog: Catalog, expression: str) -> None:
        self._catalog = catalog
        self._query: Query | None = parse(expression) if expression.strip() else None
        self._hunt = Hunt()
        self.stopped = False
        self._made: tuple[object, list[Entry]] = (None, [])  # the last list, and what it is of

    @property
    def version(self) -> int:
        """It counts the changes."""
        return self._catalog.version + self._hunt.version

    @property
    def waiting(self) -> int:
        """Recordings of which it is not known yet whether they match."""
        return self._hunt.waiting

    def stop(self) -> None:
        """Nobody looks at it any more."""
        self.stopped = True
        self._hunt.stop()

    def entries(self, wish: Wish) -> list[Entry]:
        """Those that match, in order: the newest or the largest first, unless the other way round is wished."""
        state = self._catalog.version, self._hunt.version, wish
        made, found = self._made
        if made != state:
            every = list(self._catalog.entries.values())
            if self._query is not None:  # what takes a hunt is looked at in this order
                every.sort(key=lambda entry: _listed(entry).summary.started or 0, reverse=True)
            found = [entry for entry in every if self._has(entry, wish)]
            found.sort(key=lambda entry: (SORTS[wish.sort](_listed(entry)), entry.name))
            if wish.reverse != (wish.sort in LARGEST_FIRST or wish.sort == "start"):
                found.reverse()
            self._made = state, found
        return found

    def rows(self, wish: Wish, start: int, count: int, now: int) -> list[Mapping[str, Any]]:
        """A part of the list as a page shows it. ``now`` is in microseconds since the epoch."""
        return [self._row(entry, now) for entry in self.entries(wish)[start : start + count]]

    def plot(self, wish: Wish, count: int) -> dict[str, Any]:
        """Conversations, errors and the longest latency over the time of their starts."""
        points = list(_points(self.entries(wish)))
        if not points:
            return buckets((), 0, 0, count)
        start = min(point.at for point in points) if wish.since is None else wish.since
        end = max(point.at for point in points) if wish.until is None else wish.until
        return buckets(points, start, end, count)

    def _has(self, entry: Entry, wish: Wish) -> bool:
        summary = entry.summary
        if summary is None:
            return self._query is None and wish.since is None and wish.until is None
        if (wish.since or wish.until) and not _overlaps(summary, wish):
            return False
        if self._query is None:
            return True
        left = self._query.about(entry.name, summary)
        return self._hunt.ask(entry.name, summary, left) if left.decided is None else left.decided

    def _row(self, entry: Entry, now: int) -> Mapping[str, Any]:
        summary = entry.summary or EMPTY
        return {
            "id": entry.id,
            "name": neutral_text(self._catalog.below(entry.name)),
            "read": entry.summary is not None,
            "live": 0 < now - LIVE < entry.grown and not summary.end,
            "protocol": neutral_text(summary.protocol),
            "user": neutral_text(summary.user),
            "client": neutral_text(summary.client),
            "software": neutral_text(summary.software),
            "started": summary.started,
            "duration": summary.duration,
            "commands": summary.commands,
            "errors": summary.errors,
            "slowest": summary.slowest,
            "in": summary.in_bytes,
            "out": summary.out_bytes,
            "end": neutral_text(summary.end),
        }


def _listed(entry: Entry) -> Listed:
    return Listed(entry.name, entry.summary or EMPTY)


def _overlaps(summary: Summary, wish: Wish) -> bool:
    if summary.started is None:
        return False
    ended = summary.ended if summary.ended is not None else summary.started
    return (wish.since is None or ended >= wish.since) and (wish.until is None or summary.started <= wish.until)


def _points(entries: list[Entry]) -> Iterator[Point]:
    for number, entry in enumerate(entries):
        summary = entry.summary
        if summary is not None and summary.started is not None:
            yield Point(summary.started, summary.slowest, summary.errors, number)
