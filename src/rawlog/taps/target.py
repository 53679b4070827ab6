"""Where the recordings of a tap go: a directory with variables, a format, and who is told when nothing is recorded.

Knows: the directory's template, the names of files, how to open them. Must not know: conversations, sockets. A reason
for not recording is told once for each path, not once for each conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rawlog.events import Direction
from rawlog.formats.base import Encoder
from rawlog.recorder.directory import NotRecorded, resolve, shown
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.limits import Limit
from rawlog.recorder.naming import Opened, dashed_stems, open_pair, open_single, stamped_stems
from rawlog.recorder.recorder import Recorder
from rawlog.settings.variables import Template

OF_A_USER = frozenset(("user", "username", "domain", "home", "uid", "gid", "auth_user", "auth_username", "auth_domain"))

Values = Mapping[str, "str | bytes"]


@dataclass(frozen=True, slots=True)
class Naming:
    """How files are named and which are made: as the ``rawlog_dir`` family does, or (``dashed``) as the ``rawlog``
    program does: with ``address`` as with its -I, ``directions`` as with its -f, and never through a linked directory.
    """

    dashed: bool = False
    address: bool = False
    directions: tuple[Direction, ...] = (Direction.IN, Direction.OUT)

    def stems(self, values: Values, at: int) -> Iterator[str]:
        """The names to try for a recording that begins at ``at``."""
        if self.dashed:
            return dashed_stems(at, str(values.get("rip", "")) if self.address else "")
        return stamped_stems(at)


class Target:
    """Opens the recordings below one directory.

    ``create``: directories that are missing are made (0700); otherwise the directory is the switch, as in Dovecot.
    ``report`` gets the sentences of recorders, and of why nothing is recorded; with ``debug`` also when nobody asked
    for a recording. ``limit`` makes the limits of a recording in a directory.
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
        naming: Naming | None = None,
        limit: Callable[[str], Limit] | None = None,
    ) -> None:
        self.needs_user = directory is None or not directory.names.isdisjoint(OF_A_USER)
        self._directory = directory
        self._encoder = encoder
        self._flusher = flusher
        self._report = report
        self._create = create
        self._debug = debug
        self._naming = naming or Naming()
        self._limit = limit
        self._told: set[str] = set()

    def open(
        self, values: Values, at: int, name: str, *, instead: Template | None = None
    ) -> tuple[Recorder, str] | None:
        """A recorder for the conversation ``name`` and the path of its files without the ending; None: not recorded.

        ``instead`` takes the place of the target's own directory.
        """
        directory = instead or self._directory
        if directory is None:
            return None
        opened = self._open(directory, values, at)
        if isinstance(opened, NotRecorded):
            self._not_recorded(opened)
            return None
        encoder, files, limit = opened
        recorder = Recorder(encoder, files.sinks, name=name, report=self._report, flusher=self._flusher, limit=limit)
        return recorder, files.path

    def _open(self, directory: Template, values: Values, at: int) -> tuple[Encoder, Opened, Limit | None] | NotRecorded:
        path = resolve(directory, values)
        if isinstance(path, NotRecorded):
            return path
        if self._create and (refused := _make(path)):
            return refused
        encoder, stems, follow = self._encoder(), self._naming.stems(values, at), not self._naming.dashed
        if encoder.single:
            files = open_single(path, stems, follow_last=follow)
        else:
            files = open_pair(path, stems, self._naming.directions, follow_last=follow)
        if isinstance(files, NotRecorded):
            return files
        return encoder, files, self._limit(path) if self._limit else None

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
