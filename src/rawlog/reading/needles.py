"""Whether some texts are in a recording's files at all, without decoding them.

Knows: in which files a line of a conversation stands as it is: the halves of a pair without boundaries, where a stamp
precedes a line and never interrupts it. Must not know: what is looked for, and why. It is there for speed: of thousands
of recordings few hold a given text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from rawlog.formats.combined import COMBINED_HEAD
from rawlog.formats.dovecot import BLOCK_START
from rawlog.formats.native import MAGIC
from rawlog.reading.names import parse_name

PIECE = 1 << 20
"""Bytes that are read at once."""

_HEAD = 64


def may_hold(path: str, needs: Sequence[Collection[bytes]]) -> bool:
    """False when of one of these sets no text is in the recording at ``path``; True when it may be, or can't be seen.

    Texts must not hold line ends. What can't be read is for others to tell.
    """
    stem = path.removesuffix(".in").removesuffix(".out")
    if not needs or parse_name(Path(f"{stem}.in").name) is None:
        return True
    left = list(needs)
    try:
        for half in (f"{stem}.in", f"{stem}.out"):
            if not Path(half).exists():
                continue
            for piece in _pieces(half):
                left = [need for need in left if not any(text in piece for text in need)]
                if not left:
                    return True
    except (OSError, _NotPlainError):
        return True
    return False


class _NotPlainError(Exception):
    """Lines are not in one piece in this file."""


def _pieces(path: str) -> Iterator[bytes]:
    """The file in pieces; each begins with the line that the one before did not finish."""
    rest = b""
    with open(path, "rb", buffering=0) as file:
        head = file.read(_HEAD)
        if head.startswith((BLOCK_START, MAGIC)) or COMBINED_HEAD.match(head):
            raise _NotPlainError
        rest = head
        while piece := file.read(PIECE):
            lines = piece.rfind(b"\n") + 1
            if lines or len(rest) > PIECE:
                yield rest + piece[:lines] if lines else rest + piece
                rest = piece[lines:] if lines else piece[-PIECE // 2 :]
            else:
                rest += piece
    yield rest
