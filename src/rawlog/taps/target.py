"""Where the recordings of a tap go: a directory with variables, a format, and who is told when nothing is recorded.

Knows: the directory's template, how to open files in it. Must not know: conversations, sockets. A reason for not
recording is told once for each path, not once for each conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from rawlog.formats.base import Encoder
from rawlog.recorder.directory import NotRecorded, resolve
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.naming import Opened, open_pair, open_single, stamped_stems
from rawlog.recorder.recorder import Recorder
from rawlog.settings.variables import Template

OF_A_USER = frozenset(("user", "username", "domain", "home", "uid", "gid", "auth_user", "auth_username", "auth_domain"))


class Target:
    """Opens the recordings below one directory.

    ``create``: directories that are missing are made (0700); otherwise the directory is the switch, as in Dovecot.
    ``report`` gets the sentences of recorders, and of why nothing is recorded.
    """

    def __init__(
        self,
        directory: Template,
        encoder: Callable[[], Encoder],
        *,
        create: bool,
        flusher: Flusher,
        report: Callable[[str], None],
    ) -> None:
        self.needs_user = not directory.names.isdisjoint(OF_A_USER)
        self._directory = directory
        self._encoder = encoder
        self._create = create
        self._flusher = flusher
        self._report = report
        self._told: set[str] = set()

    def open(self, values: Mapping[str, str | bytes], at: int, name: str) -> tuple[Recorder, str] | None:
        """A recorder for the conversation ``name`` and the path of its files without the ending; None: not recorded."""
        path = resolve(self._directory, values)
        if isinstance(path, NotRecorded):
            self._not_recorded(path)
            return None
        encoder = self._encoder()
        opened = self._open_files(path, encoder.single, at)
        if isinstance(opened, NotRecorded):
            self._not_recorded(opened)
            return None
        recorder = Recorder(encoder, opened.sinks, name=name, report=self._report, flusher=self._flusher)
        return recorder, opened.path

    def _open_files(self, path: str, single: bool, at: int) -> Opened | NotRecorded:
        if self._create:
            try:
                Path(path).mkdir(0o700, parents=True, exist_ok=True)
            except OSError as error:
                return NotRecorded(
                    f"{path}: the directory can't be made: {error.strerror}; make it, or give another --dir"
                )
        return open_single(path, stamped_stems(at)) if single else open_pair(path, stamped_stems(at))

    def _not_recorded(self, why: NotRecorded) -> None:
        if why.reason not in self._told:
            self._told.add(why.reason)
            self._report(f"not recorded: {why.reason}")
