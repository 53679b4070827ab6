"""Which conversations there are, and what is known of each; kept up to date while they go on.

Knows: the shelf (reading/shelf.py), which remembers what was found out about recordings, and the follower, which tells
what is added to them. Must not know: HTTP, filters. A thread does the work; others read ``entries`` meanwhile.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rawlog.dialogue.exchange_summary import EDITION, Summary
from rawlog.errors import RawlogError
from rawlog.reading.follow import ACTIVE_LIMIT, Follower, News
from rawlog.reading.shelf import Shelf, items_at
from rawlog.reading.stretches import files_of
from rawlog.views.listing import listed, note
from rawlog.web.live_summary import LiveSummary

POLL = 0.5
"""Seconds between two looks at what has been added."""

RESCAN = 60
"""Seconds between two looks at what is gone, and what came unnoticed; for that all directories are read."""

TELL = 1.0
"""Seconds between two changes of the version while what was there at first is read: each makes pages ask anew."""

LIVE = 30_000_000
"""Microseconds after its last byte for which a conversation is shown as going on."""

PROBLEMS_LIMIT = 100
"""Sentences about what could not be read that are kept."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One conversation. ``name`` is its path; ``summary`` is None until it has been read.

    ``grown`` is when something was added, in microseconds since the epoch; 0: not since the catalog was opened.
    """

    id: str
    name: str
    summary: Summary | None = None
    grown: int = 0


class Catalog:
    """The conversations at some places. ``version`` counts the changes.

    Raises RawlogError when there is no such place.
    """

    def __init__(self, places: Iterable[str], shelf: Path | None) -> None:
        self._places = [str(Path(place).resolve()) for place in places]
        for place, given in zip(self._places, places, strict=True):
            if not Path(place).is_dir() and not files_of(place):
                raise RawlogError(f"{given}: no such file or directory; check the path")
        self.version = 0
        self.entries: dict[str, Entry] = {}  # by id
        self.problems: list[str] = []
        self.reading: tuple[int, int] | None = (0, 0)  # so many of how many are read; None: all
        self._shelf = shelf
        self._key = secrets.token_bytes(32)
        self._live: dict[str, LiveSummary] = {}
        self._unfollowed: dict[str, str] = {}  # the states of recordings that only a rescan found
        self._grown = 0  # when anything was added
        self._told = 0.0  # when the version changed, while there is much to read
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rawlog-catalog", daemon=True)

    def start(self) -> None:
        """Begin to read and to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Follow no more."""
        self._stopped.set()
        self._thread.join(5)

    def id_of(self, name: str) -> str:
        """What a page calls a recording. It says nothing about the path, and nobody can make one up."""
        return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), key=self._key, digest_size=9).hexdigest()

    def below(self, name: str) -> str:
        """A path relative to the place it lies in."""
        for place in self._places:
            if name.startswith(f"{place}/"):
                return name[len(place) + 1 :]
        return Path(name).name

    # -- in the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        for name in self._names():
            self._put(Entry(self.id_of(name), name), soon=True)
        follower = Follower(self._places, now=_now(), everything=False, fail=self._fail)
        self._read()
        scanned = time.monotonic()
        while not self._stopped.wait(POLL):
            self._take(follower.poll(_now()))
            if _now() - self._grown < 2 * LIVE:  # what goes on now is to be seen to have stopped
                self.version += 1
            if time.monotonic() - scanned > RESCAN:
                self._rescan()
                scanned = time.monotonic()

    def _read(self) -> None:
        """Everything that is there at first."""
        shelf = Shelf(self._shelf, edition=EDITION, alone=True)
        for name, noted in shelf.notes(self._places, note, tell=self._tell, fail=self._fail):
            self._put(Entry(self.id_of(name), name, listed(name, noted).summary), soon=True)
            if self._stopped.is_set():
                break
        shelf.close()
        self.reading = None
        self.version += 1

    def _names(self) -> list[str]:
        """The recordings whose names tell that they are some."""
        return [item.name for place in self._places for item in items_at(place, self._fail) if item.sure]

    def _rescan(self) -> None:
        """Conversations whose files are gone; and those that can't be followed (sealed ones), once they are there."""
        there = {self.id_of(item.name): item for place in self._places for item in items_at(place, self._fail)}
        if not self.entries.keys() <= there.keys():
            self.entries = {id_: entry for id_, entry in self.entries.items() if id_ in there}
            self.version += 1
        for id_, item in there.items():
            if item.sure and (id_ not in self.entries or self._unfollowed.get(id_, item.state) != item.state):
                self._unfollowed[id_] = item.state
                try:
                    self._put(Entry(id_, item.name, listed(item.name, note(item.path)).summary))
                except RawlogError as error:
                    self._fail(error)

    def _take(self, news: Iterable[News]) -> None:
        """What has been added."""
        grown = set()
        for one in news:
            live = self._live.pop(one.name, None)
            if live is None or one.first:
                live = LiveSummary()
            self._live[one.name] = live
            if len(self._live) > 2 * ACTIVE_LIMIT:
                del self._live[next(iter(self._live))]
            live.feed(one.event)
            grown.add(one.name)
        for name in grown & self._live.keys():
            self._grown = _now()
            self._put(Entry(self.id_of(name), name, replace(self._live[name].summary), self._grown))

    def _put(self, entry: Entry, *, soon: bool = False) -> None:
        """A new entry, or what is known now. With ``soon`` it need not be seen at once."""
        self.entries[entry.id] = entry
        if not soon or time.monotonic() > self._told + TELL:
            self._told = time.monotonic()
            self.version += 1

    def _tell(self, done: int, of: int) -> None:
        self.reading = done, of

    def _fail(self, error: RawlogError) -> None:
        if len(self.problems) < PROBLEMS_LIMIT:
            self.problems.append(str(error))
        self.version += 1


def _now() -> int:
    return time.time_ns() // 1000
