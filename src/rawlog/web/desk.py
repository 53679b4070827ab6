"""What is open at the moment: a few filters of the list, a few conversations.

Knows: how many of them are kept, and that the one that was used longest ago goes first. Must not know: HTTP, what is in
them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol, TypeVar

from rawlog.errors import RawlogError
from rawlog.web.catalog import Catalog, Entry
from rawlog.web.download import Downloads, Kind
from rawlog.web.selection import Selection
from rawlog.web.talk import Talk

TALKS_LIMIT = 6
"""Conversations whose index is kept: each takes up to 100 MB if it is huge, and mostly next to nothing."""

SELECTIONS_LIMIT = 6
"""Filters whose results are kept."""


class _Open(Protocol):
    def stop(self) -> None: ...


T = TypeVar("T", bound=_Open)


class Desk:
    """The viewer's state. It may be used by several threads."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.stopped = False
        self._lock = threading.Lock()
        self._talks: OrderedDict[str, Talk] = OrderedDict()
        self._selections: OrderedDict[str, Selection] = OrderedDict()
        self._downloads = Downloads()
        self._copying = threading.Lock()

    def stop(self) -> None:
        """Everything ends."""
        self.stopped = True
        self.catalog.stop()
        for talk in self._talks.values():
            talk.stop()
        for selection in self._selections.values():
            selection.stop()

    def selection(self, expression: str) -> Selection:
        """The list under a filter. Raises ConfigError when that means nothing."""
        with self._lock:
            found = self._selections.pop(expression, None) or Selection(self.catalog, expression)
            return _kept(self._selections, expression, found, SELECTIONS_LIMIT)

    def entry(self, id_: str) -> Entry:
        """The conversation with this id. Raises RawlogError when there is none."""
        entry = self.catalog.entries.get(id_)
        if entry is None:
            raise RawlogError("there is no such conversation; it may have been removed: look at the list again")
        return entry

    def talk(self, id_: str) -> Talk:
        """The same, opened."""
        entry = self.entry(id_)
        with self._lock:
            found = self._talks.pop(id_, None) or Talk(entry.name)
            return _kept(self._talks, id_, found, TALKS_LIMIT)

    def copy(self, id_: str, kind: Kind) -> Iterator[bytes]:
        """A safe copy of it; one at a time is made, for it is made in memory. Raises RawlogError."""
        entry = self.entry(id_)
        with self._copying:
            return self._downloads.copy(entry.name, kind)


def _kept(open_ones: OrderedDict[str, T], key: str, one: T, limit: int) -> T:
    """Puts one in, and the oldest out."""
    open_ones[key] = one
    while len(open_ones) > limit:
        open_ones.popitem(last=False)[1].stop()
    return one
