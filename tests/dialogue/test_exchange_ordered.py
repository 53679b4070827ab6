"""Answers without tags go to the oldest command."""

from __future__ import annotations

from rawlog.dialogue.exchange_pairing import OUTSTANDING_LIMIT, REPLIES_LIMIT
from rawlog.events import Chunk, Direction
from tests.support.exchanges import paired, paired_text, short

IN, OUT = Direction.IN, Direction.OUT


def test_a_pipeline_is_answered_in_its_order() -> None:
    found = paired_text("smtp", "S: 220 x\nC: RSET\nC: NOOP\nC: VRFY a\nS: 250 ok\nS: 250 ok\nS: 502 no")
    assert short(found) == ["greeting 220", "RSET 250", "NOOP 250", "VRFY 502"]


def test_an_answer_too_many_is_nobodys() -> None:
    found = paired_text("pop3", "S: +OK\nC: NOOP\nS: +OK\nS: -ERR what\nC: QUIT\nS: +OK")
    assert short(found) == ["greeting +OK", "NOOP +OK", "unasked -ERR", "QUIT +OK"]


def test_the_server_alone() -> None:
    found = paired("smtp", [Chunk(0, OUT, b"220 x\r\n250-a\r\n250 b\r\n354 go\r\n250 queued\r\n")])
    assert short(found) == ["greeting 220", "unasked 250", "unasked 354", "unasked 250"]


def test_what_is_never_answered_comes_at_the_end() -> None:
    found = paired_text("smtp", "S: 220 x\nC: RSET\nC: NOOP\nS: 250 ok")
    assert short(found) == ["greeting 220", "RSET 250", "NOOP"]


def test_what_piles_up_has_limits() -> None:
    events = [Chunk(0, OUT, b"220 x\r\n"), Chunk(1, IN, b"NOOP\r\n" * (OUTSTANDING_LIMIT + 9))]
    assert len(paired("smtp", events)) == OUTSTANDING_LIMIT + 10
    rcpt = b"RCPT TO:<a@b>\r\n" * 1500
    ok = b"250 ok\r\n"
    found = [
        Chunk(0, OUT, b"220 x\r\n"),
        Chunk(1, IN, rcpt),
        Chunk(2, OUT, ok * 1500),
        Chunk(3, IN, b"DATA\r\n"),
        Chunk(4, OUT, b"354 go\r\n"),
        Chunk(5, IN, b".\r\n"),
        Chunk(6, OUT, ok * 1500),
    ]
    data = paired("lmtp", found)[-1]
    assert (data.verb, data.status, len(data.replies)) == ("DATA", "250", REPLIES_LIMIT)
    assert data.received == 8 + 8 * 1500
