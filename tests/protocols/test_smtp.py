"""SMTP: the conversations, and what they can't say."""

from __future__ import annotations

import pytest

from rawlog.events import Direction
from rawlog.protocols.lmtp import LmtpFramer
from rawlog.protocols.smtp import SmtpFramer
from tests.support.conversation import Conversation, check, conversations


@pytest.mark.parametrize("talk", conversations("smtp"), ids=str)
def test_conversation(talk: Conversation) -> None:
    check(talk, SmtpFramer)


@pytest.mark.parametrize("kind", [SmtpFramer, LmtpFramer])
def test_when_a_message_may_follow(kind: type[SmtpFramer]) -> None:
    framer = kind()
    framer.feed(Direction.OUT, b"220 hi\r\n")

    def say(line: bytes, answer: bytes) -> bool:
        framer.feed(Direction.IN, line + b"\r\n")
        framer.feed(Direction.OUT, answer + b"\r\n")
        return framer.has_recipients()

    assert not say(b"MAIL FROM:<a@b>", b"250 ok")
    assert not say(b"RCPT TO:<c@d>", b"550 no")
    assert say(b"RCPT TO:<c@d>", b"250 ok")
    assert say(b"RCPT TO:<e@f>", b"550 no")
    assert say(b"NOOP", b"250 ok")
    assert not say(b"RSET", b"250 ok")
    assert say(b"RCPT TO:<c@d>", b"250 ok")
    assert not say(b"EHLO me", b"250 ok")
    assert say(b"RCPT TO:<c@d>", b"250 ok")
    assert say(b"DATA", b"554 no")
    assert not say(b"DATA", b"354 go")
    assert not say(b".", b"250 queued")
    assert say(b"RCPT TO:<c@d>", b"250 ok")
    assert say(b"BDAT 2\r\n", b"250 ok")
    assert not say(b"BDAT 2 LAST\r\n", b"250 queued")


def test_commands_sent_ahead_have_their_answers_in_order() -> None:
    framer = SmtpFramer()
    framer.feed(Direction.OUT, b"220 hi\r\n")
    framer.feed(Direction.IN, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\nRCPT TO:<c@d>\r\n")
    assert not framer.has_recipients()
    framer.feed(Direction.OUT, b"250 ok\r\n250 ok\r\n")
    assert framer.has_recipients()
    framer.feed(Direction.OUT, b"250 ok\r\n503 no\r\n")
    assert not framer.has_recipients()
