"""What a long-lived service makes of its process: limits, memory, and no rights that it does not need.

Knows: the system's switches. Must not know: what the service does. The process that relays everybody's mail needs
neither root nor files of anybody: the keepers open these. So it becomes a user that owns nothing, cannot be inspected
by others of that user, and leaves no memory on the disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pwd
import resource

from rawlog.engine.confine import close_to_others

USERS = ("rawlog", "nobody")
"""Who the service becomes when it was started by root: the first one there is. An own user, ``rawlog``, is better:
what other programs do as ``nobody`` could signal us."""
NOBODY = 65534
READ_MAX = 480 << 10
"""Bytes of the largest read, once malloc keeps its memory. With a small one in the other direction a conversation stays
below the 512 KiB that it may hold; a message takes an eighth less time than with 256 KiB."""
FDS_PER_PLACE = 4
"""Client, mail process, and two files."""
FDS_SPARE = 64

GC_THRESHOLD = 20_000
"""New objects until the collector looks at them; a login makes some hundred, and leaves no circles behind."""

_MALLOPT = ((-3, 32 << 20), (-1, 64 << 20), (-2, 1 << 20))  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD


def settle_memory() -> bool:
    """Keeps malloc from giving large blocks back after every read, and the collector from walking what stays.

    False where malloc takes no such advice (not glibc); large reads then cost more than they save.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(sum(mallopt(name, value) for name, value in _MALLOPT) == len(_MALLOPT))  # each gives 1


def make_room(places: int) -> None:
    """Raises the limit of open files as far as it may be, up to what ``places`` conversations need."""
    wanted = places * FDS_PER_PLACE + FDS_SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    ceiling = wanted if os.geteuid() == 0 or hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, max(ceiling, hard)))


def give_up_root() -> str:
    """Becomes an unprivileged user for good, when we are root; returns its name, empty when we are not root.

    Raises PermissionError when root can be had again.
    """
    close_to_others()
    if os.geteuid() != 0:
        return ""
    name, uid, gid = _unprivileged()
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    close_to_others()
    with contextlib.suppress(PermissionError):
        os.setuid(0)
        raise RuntimeError("root was given up and can be had again")
    return name


def _unprivileged() -> tuple[str, int, int]:
    for name in USERS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return name, entry.pw_uid, entry.pw_gid
    return str(NOBODY), NOBODY, NOBODY
