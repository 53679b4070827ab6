"""Where the recordings of a tap go: a directory with variables, a format, and who is told when nothing is recorded.

Knows: the directory's template, how to open files in it. Must not know: conversations, sockets. A reason
for not recording is told once for each path, not once for each conversation.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from rawlog.events import Direction
from rawlog.formats.base import Encoder
from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.directory import NotRecorded, resolve, shown
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.keeper import SEALED, Order
from rawlog.recorder.limits import Limit
from rawlog.recorder.naming import Opened, open_pair, open_single, stamped_stems
from rawlog.recorder.orders import Keepers
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.room import Rooms
from rawlog.recorder.roots import is_own
from rawlog.recorder.seal import Seal
from rawlog.settings.options import RawlogOptions
from rawlog.settings.variables import Template

OF_A_USER = frozenset(("user", "username", "domain", "home", "uid", "gid", "auth_user", "auth_username", "auth_domain"))

Values = Mapping[str, "str | bytes"]
Answer = Callable[["tuple[Recorder, str] | NotRecorded"], None]  # the recorder and the path of its files, or why not


OFF = NotRecorded("recording is switched off for this user", expected=True)


class Target:
    """Opens the recordings below one directory.

    ``create``: directories that are missing are made (0700); otherwise the directory is the switch, as in Dovecot.
    ``report`` gets the sentences of recorders, and of why nothing is recorded; with ``debug`` also when nobody asked
    for a recording. ``limit`` makes the limits of a recording, ``rooms`` adds those that it shares with others.
    ``seal``: recordings are sealed with it.
    """

    def __init__(
        self,
        directory: Template | None,
        encoder: Callable[[], Encoder],
        *,
        flusher: Flusher,
        report: Callable[[str], None],
        create: bool = False,
        debug: bool = True,
        limit: Callable[[Opened], Limit] | None = None,
        rooms: Rooms | None = None,
        seal: Seal | None = None,
    ) -> None:
        self.needs_user = directory is None or not directory.names.isdisjoint(OF_A_USER)
        self._directory = directory
        self._encoder = encoder
        self._flusher = flusher
        self._report = report
        self._create = create
        self._debug = debug
        self._limit = limit
        self._rooms = rooms
        self._seal = seal
        self._behind = SEALED if seal else ""
        self._told: set[str] = set()

    def open(self, values: Values, at: int, name: str, answer: Answer, *, instead: Template | None = None) -> None:
        """Answers with a recorder for the conversation ``name`` and the path of its files without ending, or why not.

        ``instead`` takes the place of the target's own directory.
        """
        directory = instead or self._directory
        if directory is None:
            answer(OFF)
        else:
            answer(self.recorder(self._open(directory, values, at), name, own=is_own(directory)))

    def recorder(
        self, opened: Opened | NotRecorded, name: str, *, own: bool = False
    ) -> tuple[Recorder, str] | NotRecorded:
        """A recorder on open files; when there are none, reports why. ``own``: their directory is one user's."""
        if isinstance(opened, NotRecorded):
            self._not_recorded(opened)
            return opened
        limit = self._limit(opened) if self._limit else None
        sinks = self._seal.over(opened.sinks) if self._seal else opened.sinks
        if self._rooms is not None:
            limit = self._rooms.limit(limit or Limit(0), opened.path, sinks, own=own)
        recorder = Recorder(self._encoder(), sinks, name=name, report=self._report, flusher=self._flusher, limit=limit)
        return recorder, opened.path

    def _open(self, directory: Template, values: Values, at: int) -> Opened | NotRecorded:
        path = resolve(directory, values)
        if isinstance(path, NotRecorded):
            return path
        if self._create and (refused := _make(path)):
            return refused
        if self._encoder().single:
            return open_single(path, stamped_stems(at), f".rawlog{self._behind}")
        return open_pair(path, stamped_stems(at), behind=self._behind)

    def _not_recorded(self, why: NotRecorded) -> None:
        if why.reason not in self._told and (self._debug or not why.expected):
            self._told.add(why.reason)
            self._report(f"not recorded: {why.reason}")


def _make(path: str) -> NotRecorded | None:
    """Make the directories of ``path`` that are missing, each 0700."""
    try:
        missing = [place for place in (Path(path), *Path(path).parents) if not place.exists()]
        for place in reversed(missing):
            place.mkdir(0o700, exist_ok=True)
    except OSError as error:
        return NotRecorded(f"{shown(path)}: the directory can't be made: {error.strerror}; make it, or choose another")
    return None


class HomeTarget(Target):
    """``dovecot.rawlog/`` in the user's home, opened by the keepers as that user."""

    def __init__(
        self,
        keepers: Keepers,
        options: RawlogOptions,
        *,
        flusher: Flusher,
        report: Callable[[str], None],
        debug: bool,
        limit: Callable[[Opened], Limit] | None = None,
        seal: Seal | None = None,
    ) -> None:
        def encoder() -> Encoder:
            return PairEncoder(stamps=options.stamps, boundaries=options.boundaries)

        super().__init__(None, encoder, flusher=flusher, report=report, debug=debug, limit=limit, seal=seal)
        self._keepers = keepers
        self._options = options

    def open(self, values: Values, at: int, name: str, answer: Answer, *, instead: Template | None = None) -> None:
        order = self._order(values, at)
        if isinstance(order, NotRecorded):
            answer(self.recorder(order, name))
        else:
            self._keepers.ask(order, lambda opened: answer(self.recorder(opened, name)))

    def _order(self, values: Values, at: int) -> Order | NotRecorded:
        user, home = values.get("user", ""), str(values.get("home", ""))
        if not home:
            return NotRecorded(
                f"user {shown(str(user))}: userdb returns no home; mail_home does not count", expected=True
            )
        try:
            uid, gid = int(values.get("uid", "")), int(values.get("gid", ""))
        except ValueError:
            return NotRecorded(f"user {shown(str(user))}: userdb returns no uid and gid; nobody can act as that user")
        directions = tuple(Direction) if self._options.only is None else (self._options.only,)
        address = str(values.get("rip", "")) if self._options.address else ""
        return Order(home, uid, gid, os.getpid(), at, address, directions, behind=self._behind)
