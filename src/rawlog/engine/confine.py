"""What a process takes from itself, for good: files, the network, new rights, and a memory that others can read.

The theory. A process that has lost its mind can do what it is allowed to do. So each one says at its start what it
will need, and the kernel refuses everything else from then on, to it and to all it forks (Landlock, Linux 5.13; for TCP
6.7). Where the kernel has no Landlock the rest still holds, and ``rawlog doctor`` says so.

Knows: prctl, Landlock's system calls and which rights each version of it knows. Must not know: who needs what. There is
no library for this, so it is ctypes; the numbers are the same on all architectures.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import stat
import struct
from collections.abc import Callable, Collection
from functools import cache
from typing import NamedTuple

_PR_SET_DUMPABLE, _PR_SET_NAME, _PR_SET_NO_NEW_PRIVS = 4, 15, 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # the flag of create_ruleset that asks for it
_BENEATH, _PORT = 1, 2
_CAPABILITY_VERSION = 0x20080522

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = (1 << bit for bit in range(13, 16))
_BIND, _CONNECT = 1, 2

READ = READ_FILE | READ_DIR
CREATE = MAKE_REG | WRITE_FILE | TRUNCATE
"""To make files and write them: not to read them, nor to remove any."""
EVERYTHING = (1 << 16) - 1
_OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_SINCE = ((1, 13), (2, 14), (3, 15), (5, 16))  # a version of Landlock, and how many rights it knows

NETWORK_VERSION = 4
"""From this version on Landlock knows TCP."""

Syscall = Callable[..., int]  # gives what the kernel gives, minus errno where it refuses


class Rules(NamedTuple):
    """What a process may still do with files and TCP.

    ``files``: paths, each with the rights beneath it; a path that does not exist is left out. ``handled``: the rights
    that are taken away everywhere else. ``connect``: the ports to which TCP may go, None for any. ``bind``: whether it
    may listen on TCP.
    """

    files: Collection[tuple[str, int]] = ()
    handled: int = EVERYTHING
    connect: Collection[int] | None = ()
    bind: bool = False


def close_to_others() -> None:
    """No core dumps, and nobody else may look into our memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)


def no_new_privileges() -> None:
    """From here on no program that is executed gets more rights than we have; there is nobody who would need some."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up what of root's rights was given to an ordinary user, as to listen on ports below 1024. Root keeps all."""
    capset = getattr(ctypes.CDLL(None), "capset", None)
    if capset is not None and os.geteuid() != 0:
        capset(struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24))


def call_it(name: str) -> None:
    """What ps shows as the command of this process; 15 bytes at most."""
    _prctl(_PR_SET_NAME, name.encode()[:15])


def _prctl(option: int, value: int | bytes) -> None:
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(option, value, 0, 0, 0)


@cache
def _libc() -> Syscall | None:
    libc = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "syscall", None)
    if call is None:
        return None

    def syscall(*arguments: object) -> int:
        given = (ctypes.c_long(word) if isinstance(word, int) else word for word in arguments)
        result = int(call(*given))
        return result if result >= 0 else -ctypes.get_errno()

    return syscall


def landlock_version(syscall: Syscall | None = None) -> int:
    """The version of the kernel's Landlock; 0 where there is none, or it is switched off."""
    syscall = syscall or _libc()
    return max(0, syscall(_CREATE_RULESET, None, 0, _VERSION)) if syscall is not None else 0


def confine(rules: Rules, syscall: Syscall | None = None) -> bool:
    """Keep this thread, and all that it starts, to the rules for good; False where the kernel can't.

    Files and sockets that are open stay as they are. Raises OSError when the kernel can, and something is wrong.
    """
    no_new_privileges()
    syscall = syscall or _libc()
    version = landlock_version(syscall)
    if not version or syscall is None:
        return False
    handled = rules.handled & (1 << max(count for since, count in _SINCE if since <= version)) - 1
    net = 0 if version < NETWORK_VERSION else (0 if rules.bind else _BIND) | (0 if rules.connect is None else _CONNECT)
    form = "=QQ" if version >= NETWORK_VERSION else "=Q"
    ruleset = _checked(syscall(_CREATE_RULESET, *_packed(form, handled, net), 0))
    try:
        for path, rights in rules.files:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _allow(syscall, ruleset, path, rights & handled)
        for port in rules.connect or () if net & _CONNECT else ():
            _checked(syscall(_ADD_RULE, ruleset, _PORT, _packed("=QQ", _CONNECT, port)[0], 0))
        _checked(syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def confine_or_say(rules: Rules, report: Callable[[str], None]) -> None:
    """The same for who goes on in any case."""
    try:
        confine(rules)
    except OSError as error:
        report(f"this process can't be kept to its work: {error}; it goes on; see rawlog doctor")


def _allow(syscall: Syscall, ruleset: int, path: str, rights: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_A_FILE
        if rights:
            _checked(syscall(_ADD_RULE, ruleset, _BENEATH, _packed("=Qi", rights, fd)[0], 0))
    finally:
        os.close(fd)


def _packed(form: str, *numbers: int) -> tuple[bytes, int]:
    data = struct.pack(form, *(numbers[: len(form) - 1]))
    return data, len(data)


def _checked(result: int) -> int:
    if result < 0:
        code = -result or errno.EIO
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result
