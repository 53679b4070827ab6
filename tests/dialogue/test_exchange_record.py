"""What is noted of an exchange while it is made."""

from __future__ import annotations

from rawlog.dialogue.exchange_pieces import Piece
from rawlog.dialogue.exchange_record import SPANS_LIMIT, TEXT_LIMIT, OpenExchange
from rawlog.events import Direction
from rawlog.protocols.fragments import Fragment, Kind

IN, OUT = Direction.IN, Direction.OUT


def piece(direction: Direction, start: int, end: int, at: int | None = None) -> Piece:
    return Piece(Fragment(direction, Kind.LINE, start, end), at, at, b"")


def test_times_and_sizes() -> None:
    exchange = OpenExchange(1, "NOOP", b"a NOOP", "a")
    exchange.said(piece(IN, 0, 8, 1000))
    exchange.heard(piece(OUT, 10, 15, 1500))
    exchange.heard(piece(OUT, 15, 30, 4000))
    assert not exchange.closed().answered
    exchange.judged("OK", b"a OK")
    made = exchange.closed()
    assert (made.first_latency, made.latency, made.talking) == (500, 3000, 0)
    assert (made.sent, made.received) == (8, 20)
    assert (made.said, made.heard) == (((0, 8),), ((10, 30),))


def test_a_clock_that_goes_back_makes_no_negative_latency() -> None:
    exchange = OpenExchange(1, "NOOP")
    exchange.said(piece(IN, 0, 8, 5000))
    exchange.heard(piece(OUT, 0, 8, 4000))
    exchange.judged("OK", b"")
    assert exchange.closed().latency == 0


def test_what_failed() -> None:
    exchange = OpenExchange(1, "X")
    for status in ("NO", "BAD", "BYE", "-ERR", "421", "550"):
        exchange.judged(status, b"")
        assert exchange.closed().failed, status
    for status in ("", "OK", "PREAUTH", "+OK", "220", "354"):
        exchange.judged(status, b"")
        assert not exchange.closed().failed, status


def test_what_is_kept_has_limits() -> None:
    exchange = OpenExchange(1, "X", b"x" * 5000)
    exchange.judged("OK", b"y" * 5000)
    for number in range(SPANS_LIMIT + 10):
        exchange.heard(piece(OUT, number * 10, number * 10 + 5))
    made = exchange.closed()
    assert len(made.command) == len(made.answer) == TEXT_LIMIT
    assert len(made.heard) == SPANS_LIMIT
    assert made.heard[-1][1] == (SPANS_LIMIT + 9) * 10 + 5
