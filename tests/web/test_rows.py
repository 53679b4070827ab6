"""Rows say what is needed, safely; and they are kept small."""

from __future__ import annotations

import json

import pytest

from rawlog.dialogue.exchange import exchanges
from rawlog.events import Chunk, Direction, Mark, Recording
from rawlog.web.rows import BLOCK, TEXT_SHOWN, PackedRows, exchange_row, line_row, mark_row, packed

IN, OUT = Direction.IN, Direction.OUT


def test_an_exchange() -> None:
    said = [(1, OUT, b"* PREAUTH\r\n"), (10, IN, b"a1 NOOP\r\n"), (30, OUT, b"a1 BAD \x1b[2J\r\n")]
    _, exchange = exchanges(Recording("x", [Chunk(*each) for each in said], protocol="imap"))
    row = exchange_row(exchange)
    assert (row["kind"], row["at"], row["latency"], row["verb"], row["status"]) == ("exchange", 10, 20, "NOOP", "BAD")
    assert row["answer"] == "a1 BAD \\x1b[2J"
    assert row["failed"]
    assert row["asks"]
    assert (row["said"], row["heard"]) == ([(0, 9)], [(11, 24)])
    assert exchange_row(exchange, b"words")["answer"] == row["answer"]


def test_words_stand_for_an_answer_that_is_not_there() -> None:
    (exchange,) = exchanges(Recording("x", [Chunk(1, IN, b"a1 NOOP\r\n")], protocol="imap"))
    assert exchange_row(exchange, b"* 4 EXISTS")["answer"] == "* 4 EXISTS"


def test_marks_and_lines() -> None:
    assert mark_row(Mark(5, "login", {"user": "a\u202eb"})) == {
        "kind": "mark",
        "at": 5,
        "text": "login user=a\\u{202e}b",
    }
    row = line_row(7, "server", b"\xff<b>\r\n", 100)
    assert (row["side"], row["text"], row["said"], row["heard"]) == ("server", "\\xff<b>", [], [(100, 106)])
    assert line_row(7, "client", b"x", 0)["said"] == [(0, 1)]


def test_a_long_text_is_cut() -> None:
    text = line_row(1, "client", b"x" * 5000, 0)["text"]
    assert text == "x" * TEXT_SHOWN + " …"


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_rows_come_back_as_they_were(count: int) -> None:
    rows = PackedRows()
    texts = [packed({"n": number, "text": "\n\u00e4"}) for number in range(count)]
    for text in texts:
        rows.append(text)
    assert len(rows) == count
    for start in (0, 1, BLOCK - 1, BLOCK, count - 1, count, count + 7):
        for length in (0, 1, 10, BLOCK, count + 1):
            if start >= 0:
                assert rows.slice(start, start + length) == texts[start : start + length]


def test_packed_rows_are_small() -> None:
    rows = PackedRows()
    one = [(0, OUT, b"* PREAUTH\r\n"), (1, IN, b"a1 UID FETCH 17 (FLAGS)\r\n"), (3, OUT, b"a1 OK Fetch completed.\r\n")]
    _, exchange = exchanges(Recording("x", [Chunk(*each) for each in one], protocol="imap"))
    row = exchange_row(exchange)
    for number in range(100 * BLOCK):
        rows.append(packed({**row, "at": number * 12345, "said": [(number * 30, number * 30 + 28)]}))
    assert sum(map(len, rows._blocks)) < 60 * 100 * BLOCK
    assert json.loads(rows.slice(5000, 5001)[0])["at"] == 5000 * 12345
