"""Kernel pipes: where bytes in flight lie while no process has them in its memory.

Knows: what Linux offers for them: splice, tee, how much a pipe holds, how large it may be. Must not know: sockets, what
the bytes are, who writes down to whom they belong. A process that dies takes its memory along, but not what is in a
pipe that another process holds open too.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
import sys
import termios
from collections.abc import Callable, Iterable
from dataclasses import dataclass

CAPACITY = 256 << 10
"""Bytes that a pipe is asked to hold. The system may refuse (pipe-user-pages-soft); 64 KiB do too."""
MORE = 4
"""Pipes made at a time: one serves all directions that are not held up, each slow reader takes one for itself."""

_F_SETPIPE_SZ = 1031
NONBLOCK = 2
"""SPLICE_F_NONBLOCK."""


def why_not() -> str:
    """Why conversations can't be relayed by pipes on this system, as the end of a sentence; empty when they can."""
    if not sys.platform.startswith("linux"):
        return f"it needs Linux, this is {sys.platform}"
    if not hasattr(os, "splice") or not hasattr(os, "memfd_create") or not hasattr(os, "pidfd_open"):
        return "this Python lacks os.splice, os.memfd_create or os.pidfd_open"
    try:
        os.close(os.pidfd_open(os.getpid()))
        os.close(os.memfd_create("rawlog"))
    except OSError as error:
        return f"the system refuses pidfd_open or memfd_create: {error.strerror}"
    return "" if hasattr(ctypes.CDLL(None), "tee") else "the C library has no tee"


@dataclass(frozen=True, slots=True)
class Pipe:
    """A pipe and its number in the ledger."""

    index: int
    reader: int
    writer: int

    def waiting(self) -> int:
        """Bytes it holds (FIONREAD)."""
        answer = fcntl.ioctl(self.reader, termios.FIONREAD, b"\0\0\0\0")
        return int(struct.unpack("i", answer)[0])

    def empty(self) -> None:
        """Throw away what it holds."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.reader, CAPACITY):
                pass

    def look(self) -> bytes:
        """A copy of all that it holds; it stays there (tee)."""
        size = self.waiting()
        reader, writer = open_pipe(max(size, CAPACITY))
        try:
            copied = tee(self.reader, writer, size) if size else 0
            if copied != size:
                raise OSError(f"tee copied {copied} of {size} bytes")
            return b"".join(_pieces(reader, size))
        finally:
            os.close(reader)
            os.close(writer)


def _pieces(reader: int, size: int) -> Iterable[bytes]:
    while size:
        piece = os.read(reader, size)
        size -= len(piece)
        yield piece


def open_pipe(capacity: int = CAPACITY) -> tuple[int, int]:
    """A new pipe, non-blocking: the ends for reading and for writing. Raises OSError."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        fcntl.fcntl(writer, _F_SETPIPE_SZ, capacity)
    return reader, writer


def tee(source: int, target: int, size: int) -> int:
    """Copy up to ``size`` bytes from pipe to pipe without taking them (tee(2)). Raises OSError."""
    copied = int(_libc().tee(source, target, ctypes.c_size_t(size), NONBLOCK))
    if copied < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return copied


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class Pool:
    """Pipes that are empty. The last one in ``free`` serves everybody; who has to wait with bytes in it takes it out.

    ``publish(pipes)`` is told of new ones before they are used, so that another process can hold them too.
    """

    def __init__(self, pipes: Iterable[Pipe], publish: Callable[[list[Pipe]], None]) -> None:
        self.free = list(pipes)
        self._count = len(self.free)
        self._publish = publish
        self._waiting: list[Callable[[], None]] = []

    def count(self, known: int) -> None:
        """So many numbers are given away already."""
        self._count = known

    def grow(self) -> bool:
        """Make more pipes; False when the system gives none."""
        new: list[Pipe] = []
        with contextlib.suppress(OSError):
            for index in range(self._count, self._count + MORE):
                new.append(Pipe(index, *open_pipe()))
        self._count += len(new)
        if new:
            self._publish(new)
        self.free += new
        return bool(new)

    def give(self, pipe: Pipe) -> None:
        """It is empty again."""
        self.free.append(pipe)
        if self._waiting:
            self._waiting.pop(0)()

    def wait(self, callback: Callable[[], None]) -> None:
        """Call back when there is one again."""
        self._waiting.append(callback)
