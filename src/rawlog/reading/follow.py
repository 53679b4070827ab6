"""Recordings while they grow: those that are there, and new ones as they begin.

Knows: looking at directories and files again and again. Must not know: what is shown, and for how long; whoever asks
says what time it is, and sleeps in between.

It looks instead of being told (inotify): that works on every file system. Most files of a large tree never grow again,
so only those that have lately are looked at each time, and the others in turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from os import scandir, stat_result
from pathlib import Path

from rawlog.errors import FormatError, RawlogError
from rawlog.events import Event
from rawlog.reading.follow_recording import GrowingFile, GrowingRecording, NotARecordingError
from rawlog.reading.names import halves_of, parse_name, stem_of
from rawlog.reading.source import unreadable

HOT = 600_000_000
"""Microseconds for which a file that has grown is looked at each time: longer than a client is silent in between."""

COLD_EACH_TIME = 1000
"""Of the other files so many are looked at each time, in turn."""

ACTIVE_LIMIT = 500
"""Recordings whose state is kept. One beyond that is read again from its beginning when it grows."""

GRAIN = 2_000_000_000
"""Nanoseconds in which two changes of a directory may have the same time."""


@dataclass(frozen=True, slots=True)
class News:
    """An event of the recording ``name``. ``old``: it was there before the following began.

    ``first``: the recording begins here; what came of it before, if anything did, comes again.
    """

    name: str
    event: Event
    old: bool
    first: bool


class Follower:
    """Follows directories and recordings. ``fail`` is told once of each thing that can't be read.

    What is in the files at first is old; with ``everything`` it is news as well.
    """

    def __init__(self, places: list[str], *, now: int, everything: bool, fail: Callable[[RawlogError], None]) -> None:
        self._fail = fail
        self._failed: set[str] = set()
        self._all_is_new = everything
        self._directories: dict[str, int] = {}  # and when they changed last
        self._files: dict[str, GrowingFile] = {}
        self._ignored: set[str] = set()  # files that are no recordings
        self._hot: dict[str, int] = {}  # files, and when they grew last
        self._cold: deque[str] = deque()
        self._active: dict[str, GrowingRecording] = {}  # the one that grew last is the last
        self._begun: set[str] = set()  # recordings of which nothing was given yet
        for place in places:
            self._add(place, now)
        self._scan(now)
        self._all_is_new = True

    def poll(self, now: int) -> Iterator[News]:
        """What has been added since the last time. ``now`` is in microseconds since the epoch."""
        self._scan(now)
        for path in self._due(now):
            yield from self._look(self._files[path], now)
        for name, recording in self._active.items():
            yield from (self._news(name, event) for event in recording.settled(now))

    def end(self) -> Iterator[News]:
        """What was held back, now that the following ends."""
        for name, recording in self._active.items():
            yield from (self._news(name, event) for event in recording.settled(None))

    def _news(self, name: str, event: Event, *, old: bool = False) -> News:
        first = name in self._begun
        self._begun.discard(name)
        return News(name, event, old, first)

    # -- which files ------------------------------------------------------------------------------------------------

    def _add(self, place: str, now: int) -> None:
        """One of the places that were named: a directory, or a recording with its halves."""
        if Path(place).is_dir():
            self._directories[place.rstrip("/") or "/"] = -1
            return
        stem = stem_of(place)
        halves = halves_of(stem) if parse_name(f"{Path(stem).name}.in") else []
        if not any(Path(path).exists() for path in (place, *halves)):
            self._tell(place, FileNotFoundError())
        for path in {place, *halves}:
            with suppress(OSError):
                self._note(path, Path(path).stat())
                self._hot[path] = now

    def _scan(self, now: int) -> None:
        """Looks into the directories that have changed."""
        waiting = list(self._directories)
        while waiting:
            directory = waiting.pop()
            try:
                changed = Path(directory).stat().st_mtime_ns
                if changed == self._directories[directory] and now * 1000 - changed > GRAIN:
                    continue
                waiting += self._look_into(directory)
                self._directories[directory] = changed
            except OSError as error:
                self._tell(directory, error)
                del self._directories[directory]

    def _look_into(self, directory: str) -> list[str]:
        """Notes the new files of a directory; gives its new directories."""
        new = []
        with scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.path not in self._directories:
                        self._directories[entry.path] = -1
                        new.append(entry.path)
                elif entry.path not in self._files and entry.is_file(follow_symlinks=False):
                    with suppress(OSError):
                        self._note(entry.path, entry.stat(follow_symlinks=False))
        return new

    def _note(self, path: str, status: stat_result) -> None:
        """There is such a file."""
        if path not in self._ignored:
            self._files[path] = GrowingFile(path, seen=0 if self._all_is_new else status.st_size)
            self._hot[path] = status.st_mtime_ns // 1000

    def _due(self, now: int) -> list[str]:
        """The files to look at this time."""
        for path in [path for path, grown in self._hot.items() if now - grown > HOT]:
            del self._hot[path]
        if not self._cold:
            self._cold.extend(self._files)
        due = dict.fromkeys(self._hot)
        while self._cold and len(due) < len(self._hot) + COLD_EACH_TIME:
            due[self._cold.popleft()] = None
        return [path for path in due if path in self._files]

    # -- what is in them ------------------------------------------------------------------------------------------

    def _look(self, file: GrowingFile, now: int) -> Iterator[News]:
        """What has been added to one file."""
        try:
            if Path(file.path).stat().st_size <= max(file.seen, file.taken):
                return
            self._hot[file.path] = now
            name = _name(file.path)
            if name not in self._active:
                yield from self._begin(name)
            self._active[name] = recording = self._active.pop(name)
            yield from (self._news(name, event) for event in recording.take(file))
        except FileNotFoundError:
            self._drop(file.path)
        except NotARecordingError:
            self._drop(file.path)
            self._ignored.add(file.path)
        except OSError as error:
            self._tell(file.path, error)
        except FormatError as error:
            self._drop(file.path)
            self._ignored.add(file.path)
            self._fail(error)

    def _begin(self, name: str) -> Iterator[News]:
        """Reads what was there of a recording before."""
        if len(self._active) >= ACTIVE_LIMIT:
            oldest = next(iter(self._active))
            del self._active[oldest]
            for file in self._files_of(oldest):
                file.seen = max(file.seen, file.taken)
        self._active[name] = recording = GrowingRecording()
        self._begun.add(name)
        yield from (self._news(name, event, old=True) for event in recording.begin(self._files_of(name)))

    def _files_of(self, name: str) -> list[GrowingFile]:
        return [self._files[path] for path in (name, *halves_of(name)) if path in self._files]

    def _drop(self, path: str) -> None:
        self._files.pop(path, None)
        self._hot.pop(path, None)

    def _tell(self, path: str, error: OSError) -> None:
        if path not in self._failed:
            self._failed.add(path)
            self._fail(unreadable(path, error))


def _name(path: str) -> str:
    """The name of the recording that a file belongs to."""
    return stem_of(path) if parse_name(path.rpartition("/")[2]) else path
