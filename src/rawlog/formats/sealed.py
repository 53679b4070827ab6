"""A sealed recording: a file of age that is being written, and can be read though its writer was killed.

Knows: where chunks lie, and what stands behind the last whole one meanwhile. Must not know: files, formats of
recordings, cryptography (``age.py``).

A file of age has chunks of 64 KiB, and may not end but with one that is marked as the last. So it could be written in
steps of 64 KiB only, and who is killed would lose that much. What comes before a chunk is full is therefore written
twice: at once as a *piece*, behind the place where the chunk will be, which stays a hole; and with the whole chunk,
which then goes into its place, and the pieces are cut off. When the recording ends the last chunk takes its place
likewise: what remains is a file of age like any other. The keys of pieces are others than those of chunks, so no nonce
is ever used twice.

A piece is its count (8 bytes), the length of what follows (4 bytes), and that: its text, sealed, with 16 bytes of tag.
Count, length, the number of the chunk and where in it the piece begins are authenticated with it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Protocol

MAGIC = b"age-encryption.org/v1\n"
"""How every file of age begins."""
HEADER_LIMIT = 64 * 1024
"""Bytes of the longest header that is read: 500 recipients."""
CHUNK = 64 * 1024
"""Bytes of plain text in each chunk but the last."""
TAG = 16
SLOT = CHUNK + TAG
"""Bytes from one chunk to the next."""
PIECE_HEAD = struct.Struct(">QI")

NOT_FINISHED = "the recording was not finished: who wrote it was killed"
DAMAGED = "what follows is damaged, or was cut off"
"""Why a sealed file ends where it does."""

_ABOUT = struct.Struct(">QIQI")


class Opener(Protocol):
    """What opens chunks and pieces: ``age.Keys``."""

    def open(self, number: int, data: bytes, *, last: bool) -> bytes | None:
        """The plain text of a chunk; None when it is not that chunk as it was written."""

    def open_piece(self, count: int, data: bytes, about: bytes) -> bytes | None:
        """The plain text of a piece, likewise."""


def about_piece(count: int, size: int, number: int, begin: int) -> bytes:
    """What is authenticated with a piece: its count and sealed length, and where its text belongs."""
    return _ABOUT.pack(count, size, number, begin)


def opened(read: Callable[[int], bytes], keys: Opener, end: Callable[[str], None]) -> Iterator[bytes]:
    """The plain text of the chunks and pieces that ``read`` gives, from the first chunk on.

    ``read(size)`` gives so many bytes, fewer only at the end of the file. ``end(why)`` is called when the text ends
    before its end, with NOT_FINISHED or DAMAGED. Nothing is given that was not written so, there.
    """
    number, data = 0, read(SLOT)
    while True:
        following = read(SLOT)
        plain = None if following else keys.open(number, data, last=True)
        if plain is not None:
            yield plain
            return
        plain = keys.open(number, data, last=False)
        if plain is None:
            break
        yield plain
        if not following:
            end(NOT_FINISHED)
            return
        number, data = number + 1, following
    pieces = _Pieces(keys, number)
    yield from pieces.opened(following, read)
    whole = pieces.begin or not data.strip(b"\0") or _was_left_behind(keys, number, data)
    end(NOT_FINISHED if pieces.clean and whole else DAMAGED)


def _was_left_behind(keys: Opener, number: int, data: bytes) -> bool:
    """Whether these are pieces of the chunk before, which is whole: they had not been cut off yet."""
    return number > 0 and next(_Pieces(keys, number - 1).opened(data, lambda _: b""), None) is not None


class _Pieces:
    """The pieces of chunk ``number``. ``begin`` is where the next one's text belongs, ``clean`` says that nothing but
    a torn piece stands behind the last."""

    def __init__(self, keys: Opener, number: int) -> None:
        self._keys = keys
        self._number = number
        self.begin = 0
        self.clean = True

    def opened(self, data: bytes, read: Callable[[int], bytes]) -> Iterator[bytes]:
        at = 0
        while True:
            data, at = _filled(data, at, PIECE_HEAD.size, read)
            if len(data) - at < PIECE_HEAD.size:
                return
            count, size = PIECE_HEAD.unpack_from(data, at)
            if size > SLOT:
                break
            data, at = _filled(data, at, PIECE_HEAD.size + size, read)
            sealed = data[at + PIECE_HEAD.size : at + PIECE_HEAD.size + size]
            if len(sealed) < size:
                return
            plain = self._keys.open_piece(count, sealed, about_piece(count, size, self._number, self.begin))
            if plain is None:
                break
            yield plain
            self.begin += len(plain)
            at += PIECE_HEAD.size + size
        self.clean = False


def _filled(data: bytes, at: int, wanted: int, read: Callable[[int], bytes]) -> tuple[bytes, int]:
    """The buffer with ``wanted`` bytes behind ``at``, as far as the file has them, and where they begin now."""
    if len(data) - at >= wanted:
        return data, at
    return data[at:] + read(SLOT), 0
