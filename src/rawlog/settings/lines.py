"""The lines of a configuration file: bytes in, statements out, each with its place.

Knows: text encoding, comments, continuation lines, quotes, and the limits on all of them.
Must not know: what a statement means, and where the bytes come from.

Where a comment begins follows Dovecot 2.3: at a ``#`` outside quotes. A quote that is never closed opens nothing, so
that ``it's`` stays what it is. A line that ends in ``\\`` goes on in the next one, joined by one blank.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rawlog.settings.tree import Place

#: Longest statement in characters, continuation lines joined. Dovecot's own longest is about 500; a list of a
#: thousand networks has 20,000.
MAX_STATEMENT = 64 * 1024

_COMMENT_OR_QUOTE = re.compile(r"[#\"']")
_CLOSING = {quote: re.compile(rf"(?:[^\\{quote}]|\\.)*{quote}") for quote in "\"'"}


@dataclass(frozen=True, slots=True)
class Statement:
    """One logical line, without comment and continuation. ``ambiguous``: its ``#`` was glued to a word."""

    text: str
    place: Place
    ambiguous: bool = False


def statements(data: bytes, file: str) -> Iterator[Statement]:
    """Cut a file into statements; empty lines and comments are left out.

    Raises ConfigError ``FILE:LINE: ...`` for NUL bytes, bytes that are not UTF-8, a statement longer than
    MAX_STATEMENT, and a continuation that the end of the file cuts off.
    """
    pieces: list[str] = []
    size, first, quote, ambiguous = 0, Place(file, 1), "", False
    for number, raw in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        place = Place(file, number)
        text = _decoded(raw, place)
        size += len(text)
        if size > MAX_STATEMENT:
            raise place.error(f"the line is longer than {MAX_STATEMENT} characters: split the setting or shorten it")
        if not pieces:
            first = place
        text, quote, glued = _cut(text, quote)
        ambiguous = ambiguous or glued
        if text.endswith("\\"):
            pieces.append(text[:-1].strip())
            continue
        statement = " ".join(p for p in (*pieces, text.strip()) if p)
        if statement:
            yield Statement(statement, first, ambiguous)
        pieces, size, quote, ambiguous = [], 0, "", False
    if pieces:
        raise place.error("the file ends in a line that goes on: remove its '\\' or add the missing line")


def _decoded(raw: bytes, place: Place) -> str:
    """The text of one physical line, blanks at its end removed."""
    if b"\0" in raw:
        raise place.error("a NUL byte: this is no text file; is it the right one?")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = raw[error.start]
        raise place.error(
            f"byte 0x{bad:02x} at column {error.start + 1} is not UTF-8: save the file as UTF-8"
        ) from None
    return (text.removeprefix("\ufeff") if place.line == 1 else text).rstrip()


def _cut(text: str, quote: str) -> tuple[str, str, bool]:
    """Cut the comment off one physical line that begins inside ``quote`` (empty: outside).

    Returns the text, the quote still open at its end, and whether the comment was glued to a word.
    """
    at = 0
    while True:
        if quote:
            closed = _CLOSING[quote].match(text, at)
            if closed is None:
                return text, quote, False
            at = closed.end()
        found = _COMMENT_OR_QUOTE.search(text, at)
        if found is None:
            return text, "", False
        at = found.end()
        if found.group() == "#":
            before = text[: found.start()]
            return before.rstrip(), "", bool(before) and not before[-1].isspace()
        quote = found.group()
