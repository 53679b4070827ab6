"""Dialogues on the way to the login: with a server reached by STARTTLS, without tags, with a client far ahead."""

from __future__ import annotations

import pytest

from rawlog.engine.leg import LegError
from rawlog.taps import upgrade
from tests.support.table import Table

BACKEND = [
    b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready\r\n",
    b"rawlog1 OK go\r\n",
    b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nrawlog2 OK done\r\n",
]


@pytest.mark.parametrize("cut", [1, 2, 7, 1000])
def test_the_servers_leg_is_led_to_tls(cut: int) -> None:
    here = Table(backend_tls="starttls")
    here.client_says(b"a LOGIN u p\r\n")
    for number, said in enumerate(BACKEND):
        assert here.took("client") == b""
        for i in range(0, len(said), cut):
            here.server_says(said[i : i + cut])
        if number == 1:
            assert here.took("server") == b"rawlog1 STARTTLS\r\n<TLS>"
            assert here.server.hostname == "mail.example.com"
            here.server.finish_tls()
    assert here.took("client") == b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS] ready\r\n"
    assert here.took("server") == b"rawlog2 CAPABILITY\r\na LOGIN u p\r\n"
    assert here.tls == ["server"]


def test_a_greeting_that_never_ends_a_line_is_given_up() -> None:
    here = Table(backend_tls="starttls")
    here.client_says(b"a LOGIN u p\r\n")
    here.server_says(b"x" * 70000)
    assert here.took("client").startswith(b"* BYE [UNAVAILABLE]")
    assert here.took("server") == b""
    assert here.told == ["backend x: its greeting has a line of more than 65536 bytes; check host and port"]


def test_a_failed_handshake_with_the_server_is_told_to_both() -> None:
    here = Table(backend_tls="starttls")
    for said in BACKEND[:2]:
        here.server_says(said)
    here.server.finish_tls(LegError("backend x: its TLS certificate has expired"))
    assert here.took("client").startswith(b"* BYE [UNAVAILABLE]")
    assert here.told == ["backend x: its TLS certificate has expired"]
    here.server_says(b"rawlog2 OK plain text goes on\r\n")
    assert here.took("client") == b""


def test_a_server_that_closes_in_the_middle_is_told() -> None:
    here = Table(backend_tls="starttls")
    here.server_says(BACKEND[0])
    here.server_ends()
    assert here.took("client").startswith(b"* BYE [UNAVAILABLE]")
    assert "closed before its greeting" in here.finished


# -- protocols without tags ----------------------------------------------------------------------------------------


def test_ehlo_goes_alone_so_that_its_answer_is_known() -> None:
    here = Table("smtp")
    here.server_says(b"220 ready\r\n")
    here.client_says(b"NOOP\r\nEHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
    assert here.took("server") == b"NOOP\r\n"
    here.server_says(b"250 fine\r\n")
    assert here.took("server") == b"EHLO me\r\n"
    here.server_says(b"250-mail\r\n250 SIZE\r\n")
    assert here.took("client") == b"220 ready\r\n250 fine\r\n250-mail\r\n250-SIZE\r\n250 STARTTLS\r\n"
    assert here.took("server") == b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"


def test_managesieve_says_its_capabilities_again_in_tls() -> None:
    here = Table("managesieve")
    here.server_says(b'"IMPLEMENTATION" "x"\r\nOK\r\n')
    here.client_says(b"STARTTLS\r\n")
    here.took("client")
    here.client.finish_tls()
    assert here.took("server") == b"CAPABILITY\r\n"
    here.server_says(b'"IMPLEMENTATION" "x"\r\nOK\r\n')
    assert here.took("client") == b'"IMPLEMENTATION" "x"\r\nOK\r\n'


# -- a client that is far ahead ------------------------------------------------------------------------------------

GREETING = b"* OK [CAPABILITY IMAP4rev1] ready\r\n"
SHOWN = b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"


def test_many_commands_ahead_go_by_and_by_as_the_server_answers() -> None:
    here = Table()
    here.server_says(GREETING)
    here.client_says(b"a NOOP\r\n" * 2000)
    assert not here.client.reading
    answered = 0
    while waiting := here.took("server").count(b"a NOOP\r\n"):
        assert waiting <= upgrade.AHEAD_LIMIT
        here.server_says(b"a OK\r\n" * waiting)
        answered += waiting
    assert answered == 2000
    assert here.client.reading
    assert here.took("client") == SHOWN + b"a OK\r\n" * 2000


@pytest.mark.parametrize("line", [b"\n", b"x\n", b"a STARTTLS\r\n"])
def test_lines_that_nobody_answers_are_not_taken_without_end(line: bytes) -> None:
    here = Table(client_tls=None)
    here.server_says(GREETING)
    here.client_says(line * 10_000)
    assert not here.client.reading
    assert len(here.took("server")) <= upgrade.AHEAD_LIMIT * len(line)
    here.loop.advance(upgrade.LEFT_TIMEOUT + 1)
    assert here.finished == "the client sent too much ahead of an answer that did not come"
