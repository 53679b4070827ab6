"""Several conversations at once on one screen.

Knows: whose lines are shown, and that a name stands above where another recording goes on. Must not know: files, how
lines are made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TextIO

from rawlog.reading.follow import ACTIVE_LIMIT, News
from rawlog.views.live import Live

WAITING_LIMIT = 1000
"""Lines of a recording that are kept until it is known whose it is."""

KEPT_LIMIT = 2 * ACTIVE_LIMIT
"""Recordings whose state is kept: more than those that are followed at once, so that no state is missed."""


class LiveScreen:
    """Writes the lines of recordings to ``stream``. ``make`` makes the state of one by its name.

    With ``users`` only recordings of these are shown: by who logged in, or while that is not known by the directories
    they lie in. ``title`` makes the line above a recording; None: there is none.
    """

    def __init__(
        self,
        stream: TextIO,
        make: Callable[[str], Live],
        *,
        users: Iterable[str] = (),
        title: Callable[[str], str] | None = None,
    ) -> None:
        self._stream = stream
        self._make = make
        self._users = frozenset(users)
        self._title = title
        self._live: dict[str, Live] = {}
        self._waiting: dict[str, deque[str]] = {}
        self._last = ""

    def show(self, news: Iterable[News]) -> None:
        """Writes what is new."""
        for one in news:
            live = self._live.pop(one.name, None)
            if live is None or one.first:
                live = self._make(one.name)
            self._live[one.name] = live
            if len(self._live) > KEPT_LIMIT:
                self._forget(next(iter(self._live)))
            self._write(one.name, live, live.feed(one.event, old=one.old))
        self._stream.flush()

    def end(self) -> None:
        """Writes what was not complete."""
        for name, live in self._live.items():
            self._write(name, live, live.end())
        self._stream.flush()

    def _forget(self, name: str) -> None:
        del self._live[name]
        self._waiting.pop(name, None)

    def _write(self, name: str, live: Live, lines: list[str]) -> None:
        if self._users and not self._is_wanted(name, live):
            self._wait(name, live, lines)
            return
        lines = [*self._waiting.pop(name, ()), *lines]
        if lines and name != self._last and self._title is not None:
            self._stream.write(("\n" if self._last else "") + self._title(name) + "\n")
            self._last = name
        for line in lines:
            self._stream.write(line + "\n")

    def _wait(self, name: str, live: Live, lines: list[str]) -> None:
        """Keeps the lines of a recording of which nobody knows yet whose it is."""
        if live.user:
            self._waiting.pop(name, None)
        else:
            self._waiting.setdefault(name, deque(maxlen=WAITING_LIMIT)).extend(lines)

    def _is_wanted(self, name: str, live: Live) -> bool:
        if live.user:
            return not self._users.isdisjoint((live.user, live.user.partition("@")[0]))
        return not self._users.isdisjoint(name.split("/")[:-1])
