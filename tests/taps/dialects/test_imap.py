"""IMAP's words: capabilities put right and nothing else, STARTTLS, what is refused without TLS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rawlog.taps.dialects.base import Answer, BackendError, Offer, Then
from rawlog.taps.dialects.imap import Imap
from tests.support.dialogue import IN_TLS, NO_TLS, PLAIN, STRANGER, lead


@pytest.mark.parametrize(
    "line",
    [
        b"* CAPABILITY%b\r\n",
        b"* capability%b\n",
        b"* OK [CAPABILITY%b] ready.\r\n",
        b"* PREAUTH [CAPABILITY%b] hello\r\n",
        b"a1 OK [CAPABILITY%b] Logged in\r\n",
        b"a1 NO [CAPABILITY%b] no\r\n",
    ],
)
@pytest.mark.parametrize(
    ("offer", "listed", "expected"),
    [
        (PLAIN, b" IMAP4rev1 AUTH=PLAIN", b" IMAP4rev1 AUTH=PLAIN STARTTLS"),
        (PLAIN, b" IMAP4rev1 starttls", b" IMAP4rev1 STARTTLS"),
        (IN_TLS, b" IMAP4rev1 STARTTLS IDLE", b" IMAP4rev1 IDLE"),
        (NO_TLS, b" IMAP4rev1 STARTTLS IDLE", b" IMAP4rev1 IDLE"),
        (NO_TLS, b" IMAP4rev1 LOGINDISABLED", b" IMAP4rev1 LOGINDISABLED"),
        (replace(NO_TLS, backend_tls=True), b" IMAP4rev1 LOGINDISABLED", b" IMAP4rev1"),
        (
            STRANGER,
            b" IMAP4rev1 AUTH=PLAIN AUTH=login AUTH=SCRAM-SHA-1",
            b" IMAP4rev1 AUTH=SCRAM-SHA-1 STARTTLS LOGINDISABLED",
        ),
        (STRANGER, b" IMAP4rev1 LOGINDISABLED", b" IMAP4rev1 STARTTLS LOGINDISABLED"),
        (IN_TLS, b" IMAP4rev1 AUTH=SCRAM-SHA-1-PLUS AUTH=SCRAM-SHA-1", b" IMAP4rev1 AUTH=SCRAM-SHA-1"),
        (IN_TLS, b" IMAP4rev1 LITERAL+ UTF8=ACCEPT I18NLEVEL=1", b" IMAP4rev1 LITERAL+ UTF8=ACCEPT I18NLEVEL=1"),
    ],
)
def test_capabilities_are_put_right_wherever_they_stand(line: bytes, offer, listed: bytes, expected: bytes) -> None:
    assert Imap().rewrite(line % listed, offer) == line % expected


@pytest.mark.parametrize(
    "line",
    [
        b"* OK ready.\r\n",
        b'* ID ("name" "STARTTLS")\r\n',
        b"* OK [ALERT] STARTTLS CAPABILITY STARTTLS\r\n",
        b"* OK the server has [CAPABILITY STARTTLS]\r\n",
        b"* BYE [CAPABILITY STARTTLS] bye\r\n",
        b"* CAPABILITIES STARTTLS\r\n",
        b'* LIST () "/" STARTTLS\r\n',
        b"+ CAPABILITY STARTTLS\r\n",
        b"a1 BAD no STARTTLS\r\n",
        b"\r\n",
        b"\xff\x00\r\n",
    ],
)
@pytest.mark.parametrize("offer", [PLAIN, STRANGER, IN_TLS, NO_TLS])
def test_no_other_line_is_changed(line: bytes, offer) -> None:
    assert Imap().rewrite(line, offer) == line


@pytest.mark.parametrize("verb", [b"STARTTLS", b"starttls", b"StartTLS"])
def test_starttls_is_answered_here(verb: bytes) -> None:
    line = b"x.1 " + verb + b"\r\n"
    assert Imap().answer(line, PLAIN) == Answer(b"x.1 OK Begin TLS negotiation now.\r\n", Then.START_TLS)
    assert Imap().answer(line, IN_TLS) == Answer(b"x.1 BAD TLS is on already.\r\n")
    assert Imap().answer(line, NO_TLS) == Answer(b"x.1 BAD TLS is not offered here.\r\n")


PASSWORDS = [
    b"a LOGIN bob secret\r\n",
    b"a login bob secret\r\n",
    b'a  LOGIN\t"bob" "secret"\r\n',
    b"a LOGIN {3}\r\n",
    b"a AUTHENTICATE PLAIN\r\n",
    b"a AUTHENTICATE PLAIN AGJvYgBzZWNyZXQ=\r\n",
    b"a authenticate login\r\n",
    b'a AUTHENTICATE "PLAIN"\r\n',
    b"a AUTHENTICATE XOAUTH2 dXNlcj1ib2I=\r\n",
    b"a AUTHENTICATE OAUTHBEARER\r\n",
    b"a AUTHENTICATE X-NOBODY-KNOWS\r\n",
    b"a AUTHENTICATE {5}\r\n",
    b"a AUTHENTICATE\r\n",
]


@pytest.mark.parametrize("line", PASSWORDS)
def test_a_password_is_refused_where_all_could_read_it(line: bytes) -> None:
    answer = Imap().answer(line, STRANGER)
    assert answer is not None
    assert answer.text.startswith(b"a NO [PRIVACYREQUIRED] ")
    assert answer.then is Then.GO_ON
    assert Imap().answer(line, IN_TLS) is None
    assert Imap().answer(line, PLAIN) is None


@pytest.mark.parametrize("line", [b"a LOGIN {3+}\r\n", b"a LOGIN bob {6+}\r\n", b"a AUTHENTICATE {5+}\r\n"])
def test_what_follows_a_refused_literal_is_not_taken_for_a_command(line: bytes) -> None:
    answer = Imap().answer(line, STRANGER)
    assert answer is not None
    assert answer.then is Then.CLOSE


@pytest.mark.parametrize(
    "line",
    [
        b"a AUTHENTICATE SCRAM-SHA-256 biwsbj1ib2I=\r\n",
        b"a AUTHENTICATE CRAM-MD5\r\n",
        b"a CAPABILITY\r\n",
        b"LOGIN NOOP\r\n",
        b"a ID NIL\r\n",
        b"\r\n",
    ],
)
def test_what_shows_no_password_goes_to_the_server(line: bytes) -> None:
    assert Imap().answer(line, STRANGER) is None


def test_blanks_before_the_tag_hide_nothing() -> None:
    assert Imap().answer(b" a STARTTLS\r\n", PLAIN) == Answer(b"a OK Begin TLS negotiation now.\r\n", Then.START_TLS)
    assert Imap().answer(b"\t a LOGIN bob secret\r\n", STRANGER) is not None


GREETING = b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS] ready to serve\r\n"
SAME = [b"rawlog1 OK go\r\n", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", b"rawlog2 OK done\r\n"]


def test_the_greeting_behind_starttls_has_the_capabilities_of_tls() -> None:
    sent, greeting = lead(Imap().starttls(), [GREETING, *SAME])
    assert sent == [b"rawlog1 STARTTLS\r\n", "TLS", b"rawlog2 CAPABILITY\r\n"]
    assert greeting == b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready to serve\r\n"


@pytest.mark.parametrize(
    ("greeting", "text"),
    [
        (b"* OK\r\n", b"\r\n"),
        (b"* OK ready\r\n", b"ready\r\n"),
        (b"* ok [ALERT] x\n", b"x\n"),
    ],
)
def test_the_greeting_keeps_its_text(greeting: bytes, text: bytes) -> None:
    _, made = lead(Imap().starttls(), [greeting, *SAME])
    assert made == b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] " + text


def test_untagged_lines_between_are_read_over() -> None:
    lines = [GREETING, b"* CAPABILITY IMAP4rev1 EVIL\r\n", SAME[0], b"* OK still here\r\n", *SAME[1:]]
    _, greeting = lead(Imap().starttls(), lines)
    assert b"EVIL" not in greeting


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([b"* PREAUTH welcome\r\n"], "its greeting is not '* OK' but '* PREAUTH welcome'"),
        ([b"* BYE go away\r\n"], "* BYE go away"),
        ([b"220 smtp.example.com\r\n"], "220 smtp.example.com"),
        ([b"\x16\x03\x01\r\n"], r"\x16\x03\x01"),
        ([b"* OKAY\r\n"], "greeting"),
        ([GREETING, b"rawlog1 NO not today\r\n"], "refused STARTTLS with 'rawlog1 NO not today'"),
        ([GREETING, b"rawlog1 BAD what\r\n"], "refused STARTTLS"),
        ([GREETING, b"rawlog1 OKAY\r\n"], "refused STARTTLS"),
        ([GREETING, b"rawlog9 OK\r\n"], "refused STARTTLS"),
        ([GREETING, b"+ go\r\n"], "refused STARTTLS"),
        ([GREETING, SAME[0], b"rawlog2 OK nothing\r\n"], "no capabilities in TLS"),
        ([GREETING, SAME[0], b"rawlog2 BAD no\r\n"], "no capabilities in TLS"),
        ([GREETING, SAME[0], SAME[1], b"rawlog2 NO no\r\n"], "no capabilities in TLS"),
    ],
)
def test_a_server_that_does_not_start_tls_is_not_used(lines: list[bytes], told: str) -> None:
    with pytest.raises(BackendError) as error:
        lead(Imap().starttls(), lines)
    assert told in str(error.value)


def test_a_refusal_is_a_bye() -> None:
    assert Imap().refusal("No server") == b"* BYE [UNAVAILABLE] No server.\r\n"
    assert Imap().injected().startswith(b"* BYE ")


@pytest.mark.parametrize("offer", [PLAIN, STRANGER, IN_TLS])
@pytest.mark.parametrize(
    ("line", "forwarded"),
    [
        (
            b'a ID ("x-originating-ip" "192.0.2.1" "x-originating-port" "1")\r\n',
            b'a ID ("x_originating-ip" "192.0.2.1" "x_originating-port" "1")\r\n',
        ),
        (b'a id ("X-SESSION-ID" "x")\r\n', b'a id ("X_SESSION-ID" "x")\r\n'),
        (b"a ID (x-proxy-ttl 5)\r\n", b"a ID (x_proxy-ttl 5)\r\n"),
        (b'a ID("x-connected-ip""192.0.2.1")\r\n', b'a ID("x_connected-ip""192.0.2.1")\r\n'),
        (b'\ta  ID\t(\t"x-y" "z")\n', b'\ta  ID\t(\t"x_y" "z")\n'),
        (b'a ID ("name" "Mail" "x-client" "1")\r\n', b'a ID ("name" "Mail" "x_client" "1")\r\n'),
        (b'a ID ("name" "fox-mail" "os" "unix-like")\r\n', b'a ID ("name" "fox-mail" "os" "unix-like")\r\n'),
        (b"a ID NIL\r\n", b"a ID NIL\r\n"),
        (b'a IDLE "x-y"\r\n', b'a IDLE "x-y"\r\n'),
        (b'x-1 NOOP "x-y"\r\n', b'x-1 NOOP "x-y"\r\n'),
        (b'x-1 ID ("x-y" "z")\r\n', b'x-1 ID ("x_y" "z")\r\n'),
    ],
)
def test_nobody_may_say_by_id_that_he_is_a_proxy(line: bytes, forwarded: bytes, offer: Offer) -> None:
    assert Imap().answer(line, offer) is None
    assert Imap().forwarded(line) == forwarded
    assert len(forwarded) == len(line)


@pytest.mark.parametrize(
    ("line", "then"),
    [
        (b"a ID ({16}\r\n", Then.GO_ON),
        (b'a ID ("name" {3+}\r\n', Then.CLOSE),
        (b'a ID ("x\\-originating-ip" "192.0.2.1")\r\n', Then.GO_ON),
    ],
)
def test_an_id_that_can_not_be_put_right_is_refused(line: bytes, then: Then) -> None:
    answer = Imap().answer(line, PLAIN)
    assert answer is not None
    assert answer.text == b"a BAD ID takes quoted strings here.\r\n"
    assert answer.then is then
