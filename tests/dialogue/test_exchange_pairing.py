"""What all pairings share: verbs, numbers, the greeting."""

from __future__ import annotations

import pytest

from rawlog.dialogue.exchange_pairing import is_long_line, verb_of
from rawlog.dialogue.exchange_pieces import Piece
from rawlog.events import Direction
from rawlog.protocols.fragments import Fragment, Kind, Span
from rawlog.protocols.framing import LINE_LIMIT
from tests.support.exchanges import paired_text


def line(text: bytes, *secrets: Span, start: int = 100) -> Piece:
    return Piece(Fragment(Direction.IN, Kind.LINE, start, start + len(text), text, secrets), 0, 0, text)


@pytest.mark.parametrize(
    ("word", "verb"),
    [(b"noop", "NOOP"), (b"X-GM-1", "X-GM-1"), (b"", "?"), (b"1x", "?"), (b"a\x1bb", "?"), (b"x" * 40, "?")],
)
def test_a_verb_is_a_word(word: bytes, verb: str) -> None:
    assert verb_of(word, line(word), 0) == verb


def test_a_verb_that_may_be_a_secret_is_not_told() -> None:
    assert verb_of(b"hunter", line(b"a hunter", (102, 108)), 2) == "?"
    assert verb_of(b"LOGIN", line(b"a LOGIN x y", (110, 111)), 2) == "LOGIN"


def test_a_long_line_is_no_longer_a_line() -> None:
    def opaque(size: int) -> Piece:
        return Piece(Fragment(Direction.IN, Kind.OPAQUE, 0, size), 0, 0, b"")

    assert is_long_line(opaque(LINE_LIMIT + 1))
    assert not is_long_line(opaque(LINE_LIMIT))
    assert not is_long_line(line(b"a NOOP"))


def test_numbers_count_all_exchanges() -> None:
    found = paired_text("imap", "S: * OK\nC: a NOOP\nC: b NOOP\nS: b OK\nS: a OK\nS: * 1 EXISTS\nC: c NOOP\nS: c OK")
    assert [(e.number, e.tag) for e in found] == [(1, ""), (3, "b"), (2, "a"), (4, ""), (5, "c")]
