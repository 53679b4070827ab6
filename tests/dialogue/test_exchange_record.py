"""What is noted of an exchange while it is exchange."""

from __future__ import annotations

from rawlog.dialogue.exchange_pieces import Piece
from rawlog.dialogue.exchange_record import SPANS_LIMIT, TEXT_LIMIT, Exchange
from rawlog.events import Direction
from rawlog.protocols.fragments import Fragment, Kind

IN, OUT = Direction.IN, Direction.OUT


def piece(direction: Direction, start: int, end: int, at: int | None = None) -> Piece:
    return Piece(Fragment(direction, Kind.LINE, start, end), at, at, b"")


def test_times_and_sizes() -> None:
    exchange = Exchange(1, "NOOP", b"a NOOP", "a")
    exchange.say(piece(IN, 0, 8, 1000))
    exchange.hear(piece(OUT, 10, 15, 1500))
    exchange.hear(piece(OUT, 15, 30, 4000))
    assert not exchange.answered
    exchange.judge("OK", b"a OK")
    assert (exchange.first_latency, exchange.latency, exchange.talking) == (500, 3000, 0)
    assert (exchange.sent, exchange.received) == (8, 20)
    assert (exchange.said, exchange.heard) == ([(0, 8)], [(10, 30)])


def test_a_clock_that_goes_back_makes_no_negative_latency() -> None:
    exchange = Exchange(1, "NOOP")
    exchange.say(piece(IN, 0, 8, 5000))
    exchange.hear(piece(OUT, 0, 8, 4000))
    exchange.judge("OK", b"")
    assert exchange.latency == 0


def test_what_failed() -> None:
    exchange = Exchange(1, "X")
    for status in ("NO", "BAD", "BYE", "-ERR", "421", "550"):
        exchange.judge(status, b"")
        assert exchange.failed, status
    for status in ("", "OK", "PREAUTH", "+OK", "220", "354"):
        exchange.judge(status, b"")
        assert not exchange.failed, status


def test_a_goodbye_that_was_asked_for_is_no_failure() -> None:
    exchange = Exchange(1, "LOGOUT")  # RFC 5804 wants OK; servers say BYE
    exchange.judge("BYE", b"")
    assert not exchange.failed


def test_what_is_kept_has_limits() -> None:
    exchange = Exchange(1, "X")
    exchange.judge("OK", b"y" * 5000)
    for number in range(SPANS_LIMIT + 10):
        exchange.hear(piece(OUT, number * 10, number * 10 + 5))
    assert len(exchange.answer) == TEXT_LIMIT
    assert len(exchange.heard) == SPANS_LIMIT
    assert exchange.heard[-1][1] == (SPANS_LIMIT + 9) * 10 + 5
