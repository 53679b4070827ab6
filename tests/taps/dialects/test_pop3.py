"""POP3's words: STLS, the lists of CAPA and AUTH, what is refused without TLS."""

from __future__ import annotations

import pytest

from rawlog.taps.dialects.base import Answer, BackendError, Offer, Then
from rawlog.taps.dialects.pop3 import Pop3
from tests.support.dialogue import IN_TLS, NO_TLS, PLAIN, STRANGER, lead

GREETING = b"+OK ready <1.2@example.com>\r\n"
CAPA = b"TOP\r\nUSER\r\nSASL PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-1-PLUS\r\nSTLS\r\nIMPLEMENTATION STLS USER\r\n.\r\n"


def greeted() -> Pop3:
    dialect = Pop3()
    assert dialect.rewrite(GREETING, PLAIN) == GREETING
    return dialect


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        (PLAIN, b"TOP\r\nUSER\r\nSASL PLAIN LOGIN SCRAM-SHA-1\r\nIMPLEMENTATION STLS USER\r\nSTLS\r\n.\r\n"),
        (IN_TLS, b"TOP\r\nUSER\r\nSASL PLAIN LOGIN SCRAM-SHA-1\r\nIMPLEMENTATION STLS USER\r\n.\r\n"),
        (NO_TLS, b"TOP\r\nUSER\r\nSASL PLAIN LOGIN SCRAM-SHA-1\r\nIMPLEMENTATION STLS USER\r\n.\r\n"),
        (STRANGER, b"TOP\r\nSASL SCRAM-SHA-1\r\nIMPLEMENTATION STLS USER\r\nSTLS\r\n.\r\n"),
    ],
)
def test_the_list_of_capa_is_put_right(offer: Offer, expected: bytes, whole: bool) -> None:
    dialect = greeted()
    assert dialect.answer(b"capa\r\n", offer) is None
    assert dialect.rewrite(b"+OK\r\n", offer) == b"+OK\r\n"
    pieces = [CAPA] if whole else CAPA.splitlines(keepends=True)
    assert b"".join(dialect.rewrite(piece, offer) for piece in pieces) == expected
    assert dialect.rewrite(b"STLS\r\n", offer) == b"STLS\r\n"


def test_a_list_without_usable_mechanisms_has_no_sasl() -> None:
    dialect = greeted()
    dialect.answer(b"CAPA\r\n", STRANGER)
    dialect.rewrite(b"+OK\r\n", STRANGER)
    assert dialect.rewrite(b"SASL PLAIN\r\nUIDL\r\n.\r\n", STRANGER) == b"UIDL\r\nSTLS\r\n.\r\n"


@pytest.mark.parametrize(
    ("offer", "expected"),
    [(PLAIN, b"PLAIN\r\nCRAM-MD5\r\n.\r\n"), (STRANGER, b"CRAM-MD5\r\n.\r\n")],
)
def test_the_list_of_auth_is_put_right(offer: Offer, expected: bytes) -> None:
    dialect = greeted()
    assert dialect.answer(b"AUTH\r\n", offer) is None
    assert dialect.rewrite(b"+OK\r\n", offer) == b"+OK\r\n"
    assert dialect.rewrite(b"PLAIN\r\nCRAM-MD5\r\nX-PLUS\r\n.\r\n", offer) == expected


