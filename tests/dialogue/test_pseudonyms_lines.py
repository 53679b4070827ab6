"""POP3, SMTP, LMTP and ManageSieve: names go, the protocol stays."""

from __future__ import annotations

import pytest

from rawlog.dialogue.pseudonyms_lines import PlainSide, SieveSide
from rawlog.dialogue.pseudonyms_names import Names
from rawlog.dialogue.pseudonyms_text import Text

NAMES = Names(b"k" * 32)


def word(text: str) -> str:
    return NAMES.word(text.encode()).decode()


@pytest.mark.parametrize(
    ("client", "line"),
    [
        (True, "EHLO {}"),
        (True, "USER {}"),
        (True, "APOP {} XXXXXXXX"),
        (True, "MAIL FROM:<{}@{}> SIZE=1000 BODY=8BITMIME"),
        (True, "RCPT TO:<{}@{}> NOTIFY=NEVER"),
        (True, "BDAT 100 LAST"),
        (True, "AUTH PLAIN XXXXXXXX"),
        (True, "RETR 1"),
        (False, "220 {} ESMTP Postfix (Ubuntu)"),
        (False, "250-PIPELINING"),
        (False, "220-{}.{}"),
        (False, "250 2.0.0 <{}@{}> Saved"),
        (False, "550 5.1.1 no {} here"),
        (False, "+OK Logged in."),
        (False, "+OK 3 messages (1000 octets)"),
    ],
)
def test_plain_lines(client: bool, line: str) -> None:
    count = line.count("{}")
    made = PlainSide(Text(NAMES), client=client).line(line.format(*["kingfisher"] * count).encode(), goes_on=False)
    assert made.decode() == line.format(*[word("kingfisher")] * count)


def test_chunks_of_one_message() -> None:
    made = PlainSide(Text(NAMES), client=True)
    assert made.literal(b"Subject: kingfisher\r\n").startswith(b"Subject: ")
    assert made.literal(b"\r\nSubject: x\r\n")[2:9] != b"Subject", "this is the body"
    made.line(b"BDAT 9 LAST\r\n", goes_on=False)
    made.literal(b"x\r\n")
    made.line(b"BDAT 9 LAST\r\n", goes_on=False)
    assert made.literal(b"Subject: x\r\n").startswith(b"Subject: ")


def test_blocks_of_pop3() -> None:
    made = PlainSide(Text(NAMES), client=False)
    assert made.block(b"1 0001\r\n2 0002\r\n.\r\n") == b"1 0001\r\n2 0002\r\n.\r\n"
    assert b"alice" not in made.block(b"1 alice@x-1\r\n.\r\n")
    assert made.block(b"TOP\r\nUIDL\r\nSASL PLAIN\r\n.\r\n") == b"TOP\r\nUIDL\r\nSASL PLAIN\r\n.\r\n"
    mail = made.block(b"Subject: kingfisher\r\n\r\nkingfisher\r\n.\r\n")
    assert mail.startswith(b"Subject: ") and mail.endswith(b"\r\n.\r\n") and b"king" not in mail


@pytest.mark.parametrize(
    "line",
    [
        b'"SIEVE" "fileinto reject envelope"', b'"SASL" "PLAIN LOGIN"', b'AUTHENTICATE "PLAIN" "XXXXXXXX"',
        b'OK "Logged in."', b"LISTSCRIPTS", b"PUTSCRIPT {10+}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("client", [False, True])
def test_lines_of_managesieve_that_stay(line: bytes, client: bool) -> None:
    assert SieveSide(Text(NAMES), client=client).line(line, goes_on=False) == line


def test_names_in_managesieve() -> None:
    made = SieveSide(Text(NAMES), client=False)
    assert made.line(b'"stop" ACTIVE', goes_on=False) == b'"' + NAMES.word(b"stop") + b'" ACTIVE'
    script = b'require ["fileinto"];\r\nif address :is "from" "kingfisher" { fileinto "Kingfisher"; }\r\n'
    assert made.literal(script) == script.replace(b"kingfisher", NAMES.word(b"kingfisher")).replace(
        b"Kingfisher", NAMES.word(b"Kingfisher")
    )
