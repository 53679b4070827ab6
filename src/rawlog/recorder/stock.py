"""The recordings that lie in a directory: their age and size, whether they are being written; and their removal.

Knows: which file names are recordings, and how to reach and remove files without being led astray by links. Must not
know: which of them should go (``housekeeping.py``, ``forgetting.py``), what is in them.

Only files with the names that recorders give are ever touched. Directories are opened one below the other and never
through a link; a file is removed only when it is still the one that was looked at.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rawlog.errors import RawlogError
from rawlog.reading.names import parse_name
from rawlog.recorder.directory import NotRecorded, open_directory, shown

QUIET = 60
"""Seconds without a change before a file may be taken for complete, whatever else speaks for it."""

QUIET_UNSURE = 3600
"""The same where the system can't say who has a file open: longer than any client is silent in IDLE (RFC 2177)."""

DEPTH_LIMIT = 32
"""Directories below each other; a recorder makes none."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NATIVE = ".rawlog"

Fail = Callable[[RawlogError], None]


@dataclass(frozen=True, slots=True)
class Lying:
    """One recording. ``top`` and ``folders`` lead to it; ``files`` are names and inode numbers.

    ``size`` in bytes, ``changed`` in seconds since the epoch: the latest change of its files. ``device`` is that of the
    file system.
    """

    top: str
    folders: tuple[str, ...]
    stem: str
    files: tuple[tuple[str, int], ...]
    size: int
    changed: float
    device: int

    @property
    def directory(self) -> str:
        """Where it lies."""
        return str(Path(self.top, *self.folders))

    @property
    def path(self) -> str:
        """Its name, without the ending for a pair."""
        return str(Path(self.directory, self.stem))


def stem_of(name: str) -> str | None:
    """What the files of one recording have in common; None when a file of this name is no recording.

    >>> stem_of("20261122-104500.77.1.in"), stem_of("20261122-104500.77.1.rawlog"), stem_of("notes.in")
    ('20261122-104500.77.1', '20261122-104500.77.1.rawlog', None)
    """
    if parsed := parse_name(name):
        return parsed.stem
    plain = name.removesuffix(".age")
    is_native = plain.endswith(_NATIVE) and parse_name(plain.removesuffix(_NATIVE) + ".in")
    return name if is_native else None


def lying_at(top: str, fail: Fail, *, below: bool = True, own: bool = False) -> Iterator[Lying]:
    """The recordings in a directory, and those in the directories below it unless that is not wanted.

    ``own``: the directory is one user's, so ``top`` becomes what it lies in. ``fail`` is told of directories that can't
    be read.
    """
    top = str(Path(top).absolute())
    waiting: list[tuple[str, ...]] = [()]
    if own:
        top, name = str(Path(top).parent), Path(top).name
        waiting = [(name,)]
    while waiting:
        folders = waiting.pop()
        try:
            with _opened(top, folders) as fd:
                found = _recordings(top, folders, fd)
                if below and len(folders) < DEPTH_LIMIT:
                    waiting += [(*folders, name) for name in _folders(fd)]
        except OSError as error:
            fail(RawlogError(f"{shown(str(Path(top, *folders)))}: can't be read: {error.strerror}"))
            continue
        yield from found


def _recordings(top: str, folders: tuple[str, ...], fd: int) -> list[Lying]:
    """The recordings among the files of one directory."""
    groups: dict[str, list[tuple[str, os.stat_result]]] = {}
    for name in sorted(os.listdir(fd)):
        if stem := stem_of(name):
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                groups.setdefault(stem, []).append((name, status))
    return [
        Lying(
            top,
            folders,
            stem,
            tuple((name, status.st_ino) for name, status in files),
            sum(status.st_size for _, status in files),
            max(status.st_mtime for _, status in files),
            files[0][1].st_dev,
        )
        for stem, files in groups.items()
    ]


def _folders(fd: int) -> list[str]:
    with os.scandir(fd) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))


@contextmanager
def _opened(top: str, folders: tuple[str, ...]) -> Iterator[int]:
    """A descriptor of a directory, reached without links below ``top``. Raises OSError."""
    first = open_directory(top)
    if isinstance(first, NotRecorded):
        raise OSError(errno.ENOENT, str(first))
    fd = first
    try:
        for folder in (".", *folders):
            deeper = os.open(folder, _DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = deeper
        yield fd
    finally:
        os.close(fd)


def is_busy(item: Lying, now: float) -> bool:
    """Whether a recording is, or may be, still being written. ``now`` in seconds since the epoch.

    A file changed a moment ago is; else the system is asked whether anybody has it open for writing, by a lease.
    """
    if now - item.changed < QUIET:
        return True
    try:
        with _opened(item.top, item.folders) as fd:
            return any(_is_open(name, fd, now - item.changed) for name, _ in item.files)
    except OSError:
        return False  # gone, or out of reach: removing it will say which


def _is_open(name: str, directory: int, age: float) -> bool:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return age < QUIET_UNSURE
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN or age < QUIET_UNSURE
    except AttributeError:  # a system without leases
        return age < QUIET_UNSURE
    finally:
        os.close(fd)
    return False


def noted_as(item: Lying) -> str:
    """The name of a recording among the notes of those who list recordings: without links on the way."""
    return str(Path(item.directory).resolve() / item.stem)


def remove(item: Lying) -> None:
    """Remove a recording. Raises RawlogError when that can't be, or when its files are others by now."""
    try:
        with _opened(item.top, item.folders) as fd:
            for name, inode in item.files:
                try:
                    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if status.st_ino != inode or not stat.S_ISREG(status.st_mode):
                    raise RawlogError(
                        f"{shown(item.path)}: was replaced meanwhile and is not removed; look who does that"
                    )
                os.unlink(name, dir_fd=fd)
    except OSError as error:
        raise RawlogError(f"{shown(item.path)}: can't be removed: {error.strerror}") from None
