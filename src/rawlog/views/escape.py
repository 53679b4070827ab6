"""Recorded bytes as text that no terminal obeys, and that still says exactly which bytes they were.

Knows: what is safe to show. Must not know: recordings, protocols, terminals' commands (everything that is not plain
visible text is escaped, so there is nothing to know).

* ``\\\\`` is a backslash. One that stands where it could begin one of the escapes here is escaped itself, so different
  bytes never look the same; others, as in ``\\Seen``, stay as they are.
* ``\\r``, ``\\n``, ``\\t`` and ``\\x1b`` are single bytes: control characters, DEL, and what is not UTF-8.
* ``\\u{202e}`` is a character in UTF-8 that is not visible text: C1 controls, bidirectional controls, zero-width and
  combining characters, blanks other than the space, fillers, private use, unassigned.
"""

from __future__ import annotations

import re
import unicodedata

_SHORT = {9: "\\t", 10: "\\n", 13: "\\r"}
_BEGINS_ESCAPE = frozenset("\\nrtxu[")  # "[" is for what a view adds: \\[+9 bytes]
_BACKSLASH = re.compile(r"\\")
_INVISIBLE = frozenset((0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0))  # fillers: visible by category, empty to the eye


class _Escapes(dict[int, str]):
    """How each character is shown, learned as it occurs."""

    def __missing__(self, code: int) -> str:
        shown = self[code] = _shown(code)
        return shown


def _shown(code: int) -> str:
    if code in _SHORT:
        return _SHORT[code]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as surrogateescape gives it
        return f"\\x{code - 0xDC00:02x}"
    character = chr(code)
    if not character.isprintable() or unicodedata.category(character) in ("Mn", "Me") or code in _INVISIBLE:
        return f"\\u{{{code:x}}}"
    return character


_ESCAPES = _Escapes()


def neutral(data: bytes) -> str:
    """The bytes as one line of safe text. Different bytes give different texts.

    >>> neutral(b'a\x1b[31m')
    'a\\x1b[31m'
    """
    return neutral_text(data.decode("utf-8", "surrogateescape"))


def neutral_text(text: str) -> str:
    """The same for text, such as a file name or the detail of a mark."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return _BACKSLASH.sub(_backslash, text).translate(_ESCAPES)


def _backslash(found: re.Match[str]) -> str:
    """A backslash: doubled at the end, before what would make it an escape, and before an escape."""
    following = found.string[found.end() : found.end() + 1]
    harmless = following and following not in _BEGINS_ESCAPE and _ESCAPES[ord(following)] == following
    return "\\" if harmless else "\\\\"
