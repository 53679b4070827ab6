"""Exchanges as lines and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from rawlog.dialogue.exchange import Exchange
from rawlog.errors import RawlogError
from rawlog.events import Chunk, Direction, Recording
from rawlog.reading.opener import open_recording
from rawlog.views.exchanges import ExchangeLines, exchange_json_lines, exchange_lines, selected
from rawlog.views.when import When
from rawlog.views.window import Window
from tests.support import golden

IN, OUT = Direction.IN, Direction.OUT
BASIC = open_recording(next(golden.FOLDER.glob("imap_rawlog_dir_basic/*3831.1.in")))
TALK = Recording(
    "talk",
    [
        Chunk(1_000_000, OUT, b"* PREAUTH ready\r\n"),
        Chunk(2_000_000, IN, b"a SELECT \x1b[31m\r\n"),
        Chunk(2_500_000, OUT, b"a NO \xe2\x80\xaeno\r\n"),
        Chunk(3_000_000, IN, b"b IDLE\r\n"),
        Chunk(3_000_001, OUT, b"+ idling\r\n"),
        Chunk(63_000_000, IN, b"DONE\r\n"),
        Chunk(63_000_500, OUT, b"b OK\r\n"),
        Chunk(64_000_000, IN, b"c NOOP\r\n"),
    ],
    protocol="imap",
)


def lines(recording: Recording, **options: object) -> list[str]:
    return list(exchange_lines(recording, ExchangeLines("relative", cut=40), **options))  # type: ignore[arg-type]


def test_each_exchange_has_a_line() -> None:
    assert lines(TALK) == [
        "     0.000          PREAUTH     0    17  (greeting) → * PREAUTH ready",
        "     1.000  500 ms  NO         16    12  a SELECT \\x1b[31m → a NO \\u{202e}no",
        "     2.000  500 µs  OK         14    16  b IDLE (60.0 s)",
        "    63.000       …              8     0  c NOOP",
    ]


def test_only_those_that_are_wanted_with_their_true_times() -> None:
    assert [line[:10] for line in lines(TALK, wanted=lambda exchange: exchange.failed)] == ["     1.000"]
    assert [line[:10] for line in lines(TALK, window=Window(When("+2"), When("+10")))] == ["     2.000"]


def test_a_window_needs_times() -> None:
    untimed = Recording("x", [Chunk(None, IN, b"a NOOP\r\n")], timed=False, protocol="imap")
    with pytest.raises(RawlogError, match="x: has no times"):
        lines(untimed, window=Window(When("+2")))


def test_a_long_command_is_cut_and_colours_say_what_failed() -> None:
    exchange = Exchange(1, "X", b"a X " + b"y" * 100, status="NO", answer=b"z" * 100)
    (line,) = ExchangeLines("none", cut=10).lines(exchange)
    assert line.endswith("a X yyyyyy… → zzzzzzzzzz…")
    (line,) = ExchangeLines("none", cut=None).lines(exchange)
    assert line.endswith("y" * 100 + " → " + "z" * 100)
    (line,) = ExchangeLines("none", colour=True).lines(exchange)
    assert "\x1b[31m" in line and line.endswith("\x1b[0m")
    (line,) = ExchangeLines("none", colour=True).lines(Exchange(1, "X", b"a X"))
    assert "\x1b[33m" in line


def test_json_has_everything() -> None:
    found = [json.loads(line) for line in exchange_json_lines(TALK)]
    assert found[1] == {
        "recording": "talk",
        "number": 2,
        "at": 2_000_000,
        "time": "1970-01-01T00:00:02.000000Z",
        "verb": "SELECT",
        "tag": "a",
        "command": "a SELECT \x1b[31m",
        "status": "NO",
        "answer": "a NO \u202eno",
        "replies": [],
        "failed": True,
        "latency": 500_000,
        "first_latency": 500_000,
        "talking": 0,
        "sent": 16,
        "received": 12,
    }
    assert all(line.isascii() and "\x7f" not in line for line in exchange_json_lines(TALK))


def test_a_recording_of_no_known_protocol_has_none() -> None:
    assert list(selected(Recording("x", [Chunk(1, IN, b"x")]))) == []


def verbs(exchanges: Iterable[Exchange]) -> list[str]:
    return [exchange.verb for exchange in exchanges]


def test_a_golden_recording() -> None:
    assert verbs(selected(BASIC))[:4] == ["greeting", "NOOP", "SELECT", "NOOP"]
    assert len(lines(BASIC)) == 14
