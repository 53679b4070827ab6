"""What a server repeats of the client's secrets."""

from __future__ import annotations

import random

from rawlog.events import Direction
from rawlog.protocols.echo import LINES, SECRET_LIMIT, WORDS, Echo
from rawlog.protocols.imap import ImapFramer


def masked(echo: Echo, line: bytes) -> bytes:
    data = bytearray(line)
    for start, end in echo.find(line, 100):
        data[start - 100 : end - 100] = b"X" * (end - start)
    return bytes(data)


def test_words_and_the_whole() -> None:
    echo = Echo()
    assert not echo.expected
    echo.learn(b'"open sesame, he"')
    assert echo.expected
    assert masked(echo, b"no open sesame, he sesame, opener he\r\n") == b"no XXXXXXXXXXXXXXX XXXXXXX XXXXer he\r\n"
    assert masked(echo, b"nothing\r\n") == b"nothing\r\n"


def test_short_words_are_found_everywhere_and_not_looked_for() -> None:
    echo = Echo()
    echo.learn(b"a to the")
    assert echo.expected
    echo = Echo()
    echo.learn(b"the")
    assert not echo.expected


def test_the_words_of_the_protocol_are_no_secrets() -> None:
    echo = Echo()
    echo.learn(b"login alice AUTHENTICATE SASL")
    assert masked(echo, b"LOGIN login AUTHENTICATE (SASL alice") == b"LOGIN login AUTHENTICATE (SASL XXXXX"


def test_it_forgets() -> None:
    echo = Echo()
    echo.learn(b"sesame")
    for _ in range(LINES):
        assert echo.find(b"sesame", 0) == [(0, 6)]
    assert not echo.expected
    echo.learn(b"other")
    assert echo.find(b"sesame", 0) == []


def test_it_remembers_the_last_words_only() -> None:
    echo = Echo()
    for i in range(2 * WORDS):
        echo.learn(b"word%d" % i)
    assert echo.find(b"word1 ", 0) == []
    assert echo.find(b"word%d" % WORDS, 0) != []


def test_of_a_long_secret_the_beginning_is_found() -> None:
    echo = Echo()
    secret = random.Random(1).randbytes(SECRET_LIMIT).hex().encode()
    echo.learn(secret)
    assert echo.find(b"NO " + secret, 0) == [(3, 3 + SECRET_LIMIT)]


def test_a_long_line_of_the_server_that_may_repeat_is_secret() -> None:
    framer = ImapFramer()
    framer.feed(Direction.OUT, b"* OK\r\n")
    framer.feed(Direction.IN, b"sesame\r\n")
    (fragment,) = framer.feed(Direction.OUT, b"sesame BAD " + b"x" * 70_000 + b"\r\n")
    assert fragment.secrets == ((fragment.start, fragment.end),)


def test_unfinished_lines_wait_while_something_may_be_repeated() -> None:
    framer = ImapFramer()
    framer.feed(Direction.OUT, b"* PREAUTH\r\n* LIST x")
    assert framer.settled(Direction.OUT) == 19
    framer.feed(Direction.OUT, b"\r\n")
    framer.feed(Direction.IN, b"sesame\r\n")
    framer.feed(Direction.OUT, b"* LIST ses")
    assert framer.settled(Direction.OUT) == 21
