"""What each kind of process may still do once it has begun its work, as far as that depends on no configuration.

Knows: what Python and the C library read late, where homes can be. Must not know: how the kernel is told (confine.py).
Each list is as short as the work allows. It is loaded by processes that count every kilobyte.
"""

from __future__ import annotations

import os
import sys

from rawlog.engine.confine import (
    CREATE,
    EXECUTE,
    MAKE_BLOCK,
    MAKE_CHAR,
    MAKE_FIFO,
    MAKE_SYM,
    READ,
    REMOVE_FILE,
    Rules,
)

NO_HOMES = frozenset(
    ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "root", "run", "sbin", "sys", "usr")
)
"""What stands in ``/`` and holds no mail user's home: programs, their settings, devices, root's own."""

_SYSTEM = (  # time zones, users, character sets, modules of the C library
    "/etc/group",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
)

Files = list[tuple[str, int]]


def master() -> Rules:
    """For who starts the others: it listens, reads and forks, but it executes nothing and makes no strange files."""
    return Rules(handled=EXECUTE | MAKE_CHAR | MAKE_BLOCK | MAKE_FIFO | MAKE_SYM, connect=None, bind=True)


def relaying() -> Rules:
    """For who moves bytes between sockets that others open, into files that others open: no file, no connection."""
    return Rules(runtime())


def reborn(rules: Rules) -> Rules:
    """The rules for a process that may become a new one of itself: by executing Python, and nothing else."""
    programs = [os.path.realpath(sys.executable), "/lib", "/lib64", "/usr/lib", "/usr/lib64"]  # with the loader
    return rules._replace(
        files=[*rules.files, ("/etc/ld.so.cache", READ), *((path, READ | EXECUTE) for path in programs)]
    )


def keeping() -> Rules:
    """For a keeper: it makes files where homes can be. It reads none, removes none, and speaks with nobody."""
    return Rules([*runtime(), *((home, CREATE) for home in homes())])


def reading() -> Rules:
    """For who only shows recordings: it reads what it likes; it changes nothing, and speaks with nobody."""
    return Rules([("/", READ), ("/dev/null", CREATE), ("/dev/tty", CREATE)])


def viewing(notes: str) -> Rules:
    """For who shows recordings to who asks on a socket that listens already, and keeps notes in one directory."""
    rules = reading()
    return rules._replace(files=[*rules.files, (notes, READ | CREATE | REMOVE_FILE)])


def homes() -> list[str]:
    """The directories in ``/`` beneath which mail users' homes can be."""
    with os.scandir("/") as entries:
        return sorted(entry.path for entry in entries if entry.name not in NO_HOMES and entry.is_dir())


def runtime() -> Files:
    """What Python may load late."""
    paths = {*sys.path, sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)}  # noqa: PTH120 - no pathlib here
    return [(path, READ) for path in (*sorted(paths), *_SYSTEM) if path.startswith("/") and path != "/"]
