"""How the bytes of a fuzz input become a conversation, in pieces of any size, and back.

Knows: three signs. Must not know: protocols. The form is made for mutation: a byte added, taken or changed anywhere
gives another conversation of nearly the same words, so that a corpus of real ones goes a long way.

* ``FE`` the other direction speaks (the server begins), ``FF`` a read ends here,
* ``FD x`` the byte x itself, for these three.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from rawlog.events import Chunk, Direction, Event

SIGN, TURN, CUT = 0xFD, 0xFE, 0xFF
Piece = tuple[Direction, bytes]

_SIGNS = re.compile(rb"\xfd(.?)|([\xfe\xff])", re.DOTALL)


def pieces_of(data: bytes, first: Direction = Direction.OUT) -> list[Piece]:
    """The reads of a conversation in order, none of them empty."""
    made: list[Piece] = []
    direction, begun, at = first, b"", 0
    for found in _SIGNS.finditer(data):
        begun += data[at : found.start()] + (found[1] or b"")
        at = found.end()
        if found[2]:
            made.append((direction, begun))
            begun = b""
            direction = direction.other if found[2][0] == TURN else direction
    made.append((direction, begun + data[at:]))
    return [(direction, piece) for direction, piece in made if piece]


def data_of(pieces: Iterable[Piece], first: Direction = Direction.OUT) -> bytes:
    """The input that stands for these reads."""
    made, direction = bytearray(), first
    for number, (where, piece) in enumerate(pieces):
        if where is not direction:
            made.append(TURN)
        elif number:
            made.append(CUT)
        direction = where
        made += re.sub(rb"[\xfd-\xff]", lambda sign: b"\xfd" + sign[0], piece)
    return bytes(made)


def parts_of(data: bytes) -> list[bytes]:
    """The same signs without directions: the reads of one file."""
    return [piece for _, piece in pieces_of(data)]


def events_of(pieces: Iterable[Piece]) -> list[Event]:
    """The reads as events, a second and a bit apart."""
    return [Chunk(1_795_385_217_000_000 + number * 1_000_007, *piece) for number, piece in enumerate(pieces)]


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """The same bytes in reads as long as they can be without a change of order."""
    groups = itertools.groupby(pieces, key=lambda piece: piece[0])
    return [(direction, b"".join(data for _, data in group)) for direction, group in groups]


def crumbs(pieces: Iterable[Piece], size: int = 1) -> list[Piece]:
    """The same bytes in reads of ``size`` bytes."""
    return [(where, data[at : at + size]) for where, data in pieces for at in range(0, len(data), size)]
