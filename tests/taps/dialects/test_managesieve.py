"""ManageSieve's words: its capability lines, STARTTLS, what is refused without TLS."""

from __future__ import annotations

import pytest

from rawlog.taps.dialects.base import Answer, BackendError, Offer, Then
from rawlog.taps.dialects.managesieve import ManageSieve
from tests.support.dialogue import IN_TLS, NO_TLS, PLAIN, STRANGER, lead

SASL = b'"SASL" "PLAIN SCRAM-SHA-1-PLUS SCRAM-SHA-1"\r\n'
LINES = [b'"IMPLEMENTATION" "x"\r\n', SASL, b'"SIEVE" "fileinto STARTTLS"\r\n', b'"STARTTLS"\r\n', b'OK "ready"\r\n']


def rewritten(lines: list[bytes], offer: Offer) -> list[bytes]:
    dialect = ManageSieve()
    return [made for line in lines if (made := dialect.rewrite(line, offer))]


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [1, 0, 3, 2, 4], [3, 2, 1, 4]])
@pytest.mark.parametrize(
    ("offer", "mechanisms", "last"),
    [
        (PLAIN, b"PLAIN SCRAM-SHA-1", b'"STARTTLS"\r\nOK "ready"\r\n'),
        (IN_TLS, b"PLAIN SCRAM-SHA-1", b'OK "ready"\r\n'),
        (NO_TLS, b"PLAIN SCRAM-SHA-1", b'OK "ready"\r\n'),
        (STRANGER, b"SCRAM-SHA-1", b'"STARTTLS"\r\nOK "ready"\r\n'),
    ],
)
def test_capabilities_are_put_right_in_any_order(
    offer: Offer, mechanisms: bytes, last: bytes, order: list[int]
) -> None:
    expected = {0: LINES[0], 1: b'"SASL" "' + mechanisms + b'"\r\n', 2: LINES[2], 3: b"", 4: last}
    assert b"".join(rewritten([LINES[i] for i in order], offer)) == b"".join(expected[i] for i in order)


@pytest.mark.parametrize(
    "line",
    [
        b'OK "done"\r\n',
        b'NO "no"\r\n',
        b'"Y2hhbGxlbmdl"\r\n',
        b'"abcd"\r\n',
        b"{3}\r\n",
        b"\r\n",
        b'"my \\"script\\"" ACTIVE\r\n',
    ],
)
def test_no_other_line_is_changed(line: bytes) -> None:
    assert ManageSieve().rewrite(line, PLAIN) == line


def test_a_challenge_is_no_capability() -> None:
    assert rewritten([b'"abcd"\r\n', b'OK "in"\r\n'], PLAIN) == [b'"abcd"\r\n', b'OK "in"\r\n']


@pytest.mark.parametrize("end", [b'NO "no"\r\n', b'BYE "too many"\r\n'])
def test_a_list_that_is_refused_ends_as_it_is(end: bytes) -> None:
    assert rewritten([LINES[0], end], PLAIN) == [LINES[0], end]


def test_starttls_is_answered_here() -> None:
    started = Answer(b'OK "Begin TLS negotiation now."\r\n', Then.START_TLS)
    assert ManageSieve().answer(b"starttls\r\n", PLAIN) == started
    assert ManageSieve().answer(b" STARTTLS\r\n", PLAIN) == started
    assert ManageSieve().answer(b"STARTTLS\r\n", IN_TLS) == Answer(b'NO "TLS is on already."\r\n')
    assert ManageSieve().answer(b"STARTTLS\r\n", NO_TLS) == Answer(b'NO "TLS is not offered here."\r\n')
    assert ManageSieve().after_tls() == b"CAPABILITY\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b'AUTHENTICATE "PLAIN" "AGJv"\r\n',
        b'authenticate "login"\r\n',
        b'AUTHENTICATE "XOAUTH2"\r\n',
        b'AUTHENTICATE "X-NEW"\r\n',
        b"AUTHENTICATE PLAIN\r\n",
        b"AUTHENTICATE {5}\r\n",
    ],
)
def test_a_password_is_refused_where_all_could_read_it(line: bytes) -> None:
    answer = ManageSieve().answer(line, STRANGER)
    assert answer is not None
    assert answer.text.startswith(b"NO (ENCRYPT-NEEDED) ")
    assert answer.then is Then.GO_ON
    assert ManageSieve().answer(line, IN_TLS) is None
    assert ManageSieve().answer(line, PLAIN) is None


@pytest.mark.parametrize("line", [b'AUTHENTICATE "PLAIN" {8+}\r\n', b"AUTHENTICATE {5+}\r\n"])
def test_what_follows_a_refused_literal_is_not_taken_for_a_command(line: bytes) -> None:
    answer = ManageSieve().answer(line, STRANGER)
    assert answer is not None
    assert answer.then is Then.CLOSE


@pytest.mark.parametrize("line", [b'AUTHENTICATE "SCRAM-SHA-1" "x"\r\n', b"CAPABILITY\r\n", b"\r\n", b'"x"\r\n'])
def test_what_shows_no_password_goes_to_the_server(line: bytes) -> None:
    assert ManageSieve().answer(line, STRANGER) is None


def test_nobody_may_speak_with_the_gateways_address() -> None:
    assert ManageSieve().answer(b'XCLIENT "ADDR=1.2.3.4"\r\n', IN_TLS) == Answer(b'NO "Unknown command."\r\n')


INSIDE = [b'"IMPLEMENTATION" "x"\r\n', b'"SASL" "PLAIN"\r\n', b"OK\r\n"]


def test_the_greeting_behind_starttls_is_the_one_in_tls() -> None:
    sent, greeting = lead(ManageSieve().starttls(), [*LINES, b'OK "go"\r\n', *INSIDE])
    assert sent == [b"STARTTLS\r\n", "TLS"]
    assert greeting == b"".join(INSIDE)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([b'BYE "no"\r\n'], "it lists no capabilities but says"),
        ([b"* OK imap\r\n"], "'* OK imap'"),
        ([*LINES, b'NO "no TLS"\r\n'], "it refused STARTTLS with 'NO \"no TLS\"'"),
        ([*LINES, b"OKAY\r\n"], "it refused STARTTLS"),
        ([*LINES, b"OK\r\n", b"what\r\n"], "it lists no capabilities but says 'what'"),
        ([b'"X" "y"\r\n'] * 100, "more than 100 lines"),
    ],
)
def test_a_server_that_does_not_start_tls_is_not_used(lines: list[bytes], told: str) -> None:
    with pytest.raises(BackendError) as error:
        lead(ManageSieve().starttls(), lines)
    assert told in str(error.value)


def test_a_refusal_is_temporary() -> None:
    assert ManageSieve().refusal("No server") == b'BYE (TRYLATER) "No server."\r\n'


def test_that_the_server_believes_proxies_is_not_shown() -> None:
    dialect = ManageSieve()
    lines = [b'"IMPLEMENTATION" "x"\r\n', b'"XCLIENT"\r\n', b"OK\r\n"]
    assert b"".join(dialect.rewrite(line, IN_TLS) for line in lines) == b'"IMPLEMENTATION" "x"\r\nOK\r\n'
