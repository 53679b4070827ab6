"""Whether some texts are in a recording's files at all, without decoding them.

Knows: in which files a line of a conversation stands as it is: the halves of a pair without boundaries, where a stamp
precedes a line and never interrupts it. Must not know: what is looked for, and why. It is there for speed: of thousands
of recordings few hold a given text.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from rawlog.formats.combined import COMBINED_HEAD
from rawlog.formats.dovecot import BLOCK_START
from rawlog.formats.native import MAGIC
from rawlog.reading.names import halves_of, parse_name, stem_of
from rawlog.reading.unseal import is_sealed

PIECE = 256 * 1024
"""Bytes that are read at once: as much as stays in a processor's cache."""

_HEAD = 64


Needle = tuple[bytes, bool]  # a text, in lower case when upper and lower case are alike


def may_hold(path: str, needs: Sequence[Collection[Needle]]) -> bool | None:
    """Whether a text of each of these sets is in the files of the recording at ``path``; None when that can't be seen.

    Texts must not hold line ends. What can't be read is for others to tell.
    """
    stem = stem_of(path)
    if not needs or parse_name(Path(f"{stem}.in").name) is None:
        return None
    left = list(needs)
    try:
        for half in halves_of(stem):
            if Path(half).exists():
                left = _not_in(half, left)
            if not left:
                return True
    except (OSError, _NotPlainError):
        return None
    return False


class _NotPlainError(Exception):
    """Lines are not in one piece in this file."""


def _not_in(path: str, needs: list[Collection[Needle]]) -> list[Collection[Needle]]:
    """Those of which nothing is in a file."""
    overlap = max(len(text) for need in needs for text, _ in need) - 1
    # One buffer for all pieces: the end of the one before stands in front of the next, and no memory is asked for anew.
    buffer = bytearray(overlap + PIECE)
    with open(path, "rb", buffering=0) as file, memoryview(buffer) as view:
        end = 0
        begun = False
        while needs and (size := file.readinto(view[end : end + PIECE])):
            if not begun and _may_break_lines(bytes(view[: min(size, _HEAD)])):
                raise _NotPlainError
            begun = True
            end += size
            needs = [need for need in needs if not _is_in(need, buffer, end)]
            kept = min(overlap, end)
            view[:kept] = view[end - kept : end]
            end = kept
    return needs


def _may_break_lines(head: bytes) -> bool:
    """Whether a file that begins so is sealed, or of a format in which a line may be in pieces."""
    return is_sealed(head) or head.startswith((BLOCK_START, MAGIC)) or COMBINED_HEAD.match(head) is not None


def _is_in(need: Collection[Needle], buffer: bytearray, end: int) -> bool:
    lowered = buffer[:end].lower() if any(ignore_case for _, ignore_case in need) else buffer
    return any((lowered if ignore_case else buffer).find(text, 0, end) >= 0 for text, ignore_case in need)
