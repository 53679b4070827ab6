"""Which recordings are in a directory, sorted by their start.

Knows: that names of Dovecot's families are halves of pairs, and that a file with another name is a recording only when
its content says so. Must not know: how a recording is read.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from rawlog.errors import RawlogError
from rawlog.formats.combined import COMBINED_HEAD
from rawlog.formats.native import MAGIC
from rawlog.reading.names import parse_name
from rawlog.reading.source import unreadable
from rawlog.reading.unseal import is_sealed_file

_SNIFF = 64

Order = tuple[str, int, int]


def recordings_below(directory: str, *, on_error: Callable[[RawlogError], None] | None = None) -> list[str]:
    """Paths of the recordings in a directory and below it, one path for each pair, sorted by their start.

    The start is the local time in the name, or the time of the last change where a name has none. Symbolic links are
    not followed. ``on_error`` is told of a directory that can't be read; without it the error is raised.
    """
    found: dict[str, tuple[Order, str]] = {}

    def fail(error: OSError) -> None:
        failure = unreadable(error.filename or directory, error)
        if on_error is None:
            raise failure
        on_error(failure)

    for folder, _, names in os.walk(directory, onerror=fail):
        for name in sorted(names):
            path = Path(folder, name)
            order = _order(path)
            if order:
                parsed = parse_name(name)
                found.setdefault(str(path.with_name(parsed.stem) if parsed else path), (order, str(path)))
    return [path for _, path in sorted(found.values())]


def _order(path: Path) -> Order | None:
    """What sorts this file among the others; None when it is no recording."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if parsed := parse_name(path.name):
            return parsed.order
        with path.open("rb", buffering=0) as file:
            head = file.read(_SNIFF)
    except OSError:
        return None  # gone meanwhile, or not ours to read: with such a name it is hardly a recording
    if not (head.startswith(MAGIC) or COMBINED_HEAD.match(head) or is_sealed_file(path.name, head)):
        return None
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(status.st_mtime)), 0, 0