def test_other_answers_are_left_alone_in_any_order() -> None:
    dialect = greeted()
    for line in (b"NOOP\r\n", b"CAPA\r\n", b"AUTH CRAM-MD5\r\n", b"CAPA\r\n", b"CAPA\r\n"):
        assert dialect.answer(line, PLAIN) is None
    assert dialect.rewrite(b"+OK\r\n", PLAIN) == b"+OK\r\n"
    assert dialect.rewrite(b"+OK\r\n", PLAIN) == b"+OK\r\n"
    assert dialect.rewrite(b"UIDL\r\n.\r\n", PLAIN) == b"UIDL\r\nSTLS\r\n.\r\n"
    assert dialect.rewrite(b"+ Y2hhbGxlbmdl\r\n", PLAIN) == b"+ Y2hhbGxlbmdl\r\n"
    assert dialect.rewrite(b"-ERR no\r\n", PLAIN) == b"-ERR no\r\n"
    assert dialect.rewrite(b"-ERR no list\r\n", PLAIN) == b"-ERR no list\r\n"
    assert dialect.rewrite(b"+OK\r\n", PLAIN) == b"+OK\r\n"
    assert dialect.rewrite(b".\r\n", PLAIN) == b"STLS\r\n.\r\n"


def test_stls_is_answered_here() -> None:
    assert Pop3().answer(b"stls\r\n", PLAIN) == Answer(b"+OK Begin TLS negotiation now.\r\n", Then.START_TLS)
    assert Pop3().answer(b"STLS\r\n", IN_TLS) == Answer(b"-ERR TLS is on already.\r\n")
    assert Pop3().answer(b" STLS \r\n", NO_TLS) == Answer(b"-ERR TLS is not offered here.\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"USER bob\r\n",
        b"pass my secret\r\n",
        b" PASS secret\r\n",
        b"AUTH PLAIN\r\n",
        b"AUTH PLAIN AGJvYgBz\r\n",
        b"auth login\r\n",
        b"AUTH XOAUTH2 eA==\r\n",
        b"AUTH X-NEW\r\n",
    ],
)
def test_a_password_is_refused_where_all_could_read_it(line: bytes) -> None:
    answer = Pop3().answer(line, STRANGER)
    assert answer is not None
    assert answer.text.startswith(b"-ERR [AUTH] ")
    assert answer.then is Then.GO_ON
    assert Pop3().answer(line, IN_TLS) is None
    assert Pop3().answer(line, PLAIN) is None


@pytest.mark.parametrize("line", [b"APOP bob 00ff\r\n", b"AUTH CRAM-MD5\r\n", b"AUTH\r\n", b"QUIT\r\n", b"\r\n"])
def test_what_shows_no_password_goes_to_the_server(line: bytes) -> None:
    assert Pop3().answer(line, STRANGER) is None


def test_no_password_is_remembered() -> None:
    dialect = greeted()
    dialect.answer(b"PASS secret\r\n", PLAIN)
    dialect.answer(b"AUTH PLAIN secret\r\n", PLAIN)
    assert "secret" not in repr(vars(dialect)).lower()


@pytest.mark.parametrize("offer", [PLAIN, IN_TLS])
def test_nobody_may_speak_with_the_gateways_address(offer: Offer) -> None:
    assert Pop3().answer(b"XCLIENT ADDR=1.2.3.4\r\n", offer) == Answer(b"-ERR Unknown command.\r\n")


def test_the_greeting_behind_stls_has_no_challenge_from_before() -> None:
    sent, greeting = lead(Pop3().starttls(), [GREETING, b"+OK go\r\n"])
    assert sent == [b"STLS\r\n", "TLS"]
    assert greeting == b"+OK ready\r\n"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([b"-ERR not now\r\n"], "its greeting is not '+OK' but '-ERR not now'"),
        ([b"+OKAY\r\n"], "its greeting"),
        ([b"* OK imap\r\n"], "'* OK imap'"),
        ([GREETING, b"-ERR no TLS\r\n"], "refused STLS with '-ERR no TLS'"),
        ([GREETING, b"+ \r\n"], "refused STLS"),
    ],
)
def test_a_server_that_does_not_start_tls_is_not_used(lines: list[bytes], told: str) -> None:
    with pytest.raises(BackendError) as error:
        lead(Pop3().starttls(), lines)
    assert told in str(error.value)


def test_a_refusal_is_temporary() -> None:
    assert Pop3().refusal("No server") == b"-ERR [SYS/TEMP] No server.\r\n"
