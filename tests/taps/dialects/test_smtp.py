"""SMTP's and LMTP's words: the answer to EHLO, STARTTLS, who may claim to be somebody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rawlog.taps.dialects.base import Answer, BackendError, Offer, Then
from rawlog.taps.dialects.smtp import Lmtp, Smtp
from tests.support.dialogue import IN_TLS, NO_TLS, PLAIN, STRANGER, lead

EHLO = (
    b"250-mail.example.com\r\n250-PIPELINING\r\n250-STARTTLS\r\n250-XCLIENT NAME ADDR\r\n250-xforward NAME\r\n"
    b"250-AUTH PLAIN XOAUTH2 CRAM-MD5 SCRAM-SHA-1-PLUS\r\n250-AUTH=PLAIN CRAM-MD5\r\n250 SIZE 1000\r\n"
)


def rewritten(dialect: Smtp, answer: bytes, offer: Offer) -> bytes:
    return b"".join(dialect.rewrite(line, offer) for line in answer.splitlines(keepends=True))


@pytest.mark.parametrize("kind", [Smtp, Lmtp])
@pytest.mark.parametrize(
    ("offer", "auth", "last"),
    [
        (
            PLAIN,
            b"250-AUTH PLAIN XOAUTH2 CRAM-MD5\r\n250-AUTH=PLAIN CRAM-MD5\r\n",
            b"250-SIZE 1000\r\n250 STARTTLS\r\n",
        ),
        (IN_TLS, b"250-AUTH PLAIN XOAUTH2 CRAM-MD5\r\n250-AUTH=PLAIN CRAM-MD5\r\n", b"250 SIZE 1000\r\n"),
        (NO_TLS, b"250-AUTH PLAIN XOAUTH2 CRAM-MD5\r\n250-AUTH=PLAIN CRAM-MD5\r\n", b"250 SIZE 1000\r\n"),
        (STRANGER, b"250-AUTH CRAM-MD5\r\n250-AUTH=CRAM-MD5\r\n", b"250-SIZE 1000\r\n250 STARTTLS\r\n"),
    ],
)
def test_the_answer_to_ehlo_is_put_right(kind: type[Smtp], offer: Offer, auth: bytes, last: bytes) -> None:
    dialect = kind()
    assert dialect.answer(kind.hello.lower() + b" me\r\n", offer) is None
    expected = b"250-mail.example.com\r\n250-PIPELINING\r\n" + auth + last
    assert rewritten(dialect, EHLO, offer) == expected
    assert rewritten(dialect, EHLO, offer) == EHLO, "nobody asked"


def test_a_server_without_extensions() -> None:
    dialect = Smtp()
    dialect.answer(b"EHLO me\r\n", PLAIN)
    assert rewritten(dialect, b"250 mail\r\n", PLAIN) == b"250-mail\r\n250 STARTTLS\r\n"
    dialect.answer(b"EHLO me\r\n", IN_TLS)
    assert rewritten(dialect, b"250 mail\r\n", IN_TLS) == b"250 mail\r\n"


@pytest.mark.parametrize("offer", [IN_TLS, STRANGER])
def test_an_empty_list_of_mechanisms_stays_empty(offer: Offer) -> None:
    dialect = Smtp()
    dialect.answer(b"EHLO me\r\n", offer)
    answer = rewritten(dialect, b"250-mail\r\n250-AUTH\r\n250 SIZE\r\n", offer)
    assert answer.splitlines()[:2] == [b"250-mail", b"250-AUTH"]


@pytest.mark.parametrize("refusal", [b"502 5.5.1 what\r\n", b"421 bye\r\n", b"503-no\r\n503 never\r\n"])
def test_a_refused_ehlo_changes_nothing_that_follows(refusal: bytes) -> None:
    dialect = Smtp()
    dialect.answer(b"EHLO me\r\n", PLAIN)
    assert rewritten(dialect, refusal, PLAIN) == refusal
    dialect.answer(b"HELO me\r\n", PLAIN)
    assert rewritten(dialect, b"250 mail\r\n", PLAIN) == b"250 mail\r\n"


def test_an_answer_without_end_is_let_go() -> None:
    dialect = Smtp()
    dialect.answer(b"EHLO me\r\n", PLAIN)
    lines = b"".join(b"250-X%d\r\n" % number for number in range(150))
    assert rewritten(dialect, lines, PLAIN).count(b"\r\n") == 151


def test_ehlo_is_asked_alone_because_its_answer_is_changed() -> None:
    assert Smtp().alone(b" ehlo me\r\n")
    assert Lmtp().alone(b"LHLO me\r\n")
    for line in (b"HELO me\r\n", b"MAIL FROM:<>\r\n", b"\r\n", b"EHLOX\r\n"):
        assert not Smtp().alone(line)


def test_starttls_is_answered_here() -> None:
    started = Answer(b"220 2.0.0 Begin TLS negotiation now.\r\n", Then.START_TLS)
    assert Smtp().answer(b"starttls\r\n", PLAIN) == started
    assert Lmtp().answer(b"STARTTLS\r\n", STRANGER) == started
    assert Smtp().answer(b"STARTTLS\r\n", IN_TLS) == Answer(b"503 5.5.1 TLS is on already.\r\n")
    assert Smtp().answer(b"STARTTLS\r\n", NO_TLS) == Answer(b"502 5.5.1 TLS is not offered here.\r\n")


@pytest.mark.parametrize("verb", [b"XCLIENT", b"xforward", b" XClient"])
@pytest.mark.parametrize("offer", [PLAIN, STRANGER, IN_TLS, NO_TLS])
def test_nobody_may_speak_with_the_gateways_address(verb: bytes, offer: Offer) -> None:
    answer = Smtp().answer(verb + b" ADDR=1.2.3.4\r\n", offer)
    assert answer is not None
    assert answer.text.startswith(b"550 5.7.0 ")


@pytest.mark.parametrize(
    "line", [b"AUTH PLAIN\r\n", b"auth login\r\n", b"AUTH PLAIN AGJv\r\n", b"AUTH XOAUTH2 eA==\r\n", b"AUTH X-NEW\r\n"]
)
def test_a_password_is_refused_where_all_could_read_it(line: bytes) -> None:
    answer = Smtp().answer(line, STRANGER)
    assert answer is not None
    assert answer.text.startswith(b"523 5.7.10 ")
    assert Smtp().answer(line, IN_TLS) is None
    assert Smtp().answer(line, PLAIN) is None


@pytest.mark.parametrize("line", [b"AUTH CRAM-MD5\r\n", b"AUTH\r\n", b"MAIL FROM:<a@b> AUTH=<>\r\n", b"\r\n"])
def test_what_shows_no_password_goes_to_the_server(line: bytes) -> None:
    assert Smtp().answer(line, STRANGER) is None


GREETING = b"220 mail ready\r\n"
ANSWERS = [b"250-mail\r\n", b"250 STARTTLS\r\n", b"220 go\r\n"]


@pytest.mark.parametrize("kind", [Smtp, Lmtp])
def test_the_greeting_behind_starttls_is_the_first(kind: type[Smtp]) -> None:
    sent, greeting = lead(kind().starttls(), [b"220-mail\r\n", GREETING, *ANSWERS])
    assert sent == [kind.hello + b" rawlog.invalid\r\n", b"STARTTLS\r\n", "TLS"]
    assert greeting == b"220-mail\r\n" + GREETING


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([b"554 go away\r\n"], "answered '554 go away' where 220 was expected"),
        ([b"2200 what\r\n"], "where 220 was expected"),
        ([b"* OK imap\r\n"], "'* OK imap'"),
        ([GREETING, b"502 no EHLO\r\n"], "where 250 was expected"),
        ([GREETING, *ANSWERS[:2], b"454 no TLS now\r\n"], "where 220 was expected; switch TLS on there"),
        ([GREETING, *ANSWERS[:2], b"250 fine\r\n"], "where 220 was expected"),
        ([GREETING, *[b"250-more\r\n"] * 100], "more than 100 lines"),
    ],
)
def test_a_server_that_does_not_start_tls_is_not_used(lines: list[bytes], told: str) -> None:
    with pytest.raises(BackendError) as error:
        lead(Smtp().starttls(), lines)
    assert told in str(error.value)


def test_a_refusal_is_temporary() -> None:
    assert Smtp().refusal("No server") == b"421 4.3.2 No server.\r\n"


def test_it_is_looked_at_after_the_login_too() -> None:
    assert not Smtp.until_login
    assert not Lmtp.until_login


@pytest.mark.parametrize("kind", [Smtp, Lmtp])
@pytest.mark.parametrize(
    ("before", "block", "refused"),
    [
        (b"\n", b"line\r\n.\r\n", False),
        (b"\n", b"line\r", False),
        (b"\r", b"\n.\r\n", False),
        (b"\r", b"x", True),
        (b"x", b"\n.\r\n", True),
        (b"\n", b"\n.\n", True),
        (b"\n", b"a\nb\r\n", True),
        (b"\n", b"a\rb\r\n", True),
        (b"\n", b"a\r\r\n", True),
        (b"\n", b"\r\n", False),
    ],
)
def test_a_message_whose_lines_end_otherwise_is_refused(
    kind: type[Smtp], before: bytes, block: bytes, refused: bool
) -> None:
    assert (kind().bare(before, block) is not None) is refused


CHUNKS = b"250-mail\r\n250-CHUNKING\r\n250 SIZE\r\n"


def told_of_chunks(kind: type[Smtp] = Smtp) -> Smtp:
    """A dialect whose server offers BDAT."""
    dialect = kind()
    dialect.answer(kind.hello + b" me\r\n", IN_TLS)
    rewritten(dialect, CHUNKS, IN_TLS)
    return dialect


@pytest.mark.parametrize("kind", [Smtp, Lmtp])
@pytest.mark.parametrize("line", [b"BDAT 10\r\n", b"bdat 0 last\r\n", b" BDAT\t10 LAST \n"])
def test_a_chunk_passes_where_the_server_takes_it(kind: type[Smtp], line: bytes) -> None:
    assert told_of_chunks(kind).answer(line, replace(IN_TLS, message=True)) is None
    assert told_of_chunks(kind).alone(line)


@pytest.mark.parametrize(
    ("offered", "line", "recipients", "text"),
    [
        (False, b"BDAT 10\r\n", True, b"502 5.5.1 BDAT is not offered here.\r\n"),
        (True, b"BDAT 10\r\n", False, b"503 5.5.1 MAIL and RCPT must be accepted before BDAT.\r\n"),
        (True, b"BDAT\r\n", True, b"501 5.5.4 BDAT must give a size.\r\n"),
        (True, b"BDAT 10 x\r\n", True, b"501 5.5.4 BDAT must give a size.\r\n"),
        (True, b"BDAT 0x10\r\n", True, b"501 5.5.4 BDAT must give a size.\r\n"),
        (True, b"BDAT 1234567890123456789\r\n", True, b"501 5.5.4 BDAT must give a size.\r\n"),
    ],
)
def test_a_chunk_that_the_server_may_take_for_commands_is_refused(
    offered: bool, line: bytes, recipients: bool, text: bytes
) -> None:
    dialect = told_of_chunks() if offered else Smtp()
    answer = dialect.answer(line, replace(IN_TLS, message=recipients))
    assert answer is not None
    assert (answer.text, answer.then) == (text, Then.CLOSE)
    assert "commands could be hidden in it" in answer.why


def test_what_a_server_offers_is_what_it_said_last() -> None:
    dialect = told_of_chunks()
    dialect.answer(b"EHLO me\r\n", IN_TLS)
    rewritten(dialect, b"250 mail\r\n", IN_TLS)
    assert dialect.answer(b"BDAT 10\r\n", replace(IN_TLS, message=True)) is not None


@pytest.mark.parametrize("line", [b"NOOP\rXCLIENT ADDR=192.0.2.1\r\n", b"NOOP\0\r\n", b"NO\0OP\r\n", b"\rNOOP\r\n"])
def test_a_command_with_cr_or_nul_in_it_is_refused(line: bytes) -> None:
    assert Smtp().answer(line, IN_TLS) == Answer(b"500 5.5.2 A command must not hold a bare CR or NUL.\r\n")
