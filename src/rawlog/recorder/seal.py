"""Seals recordings while they are written: only who has the secret key of a recipient can read them, we can not.

Knows: how the bytes of a sink become chunks and pieces of a sealed file (``formats/sealed.py``), and where each has its
place. Must not know: formats of recordings, who reads. Each file has keys of its own, which are in this process until
it is closed and nowhere else; with up to 64 KiB of its end, which is not yet a chunk.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rawlog.errors import ConfigError
from rawlog.events import Direction
from rawlog.formats.sealed import CHUNK, PIECE_HEAD, SLOT, TAG, about_piece
from rawlog.recorder.sinks import FileSink, Piece
from rawlog.settings import age_keys

if TYPE_CHECKING:
    from rawlog.formats.age import Keys


class Seal:
    """Seals files for ``recipients``, each ``age1…``.

    Raises ConfigError when one is none, or when the package is missing that does the cryptography: at the start, not
    at the first recording.
    """

    def __init__(self, recipients: Sequence[str]) -> None:
        self._recipients = [age_keys.recipient(text) for text in recipients]
        try:
            import rawlog.formats.age  # noqa: F401
        except ImportError:
            raise ConfigError(
                "rawlog_recipient: the package cryptography is missing, which seals recordings; "
                "install rawlog[seal], or take the setting out"
            ) from None

    def over(self, sinks: Mapping[Direction, FileSink]) -> dict[Direction, FileSink]:
        """The same files, sealed; one for both directions stays one."""
        sealed = {id(sink): SealedSink(sink, self._recipients) for sink in sinks.values()}
        return {direction: sealed[id(sink)] for direction, sink in sinks.items()}


def seal_for(recipients: Sequence[str]) -> Seal | None:
    """The seal that a setting asks for; None when it names nobody. Raises ConfigError."""
    return Seal(recipients) if recipients else None


class SealedSink(FileSink):
    """Writes a sealed file to the descriptor of ``sink``, which is new and empty. ``written`` counts plain text."""

    __slots__ = ("_begin", "_count", "_end", "_keys", "_number", "_part", "_recipients")

    def __init__(self, sink: FileSink, recipients: Sequence[bytes]) -> None:
        super().__init__(sink.fd, sink.name)
        fcntl.fcntl(self.fd, fcntl.F_SETFL, fcntl.fcntl(self.fd, fcntl.F_GETFL) & ~os.O_APPEND)
        self._recipients = recipients
        self._keys: Keys | None = None
        self._part = bytearray()  # the text of the chunk that is not full yet
        self._number = 0  # of that chunk
        self._begin = 0  # where its place is
        self._end = 0  # where the next piece goes
        self._count = 0  # of pieces

    def until_full(self) -> int:
        """With so many bytes more a chunk is full and done: who waits for them saves sealing them twice."""
        return CHUNK - len(self._part) + 1

    def write(self, *pieces: Piece) -> None:
        """As of any sink; what is taken can be read by a recipient from now on, whatever happens to this process."""
        keys = self._keys or self._start()
        rest = memoryview(b"".join(pieces))
        while rest:
            room = CHUNK - len(self._part)
            if len(rest) > room:
                self._put_chunk(keys, rest[:room])
                taken = room
            else:
                self._put_piece(keys, rest)
                taken = len(rest)
            self.written += taken
            rest = rest[taken:]

    def close(self) -> None:
        """Makes a complete file of age of it, and closes the descriptor, once."""
        try:
            if self.fd >= 0 and self._keys is not None:
                last = self._keys.seal(self._number, bytes(self._part), last=True)
                self._put(last, self._begin)
                os.ftruncate(self.fd, self._begin + len(last))
        finally:
            self._keys = None
            self._part.clear()
            super().close()

    def _start(self) -> Keys:
        """Writes the header. The file key is made here, and what it is wrapped with is forgotten here."""
        from rawlog.formats import age

        file_key, nonce = secrets.token_bytes(age.FILE_KEY_SIZE), secrets.token_bytes(age.NONCE_SIZE)
        ephemeral = [secrets.token_bytes(age_keys.KEY_SIZE) for _ in self._recipients]
        header = age.header(file_key, self._recipients, ephemeral) + nonce
        self._put(header, 0)
        self._begin, self._end = len(header), len(header) + SLOT
        self._keys = age.Keys(file_key, nonce)
        return self._keys

    def _put_chunk(self, keys: Keys, more: memoryview) -> None:
        """The chunk is full with ``more``, and does not end the file: it takes its place, its pieces go."""
        sealed = keys.seal(self._number, bytes(self._part) + more, last=False)
        self._put(sealed, self._begin)
        self._begin += SLOT
        if self._end > self._begin:
            with contextlib.suppress(OSError):  # they are passed over
                os.ftruncate(self.fd, self._begin)
        self._end = self._begin + SLOT
        self._number += 1
        self._part.clear()

    def _put_piece(self, keys: Keys, text: memoryview) -> None:
        size = len(text) + TAG
        about = about_piece(self._count, size, self._number, len(self._part))
        sealed = PIECE_HEAD.pack(self._count, size) + keys.seal_piece(self._count, bytes(text), about)
        self._count += 1  # also when it can't be written: the next try is another piece
        self._put(sealed, self._end)
        self._end += len(sealed)
        self._part += text

    def _put(self, data: bytes, at: int) -> None:
        """Writes all of it at an offset. Raises OSError; what was written of it then is written over the next time."""
        view = memoryview(data)
        while view:
            taken = os.pwrite(self.fd, view, at)
            at += taken
            view = view[taken:]
