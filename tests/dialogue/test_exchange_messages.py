"""The messages in a conversation."""

from __future__ import annotations

import pytest

from rawlog.dialogue.exchange_messages import Transferred, messages, undotted
from rawlog.events import Chunk, Direction, Recording
from rawlog.reading.opener import open_paths
from tests.support import golden
from tests.support.conversation import converse
from tests.support.exchanges import START, STEP, timed

IN, OUT = Direction.IN, Direction.OUT


def found(protocol: str, text: str, *, limit: int = 1000) -> list[Transferred]:
    talk = converse("== text\n" + text)
    return list(messages(Recording("test", timed(talk.pieces), protocol=protocol), limit=limit))


def short(messages: list[Transferred]) -> list[tuple[str, bytes | None, bool]]:
    return [(message.verb, message.data, message.complete) for message in messages]


def test_imap() -> None:
    made = found(
        "imap",
        """
        S: * PREAUTH
        C: a APPEND saved (\\Seen) {6+}
        C> first␊
        C:  {7}
        S: + go
        C> second␊
        C:
        S: a OK
        C: b UID FETCH 1:9 (BODY.PEEK[] RFC822.SIZE)
        S: * 1 FETCH (UID 1 BODY[] {5}
        S> third
        S:  BODY[HEADER] {6}
        S> header
        S:  BODY[]<0> {4}
        S> part
        S:  BINARY[] ~{3}
        S> bin
        S: )
        S: * 2 FETCH (RFC822 {3}
        S> old
        S: )
        S: b OK
        C: c SEARCH TEXT {4+}
        C> text
        C:
        C: d APPEND saved CATENATE (TEXT {4+}
        C> part
        C: )
        """,
    )
    assert short(made) == [
        ("APPEND", b"first\n", True),
        ("APPEND", b"second\n", True),
        ("FETCH", b"third", True),
        ("FETCH", b"bin", True),
        ("FETCH", b"old", True),
    ]
    assert [message.number for message in made] == [1, 2, 3, 4, 5]
    assert made[1].at == START + 3 * STEP


def test_pop3() -> None:
    made = found(
        "pop3",
        """
        S: +OK
        C: UIDL
        C: RETR 1
        C: TOP 1 0
        S: +OK
        S| 1 x
        S| .
        S: +OK
        S| Subject: x
        S|
        S| ..dot
        S| .
        S: +OK
        S| Subject: x
        S|
        S| .
        """,
    )
    assert short(made) == [("RETR", b"Subject: x\r\n\r\n.dot\r\n", True)]


def test_smtp() -> None:
    made = found(
        "smtp",
        """
        S: 220 x
        C: DATA
        S: 354 go
        C| Subject: x
        C| ..
        C| .
        S: 250 ok
        C: MAIL FROM:<a@b>
        C: BDAT 3
        C> abc
        C: BDAT 3 LAST
        C> def
        C: MAIL FROM:<a@b>
        C: BDAT 3
        C> ghi
        C: BDAT 0 LAST
        C: MAIL FROM:<a@b>
        C: BDAT 3
        C> xxx
        C: RSET
        C: BDAT 2 LAST
        C> jk
        """,
    )
    assert short(made) == [
        ("DATA", b"Subject: x\r\n.\r\n", True),
        ("BDAT", b"abcdef", True),
        ("BDAT", b"ghi", True),
        ("BDAT", b"jk", True),
    ]


def test_what_the_recording_ends_in_is_not_complete() -> None:
    assert short(found("smtp", "S: 220 x\nC: DATA\nS: 354 go\nC| Subject: x")) == [("DATA", b"Subject: x\r\n", False)]
    assert short(found("smtp", "S: 220 x\nC: BDAT 9 LAST\nC> abc")) == [("BDAT", b"abc", False)]
    assert short(found("imap", "S: * PREAUTH\nC: a APPEND x {9+}\nC> abc")) == [("APPEND", b"abc", False)]
    assert short(found("pop3", "S: +OK\nC: RETR 1\nS: +OK\nS> abc")) == [("RETR", b"abc", False)]


def test_what_is_too_large_is_named_without_its_data() -> None:
    assert short(found("imap", "S: * PREAUTH\nC: a APPEND x {9+}\nC> 123456789\nC:", limit=8)) == [
        ("APPEND", None, True)
    ]
    assert short(found("smtp", "S: 220 x\nC: DATA\nS: 354 go\nC| 123456789\nC| .", limit=8)) == [("DATA", None, True)]
    text = "S: 220 x\nC: BDAT 5\nC> 12345\nC: BDAT 5 LAST\nC> 12345"
    assert short(found("smtp", text, limit=8)) == [("BDAT", None, True)]


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (b".\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n...\r\n.\r\n", b".\r\n..\r\n"),
        (b"a\n.b\r\n.\r\n", b"a\nb\r\n"),
    ],
)
def test_dots(block: bytes, text: bytes) -> None:
    assert undotted(block) == text


def test_without_a_known_protocol_there_are_none() -> None:
    assert list(messages(Recording("x", [Chunk(1, IN, b"DATA\r\n")]))) == []


def test_golden_recordings() -> None:
    made = [message for recording in open_paths([golden.FOLDER]) for message in messages(recording)]
    assert {verb: sum(m.verb == verb for m in made) for verb in ("APPEND", "FETCH", "RETR", "DATA", "BDAT")} == {
        "APPEND": 17,
        "FETCH": 5,
        "RETR": 2,
        "DATA": 9,
        "BDAT": 3,
    }
    assert [message.verb for message in made if not message.complete] == ["APPEND"]
