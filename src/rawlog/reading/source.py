"""The bytes of a recording, from a file or a stream, in pieces.

Knows: opening, reading, and saying in one line why that failed; that a file can be read again and a stream can't.
Must not know: formats. The first bytes can be looked at before the rest is read, so that a format can be recognised.
What is sealed is read here like anything else, where the key is known (``unseal.py``).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from io import FileIO

from rawlog.errors import RawlogError
from rawlog.reading.unseal import Unsealed, is_sealed

HEAD_SIZE = 64 * 1024
PIECE_SIZE = 64 * 1024

_ENOUGH = 64  # bytes that tell any format from any other


class Source:
    """One file, or standard input when ``path`` is ``-``.

    ``head`` is what it begins with: up to ``HEAD_SIZE`` bytes of a file, of a stream what there was at once (at least a
    line or 64 bytes). ``cut`` says why the file ends before its end, where it is sealed and that is known: only when
    all of it was read. Raises RawlogError when it can't be opened or read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = "standard input" if path == "-" else path
        self.cut = ""
        self._stream: FileIO | Unsealed | None = None
        self._spent = False
        try:
            file = _open(path)
            if path != "-" and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                with self._unsealed(file, os.pread(file.fileno(), _ENOUGH, 0), begun=b"") as plain:
                    self.head = _whole_head(plain)
            else:
                self.head = _stream_head(file)
                self._stream = self._unsealed(file, self.head, begun=self.head)
                if self._stream is not file:
                    self.head = _stream_head(self._stream)
        except OSError as error:
            raise unreadable(self.name, error) from None

    def __iter__(self) -> Iterator[bytes]:
        """The whole of it, from the beginning, in pieces of at most 64 KiB. A stream gives itself once only."""
        if self._spent:
            raise RawlogError(f"{self.name}: can be read only once; save it to a file and read that")
        self._spent = self._stream is not None
        try:
            with self._stream or self._opened() as file:
                if self._stream is not None:
                    yield self.head
                while piece := file.read(PIECE_SIZE):
                    yield piece
        except OSError as error:
            raise unreadable(self.name, error) from None

    def _opened(self) -> FileIO | Unsealed:
        file = _open(self.path)
        return self._unsealed(file, os.pread(file.fileno(), _ENOUGH, 0), begun=b"")

    def _unsealed(self, file: FileIO, head: bytes, *, begun: bytes) -> FileIO | Unsealed:
        """The file, which begins with ``head``, to be read in the clear; ``begun`` has been read of it."""
        return Unsealed(self.name, file, begun, self._cut) if is_sealed(head) else file

    def _cut(self, why: str) -> None:
        self.cut = why


def _open(path: str) -> FileIO:
    return open(0, "rb", buffering=0, closefd=False) if path == "-" else open(path, "rb", buffering=0)


def _whole_head(file: FileIO | Unsealed) -> bytes:
    head = file.read(HEAD_SIZE)
    while len(head) < HEAD_SIZE and (piece := file.read(HEAD_SIZE - len(head))):
        head += piece
    return head


def _stream_head(file: FileIO | Unsealed) -> bytes:
    head = b""
    while len(head) < _ENOUGH and b"\n" not in head[4:]:  # behind the "<<<" of a recording with boundaries
        piece = file.read(PIECE_SIZE)
        if not piece:
            break
        head += piece
    return head


def unreadable(name: str, error: OSError) -> RawlogError:
    """The one line that says why something can't be read, and what to do."""
    if isinstance(error, FileNotFoundError):
        return RawlogError(f"{name}: no such file; check the path")
    if isinstance(error, IsADirectoryError):
        return RawlogError(f"{name}: is a directory; name a recording in it")
    if isinstance(error, PermissionError):
        return RawlogError(f"{name}: permission denied; read it as its owner or as root")
    return RawlogError(f"{name}: can't be read: {error.strerror}")
