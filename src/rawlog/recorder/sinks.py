"""Where encoded bytes go: a file, or memory.

Knows: how to write everything to a descriptor, and to say how much was taken when that fails. Must not know: formats,
directions, retries. What to do about a failure is the recorder's decision, and for an exact count of what was lost it
needs one number: ``written``.
"""

from __future__ import annotations

import errno
import os
from typing import Protocol

Piece = bytes | memoryview
"""What a sink takes. It does not change any more, so it may be kept until it is written."""


class Sink(Protocol):
    """One stream of encoded bytes. ``name`` is what messages call it; ``written`` is how many bytes it has taken."""

    name: str
    written: int

    def write(self, *pieces: Piece) -> None:
        """Takes all bytes of all pieces, or raises OSError with ``written`` telling how many were taken."""

    def close(self) -> None:
        """Gives the descriptor back. Raises OSError when the system says only now that something went wrong."""


class FileSink:
    """Writes to a descriptor, which it owns from here on."""

    __slots__ = ("fd", "name", "written")

    def __init__(self, fd: int, name: str) -> None:
        self.fd = fd
        self.name = name
        self.written = 0

    def write(self, *pieces: Piece) -> None:
        """One system call when all goes well; short writes are gone on with (EINTR is Python's business, PEP 475)."""
        if len(pieces) == 1:
            taken, total = os.write(self.fd, pieces[0]), len(pieces[0])
        else:
            taken, total = os.writev(self.fd, pieces), sum(map(len, pieces))
        self.written += taken
        if taken < total:
            self._go_on(memoryview(b"".join(pieces))[taken:])

    def _go_on(self, rest: memoryview) -> None:
        while rest:
            taken = os.write(self.fd, rest)
            if not taken:
                raise OSError(errno.EIO, "nothing was taken by write")
            self.written += taken
            rest = rest[taken:]

    def close(self) -> None:
        """Closes the descriptor, once."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class MemorySink:
    """Keeps the bytes: for tests, and for programs that want a recording without a file."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.written = 0
        self.closed = False
        self._pieces: list[Piece] = []

    def write(self, *pieces: Piece) -> None:
        """Takes the pieces; never fails."""
        self._pieces += pieces
        self.written += sum(map(len, pieces))

    def close(self) -> None:
        """Says that nothing follows; what was taken can still be read."""
        self.closed = True

    @property
    def data(self) -> bytes:
        """All bytes taken so far."""
        return b"".join(self._pieces)
