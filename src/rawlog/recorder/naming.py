"""The names of recordings, and making their files.

Knows: Dovecot's two patterns of names, the next free name, how to make files that nobody prepared. Must not know:
formats, conversations, which directory it should be (``directory.py``).

The names (local time, as Dovecot writes it, so that existing tools and habits work):

* ``rawlog_dir`` and its family: ``YYYYmmdd-HHMMSS.PID.N``. N counts in this process from 1, over all its recordings.
  A name that is taken: the next N.
* the ``rawlog`` program: ``[IP-]YYYYmmdd-HHMMSS-PID``. A name that is taken: ``…-PID.2``, ``…-PID.3``, where Dovecot
  gives up.

The files: made new (O_EXCL), never through a link, relative to a directory descriptor, mode 0600 under any umask. Both
halves of a pair have one name; when one of them can't be made, none is left behind.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rawlog.events import Direction
from rawlog.recorder.directory import NotRecorded, open_directory, shown
from rawlog.recorder.sinks import FileSink

TRIES = 1000
"""Names that are tried for one recording. More than a few collisions don't come by chance: somebody makes them."""

WORDS = {direction: direction.value for direction in Direction}
"""What the directions are called. (Enum's own ``value`` is written in Python, and this is for every login.)"""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_APPEND
_PLAIN = stat.S_IFREG | 0o600
_ADDRESS = frozenset("0123456789abcdefABCDEF.:")


class _Numbers:
    """The counter N of this process: a forked child begins at 1 again, since its pid is another."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def restart(self) -> None:
        self._count = itertools.count(1)

    def take(self) -> int:
        return next(self._count)


_numbers = _Numbers()
os.register_at_fork(after_in_child=_numbers.restart)


def stamped_stems(at: int) -> Iterator[str]:
    """Names ``YYYYmmdd-HHMMSS.PID.N`` for a recording that begins at ``at`` (microseconds since the epoch)."""
    begin = f"{_local_time(at)}.{os.getpid()}."
    while True:
        yield f"{begin}{_numbers.take()}"


def dashed_stems(at: int, address: str = "", pid: int | None = None) -> Iterator[str]:
    """Names ``[IP-]YYYYmmdd-HHMMSS-PID``, as the ``rawlog`` program makes them; ``address`` is for ``-I``, ``pid`` is
    that of another process.

    What can't be part of an IP address is written as ``=XX``, so that no value leads out of the directory.
    """
    prefix = f"{_harmless(address)}-" if address else ""
    stem = f"{prefix}{_local_time(at)}-{os.getpid() if pid is None else pid}"
    yield stem
    for number in itertools.count(2):
        yield f"{stem}.{number}"


def _harmless(address: str) -> str:
    return "".join(
        c if c in _ADDRESS else "".join(f"={b:02X}" for b in c.encode(errors="surrogateescape")) for c in address
    )


def _local_time(at: int) -> str:
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(at // 1_000_000))


class Opened(NamedTuple):
    """The files of one recording. ``path`` is their common path without the ending, for messages and the log.

    ``sinks``: one for each direction that is recorded; both directions have the same one in a single file.
    """

    path: str
    sinks: dict[Direction, FileSink]


def open_pair(
    directory: int | str,
    stems: Iterator[str],
    directions: Sequence[Direction] = (Direction.IN, Direction.OUT),
    *,
    follow_last: bool = True,
    shown_as: str = "",
    behind: str = "",
) -> Opened | NotRecorded:
    """Makes ``STEM.in`` and ``STEM.out``, or only those in ``directions`` (none at all is possible: ``-f in -f out``).

    ``directory`` is a path (opened here, ``follow_last`` as in ``open_directory``) or a descriptor (which stays open;
    ``shown_as`` is its name in messages). ``behind`` is what the names end with: ``.age`` for what will be sealed.
    """
    endings = [f".{WORDS[direction]}{behind}" for direction in directions]
    made = _open(directory, stems, endings, follow_last, shown_as)
    if isinstance(made, NotRecorded):
        return made
    path, files = made
    return Opened(path, dict(zip(directions, files, strict=True)))


def open_single(
    directory: int | str,
    stems: Iterator[str],
    ending: str = ".rawlog",
    *,
    follow_last: bool = True,
    shown_as: str = "",
) -> Opened | NotRecorded:
    """Makes the one file ``STEM`` + ``ending`` of a format that keeps both directions together, like ``open_pair``."""
    made = _open(directory, stems, [ending], follow_last, shown_as)
    if isinstance(made, NotRecorded):
        return made
    path, files = made
    return Opened(path, dict.fromkeys(Direction, files[0]))


def _open(
    directory: int | str, stems: Iterator[str], endings: Sequence[str], follow_last: bool, shown_as: str
) -> tuple[str, list[FileSink]] | NotRecorded:
    if isinstance(directory, int):
        return _make_somewhere(directory, stems, endings, shown_as or f"descriptor {directory}")
    fd = open_directory(directory, follow_last=follow_last)
    if isinstance(fd, NotRecorded):
        return fd
    try:
        return _make_somewhere(fd, stems, endings, directory)
    finally:
        os.close(fd)


def _make_somewhere(
    directory: int, stems: Iterator[str], endings: Sequence[str], path: str
) -> tuple[str, list[FileSink]] | NotRecorded:
    """Makes the files under the first name that is free."""
    where = shown(path).rstrip("/")
    for stem in itertools.islice(stems, TRIES):
        try:
            return f"{where}/{stem}", _make_all(directory, where, stem, endings)
        except FileExistsError:
            continue
        except OSError as error:
            return _why(where, error)
    return NotRecorded(f"{where}: {TRIES} names in a row are taken; look who makes files there")


def _make_all(directory: int, where: str, stem: str, endings: Sequence[str]) -> list[FileSink]:
    """Makes all files or, raising OSError, none."""
    made: list[FileSink] = []
    try:
        for ending in endings:
            made.append(FileSink(_make(directory, stem + ending), f"{where}/{stem}{ending}"))
    except OSError:
        for sink, ending in zip(made, endings, strict=False):
            _discard(directory, sink.fd, stem + ending)
        raise
    return made


def _make(directory: int, name: str) -> int:
    """One new file, 0600, that has no other name. Raises OSError."""
    fd = os.open(name, _NEW_FILE, 0o600, dir_fd=directory)
    try:
        info = os.fstat(fd)
        if info.st_nlink != 1 or stat.S_IFMT(info.st_mode) != stat.S_IFREG:
            raise OSError(errno.EPERM, f"{name} was linked to another name while it was made")
        if info.st_mode != _PLAIN:
            os.fchmod(fd, 0o600)
    except OSError:
        _discard(directory, fd, name)
        raise
    return fd


def _discard(directory: int, fd: int, name: str) -> None:
    """Takes a file back that was made a moment ago."""
    os.close(fd)
    with contextlib.suppress(OSError):  # then an empty file stays behind; the report of the failure itself says more
        os.unlink(name, dir_fd=directory)


def _why(where: str, error: OSError) -> NotRecorded:
    user = os.geteuid()
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotRecorded(
            f"{where} is not writable by uid {user}; give this user the directory (chown) or write access",
            denied=error.errno == errno.EACCES,
        )
    if error.errno == errno.ENOENT:
        return NotRecorded(f"{where} was removed a moment ago; make it (mkdir) to record", expected=True)
    return NotRecorded(f"{where}: no file can be made: {error.strerror}")
