"""POP3: answers of one line and of many."""

from __future__ import annotations

from rawlog.events import Chunk, Direction, Event
from tests.support.exchanges import paired, paired_text, short

IN, OUT = Direction.IN, Direction.OUT


def test_lists_and_messages_belong_to_their_commands() -> None:
    found = paired_text(
        "pop3",
        """
        S: +OK ready
        C: USER alice
        C: PASS secret
        C: LIST
        C: LIST 1
        C: RETR 2
        C: RETR 1
        C: QUIT
        S: +OK
        S: +OK Logged in.
        S: +OK 1 message
        S| 1 10
        S| .
        S: +OK 1 10
        S: -ERR none
        S: +OK
        S| Subject: x
        S|
        S| .
        S: +OK bye
        """,
    )
    answers = ["USER +OK", "PASS +OK", "LIST +OK", "LIST +OK", "RETR -ERR", "RETR +OK", "QUIT +OK"]
    assert short(found) == ["greeting +OK", *answers]
    assert [exchange.received for exchange in found[3:7]] == [24, 10, 11, 22]
    assert found[2].command == b"PASS XXXXXX"


def test_the_last_byte_of_a_message_counts() -> None:
    events: list[Event] = [
        Chunk(0, OUT, b"+OK Logged in.\r\n"),
        Chunk(1000, IN, b"RETR 1\r\n"),
        Chunk(3000, OUT, b"+OK\r\nSubject: x\r\n"),
        Chunk(9000, OUT, b"\r\ntext\r\n.\r\n"),
    ]
    retr = paired("pop3", events)[1]
    assert (retr.first_latency, retr.latency) == (2000, 8000)


def test_a_sasl_dialogue_is_one_exchange() -> None:
    found = paired_text("pop3", "S: +OK\nC: AUTH PLAIN\nS: +\nC: AGFsaWNlAHNlY3JldA==\nS: +OK in\nC: STAT\nS: +OK 0 0")
    assert short(found) == ["greeting +OK", "AUTH +OK", "STAT +OK"]


def test_a_dialogue_that_is_refused_is_over() -> None:
    found = paired_text("pop3", "S: +OK\nC: AUTH GSSAPI\nS: -ERR no\nC: QUIT\nS: +OK")
    assert short(found) == ["greeting +OK", "AUTH -ERR", "QUIT +OK"]


def test_a_client_alone() -> None:
    lines = b"AUTH PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\nSTAT 1\r\nRETR 1\r\n"
    assert short(paired("pop3", [Chunk(0, IN, lines)])) == ["AUTH", "STAT", "RETR"]
