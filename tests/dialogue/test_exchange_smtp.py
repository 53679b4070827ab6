"""SMTP and LMTP: replies of several lines, messages, chunks, several recipients."""

from __future__ import annotations

from tests.support.exchanges import STEP, paired_text, short


def test_a_message() -> None:
    found = paired_text(
        "smtp",
        """
        S: 220-mx
        S: 220 ready
        C: EHLO client.example.com
        S: 250-mx
        S: 250 SIZE
        C: MAIL FROM:<a@b>
        S: 250 ok
        C: RCPT TO:<c@d>
        S: 550 no such user
        C: RCPT TO:<e@f>
        S: 250 ok
        C: DATA
        S: 354 go
        C| Subject: x
        C|
        C| .
        S: 250 queued
        C: QUIT
        S: 221 bye
        """,
    )
    answers = ["EHLO 250", "MAIL 250", "RCPT 550", "RCPT 250", "DATA 250", "QUIT 221"]
    assert short(found) == ["greeting 220", *answers]
    data = found[5]
    assert data.answer == b"250 queued"
    assert (data.sent, data.received) == (23, 20)
    assert (data.talking, data.latency) == (2 * STEP, STEP)
    assert found[3].failed and not found[4].failed


def test_lmtp_answers_once_for_each_recipient() -> None:
    found = paired_text(
        "lmtp",
        """
        S: 220 ready
        C: LHLO x
        S: 250 x
        C: MAIL FROM:<a@b>
        C: RCPT TO:<c@d>
        C: RCPT TO:<nobody@d>
        C: RCPT TO:<e@f>
        S: 250 ok
        S: 250 ok
        S: 550 no
        S: 250 ok
        C: BDAT 3
        C> abc
        C: BDAT 3 LAST
        C> def
        S: 250 3 octets
        S: 250 c
        S: 452 e is over quota
        C: QUIT
        S: 221 bye
        """,
    )
    assert short(found)[5:] == ["RCPT 250", "BDAT 250", "BDAT 452", "QUIT 221"]
    last = found[-2]
    assert last.replies == [b"250 c", b"452 e is over quota"]
    assert last.answer == b"452 e is over quota"
    assert last.failed


def test_the_worst_reply_counts_wherever_it_stands() -> None:
    found = paired_text(
        "lmtp",
        """
        S: 220 ready
        C: MAIL FROM:<a@b>
        S: 250 ok
        C: RCPT TO:<c@d>
        S: 250 ok
        C: RCPT TO:<e@f>
        S: 250 ok
        C: DATA
        S: 354 go
        C| .
        S: 552 c
        S: 250 e
        """,
    )
    assert (found[-1].status, found[-1].answer) == ("552", b"552 c")


def test_a_message_that_is_not_answered() -> None:
    found = paired_text("smtp", "S: 220 x\nC: DATA\nS: 354 go\nC| text")
    assert short(found) == ["greeting 220", "DATA"]
    assert not found[-1].answered


def test_a_sasl_dialogue_is_one_exchange() -> None:
    found = paired_text(
        "smtp",
        "S: 220 x\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YWxpY2U=\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 235 in\n"
        "C: MAIL FROM:<a@b>\nS: 250 ok",
    )
    assert short(found) == ["greeting 220", "AUTH 235", "MAIL 250"]


def test_a_recording_that_begins_behind_starttls() -> None:
    """The server's first line comes before the command that waited for it."""
    found = paired_text("smtp", "C: EHLO x\nS: 250-mx\nS: 250 SIZE\nC: MAIL FROM:<a@b>\nS: 250 ok")
    assert short(found) == ["EHLO 250", "MAIL 250"]
    assert found[0].answer == b"250 SIZE"


def test_the_server_gives_up_unasked() -> None:
    found = paired_text("smtp", "S: 220 x\nC: NOOP\nS: 250 ok\nS: 421 timeout")
    assert short(found) == ["greeting 220", "NOOP 250", "unasked 421"]
