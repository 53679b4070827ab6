"""The way to the login, piece by piece, on a model of the relay: what goes where, in which order, what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rawlog.engine.leg import LegError
from rawlog.taps import upgrade
from tests.support.table import IN, OUT, Table

GREETING = b"* OK [CAPABILITY IMAP4rev1] ready\r\n"
SHOWN = b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"


def logged_in(table: Table) -> Table:
    table.server_says(GREETING)
    table.client_says(b"a LOGIN u p\r\n")
    table.server_says(b"a OK in\r\n")
    assert table.stepped_out
    return table


def test_from_the_login_on_nobody_stands_between() -> None:
    here = logged_in(Table())
    assert here.took("client") == SHOWN + b"a OK in\r\n"
    assert here.took("server") == b"a LOGIN u p\r\n"
    here.client_says(b"b STARTTLS\r\nhalf a l")
    here.server_says(b"* CAPABILITY STARTTLS\r\nhalf")
    assert here.took("server") == b"b STARTTLS\r\nhalf a l"
    assert here.took("client") == b"* CAPABILITY STARTTLS\r\nhalf"


TALK = [
    (OUT, GREETING, SHOWN),
    (IN, b"a CAPABILITY\r\n", None),
    (OUT, b"* CAPABILITY IMAP4rev1\r\na OK done\r\n", b"* CAPABILITY IMAP4rev1 STARTTLS\r\na OK done\r\n"),
    (IN, b"b LOGIN {1}\r\n", None),
    (OUT, b"+ go\r\n", None),
    (IN, b"u {1}\r\n", None),
    (OUT, b"+ go\r\n", None),
    (IN, b"x\r\n", None),
    (OUT, b"b NO no\r\n", None),
    (IN, b"c AUTHENTICATE PLAIN\r\n", None),
    (OUT, b"+ \r\n", None),
    (IN, b"AHUAcA==\r\n", None),
    (OUT, b"* OK by the way\r\nc OK [CAPABILITY IMAP4rev1 IDLE] in\r\n", None),
    (IN, b"d NOOP\r\n\0\xff", None),
    (OUT, b"d OK\r\n\0\xff", None),
]


def run_talk(here: Table, cut: Callable[[bytes], list[bytes]]) -> None:
    for direction, data, _ in TALK:
        for piece in cut(data):
            (here.client_says if direction is IN else here.server_says)(piece)
    assert here.took("server") == b"".join(data for direction, data, _ in TALK if direction is IN)
    assert here.took("client") == b"".join(shown or data for direction, data, shown in TALK if direction is OUT)
    assert here.stepped_out
    assert here.told == []


def test_a_conversation_passes_whole() -> None:
    run_talk(Table(), lambda data: [data])


def test_a_conversation_passes_byte_by_byte() -> None:
    run_talk(Table(), lambda data: [data[i : i + 1] for i in range(len(data))])


@pytest.mark.parametrize("size", range(2, 40))
def test_a_conversation_passes_in_pieces(size: int) -> None:
    run_talk(Table(), lambda data: [data[i : i + size] for i in range(0, len(data), size)])


def test_what_a_client_sends_ahead_waits_for_its_answers_in_order() -> None:
    here = Table()
    for _, data, _ in (entry for entry in TALK if entry[0] is IN):
        here.client_says(data)
    assert here.took("server") == b""
    for _, data, _ in (entry for entry in TALK if entry[0] is OUT):
        here.server_says(data)
    assert here.took("server") == b"".join(data for direction, data, _ in TALK if direction is IN)
    assert here.took("client") == b"".join(shown or data for direction, data, shown in TALK if direction is OUT)


def test_the_clients_end_is_not_passed_on_while_its_commands_wait() -> None:
    here = Table()
    here.client_says(b"a LOGIN u p\r\nb NOOP\r\n")
    here.client_says(b"c NOOP\r\n")
    here.client_ends()
    assert not here.end_passed
    here.server_says(GREETING)
    assert here.took("server") == b"a LOGIN u p\r\n"
    assert not here.end_passed
    here.loop.advance(upgrade.LEFT_TIMEOUT - 1)
    here.server_says(b"a NO no\r\n")
    assert here.took("server") == b"b NOOP\r\nc NOOP\r\n"
    assert here.end_passed
    here.loop.advance(1000)
    assert not here.finished


def test_a_client_that_has_left_is_not_waited_for_without_end() -> None:
    here = Table()
    here.server_says(GREETING)
    here.client_says(b"a LOGIN u p\r\nb NOOP\r\n")
    here.client_ends()
    here.loop.advance(upgrade.LEFT_TIMEOUT + 1)
    assert here.finished == "client closed while its commands waited for an answer"


def test_too_much_ahead_of_an_answer_is_not_waited_for_without_end() -> None:
    here = Table()
    here.server_says(GREETING)
    here.client_says(b"a LOGIN u p\r\n" + b"x" * 70000)
    here.loop.advance(upgrade.LEFT_TIMEOUT + 1)
    assert here.finished == "the client sent too much ahead of an answer that did not come"


def test_the_end_of_a_client_that_waits_for_nothing_is_passed_on_at_once() -> None:
    here = Table()
    here.server_says(GREETING)
    here.client_says(b"a LOGIN u p\r\n")
    here.client_ends()
    assert here.end_passed


def test_too_much_ahead_of_an_answer_stops_reading() -> None:
    here = Table()
    here.server_says(GREETING)
    here.client_says(b"a LOGIN u p\r\n")
    ahead = (b"b NOOP ".ljust(1022, b"x") + b"\r\n") * (upgrade.HELD_LIMIT // 1024)
    here.client_says(ahead)
    assert here.client.reading
    here.client_says(b"c NOOP\r\n")
    assert not here.client.reading
    here.loop.advance(upgrade.LEFT_TIMEOUT - 1)
    here.server_says(b"a NO no\r\n")
    here.loop.advance(1000)
    assert not here.finished
    assert here.client.reading
    assert here.took("server") == b"a LOGIN u p\r\n" + ahead + b"c NOOP\r\n"


def test_an_unfinished_line_does_not_stop_reading() -> None:
    here = Table()
    here.server_says(GREETING)
    here.client_says(b"a NOO")
    assert not here.held
    here.client_says(b"P\r\n")
    assert here.took("server") == b"a NOOP\r\n"


# -- TLS with the client -------------------------------------------------------------------------------------------


def test_starttls_is_between_gateway_and_client() -> None:
    here = Table(plaintext_login=False)
    here.server_says(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n")
    here.client_says(b"a STARTTLS\r\n")
    assert here.took("client") == (
        b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready\r\na OK Begin TLS negotiation now.\r\n<TLS>"
    )
    here.client.finish_tls()
    assert here.tls == ["client"]
    here.client_says(b"b CAPABILITY\r\n")
    here.server_says(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nb OK done\r\n")
    here.client_says(b"c STARTTLS\r\nd LOGIN u p\r\n")
    assert here.took("client") == b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nb OK done\r\nc BAD TLS is on already.\r\n"
    assert here.took("server") == b"b CAPABILITY\r\nd LOGIN u p\r\n"


@pytest.mark.parametrize("first", [b"a NOOP\r\n", b"a NOOP\r\nb NOOP\r\n"])
def test_earlier_answers_come_before_tls(first: bytes) -> None:
    here = Table()
    here.server_says(GREETING)
    here.client_says(first + b"s STARTTLS\r\n")
    assert here.took("client") == SHOWN
    answers = first.replace(b"NOOP", b"OK done")
    here.server_says(answers)
    assert here.took("client") == answers + b"s OK Begin TLS negotiation now.\r\n<TLS>"
    assert not here.held


def test_a_failed_handshake_ends_it() -> None:
    here = Table()
    here.server_says(GREETING)
    here.client_says(b"s STARTTLS\r\n")
    here.client.finish_tls(LegError("client: sends plain text where TLS is expected"))
    assert here.told == ["client: sends plain text where TLS is expected"]
    assert here.finished
    here.server_says(b"* OK\r\n")
    assert here.took("server") == b""


@pytest.mark.parametrize("early", [True, False])
def test_tls_from_the_start_counts_as_on_while_its_handshake_lasts(early: bool) -> None:
    here = Table(plaintext_login=False, client_implicit=True)
    if not early:
        here.client.tls = "on"
    here.server_says(b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready\r\n")
    assert here.took("client") == b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n"
    here.client_says(b"a LOGIN u p\r\n")
    assert here.took("server") == b"a LOGIN u p\r\n"


# -- passwords without TLS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"a LOGIN u secret\r\n",
        b"a LOGIN {1}\r\n",
        b"a AUTHENTICATE PLAIN AHUAc2VjcmV0\r\n",
        b"a AUTHENTICATE XOAUTH2 x\r\n",
    ],
)
def test_a_strangers_password_does_not_reach_the_server(line: bytes) -> None:
    here = Table(plaintext_login=False)
    here.server_says(GREETING)
    here.took("client")
    here.client_says(line + b"b NOOP\r\n")
    assert here.took("client").startswith(b"a NO [PRIVACYREQUIRED] ")
    assert here.took("server") == b"b NOOP\r\n"
    assert not here.finished


def test_a_password_in_a_literal_that_does_not_wait_ends_it() -> None:
    here = Table(plaintext_login=False)
    here.server_says(GREETING)
    here.client_says(b"a LOGIN u {6+}\r\nsecret\r\n")
    assert here.took("server") == b""
    assert here.told == ["the client sent a password without TLS; refused"]


def test_a_refusal_comes_after_the_answers_before_it() -> None:
    here = Table(plaintext_login=False)
    here.server_says(GREETING)
    here.took("client")
    here.client_says(b"a NOOP\r\nb LOGIN u p\r\nc NOOP\r\n")
    assert here.took("client") == b""
    here.server_says(b"a OK done\r\n")
    assert [line[:4] for line in here.took("client").splitlines()] == [b"a OK", b"b NO"]
    assert here.took("server") == b"a NOOP\r\nc NOOP\r\n"


def test_after_a_login_that_showed_no_password_nothing_is_forbidden() -> None:
    here = Table(plaintext_login=False)
    here.server_says(GREETING)
    here.took("client")
    here.client_says(b"a AUTHENTICATE EXTERNAL\r\n")
    here.server_says(b"a OK [CAPABILITY IMAP4rev1 IDLE] in\r\n")
    assert here.took("client") == b"a OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"


# -- the server ----------------------------------------------------------------------------------------------------


def test_preauth_needs_no_login() -> None:
    here = Table()
    here.server_says(b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n")
    assert here.stepped_out


@pytest.mark.parametrize("said", [b"", b"* O", b"* OK ready\r"])
def test_a_server_that_closes_before_its_greeting_is_no_server(said: bytes) -> None:
    here = Table()
    if said:
        here.server_says(said)
    here.server_ends()
    assert here.took("client") == b"* BYE [UNAVAILABLE] The mail server can't be reached at the moment.\r\n"
    (told,) = here.told
    assert told == "backend x closed before its greeting; look into the log of that server"


def test_a_server_that_says_bye_is_believed() -> None:
    here = Table()
    here.server_says(b"* BYE too many connections\r\n")
    here.server_ends()
    assert here.took("client") == b"* BYE too many connections\r\n"
    assert here.told == []
    assert here.reviews == 1


def test_the_servers_last_words_are_passed_on_without_their_end_of_line() -> None:
    here = Table()
    here.server_says(GREETING + b"* BYE I am di")
    here.server_ends()
    assert here.took("client") == SHOWN + b"* BYE I am di"


def test_when_the_server_has_ended_nothing_that_waits_is_sent_in_part() -> None:
    here = Table()
    here.server_says(GREETING)
    here.client_says(b"a LOGIN u p\r\nb NOOP\r\n")
    here.server_ends()
    here.client_says(b"c NOOP\r\n")
    assert not here.held
    assert here.took("server") == b"a LOGIN u p\r\n"


def test_an_unfinished_command_still_reaches_a_server_that_says_no_more() -> None:
    here = Table()
    here.server_says(GREETING)
    here.client_says(b"a NO")
    here.server_ends()
    here.client_says(b"OP\r\n")
    assert here.took("server") == b"a NOOP\r\n"


def test_a_server_that_never_ends_a_line_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "SERVER_LIMIT", 1000)
    here = Table()
    here.server_says(GREETING)
    here.took("client")
    here.server_says(b"* LIST " + b"x" * 1000)
    assert here.took("client").startswith(b"* BYE")
    assert here.told == ["backend x: it sent more than 1000 bytes without an end of line; check host and port"]


def test_a_command_that_never_ends_is_refused() -> None:
    here = Table()
    here.server_says(GREETING)
    here.took("client")
    here.client_says(b"a NOOP " + b"x" * 70000)
    assert here.took("client") == b"* BYE [UNAVAILABLE] The line is too long.\r\n"
    assert here.took("server") == b""
    assert here.finished == "the client sent a command of more than 16384 bytes"


def test_a_server_that_does_not_greet_is_given_up() -> None:
    here = Table()
    here.loop.advance(9.9)
    assert not here.finished
    here.loop.advance(0.2)
    assert here.took("client").startswith(b"* BYE")
    assert here.told == ["backend x: it did not greet within 10 s; check that it is healthy, and the port"]


def test_after_the_greeting_nobody_is_hurried() -> None:
    here = Table()
    here.server_says(GREETING)
    here.loop.advance(1000)
    assert not here.finished


def test_a_mistake_in_a_grammar_costs_the_understanding_only(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Table()
    here.server_says(GREETING)
    here.client_says(b"a NOOP\r\n")

    def mistake(*_: object) -> list[object]:
        raise IndexError

    monkeypatch.setattr(here.upgrade._framer, "on_server_line", mistake)
    here.server_says(b"a OK done\r\n* half")
    here.server_says(b" a line\r\n")
    here.client_says(b"b NOOP\r\n")
    assert here.took("client") == SHOWN + b"a OK done\r\n* half a line\r\n"
    assert here.took("server") == b"a NOOP\r\nb NOOP\r\n"
    assert here.told == ["the conversation is not understood any more; it goes on"]


def test_where_a_client_could_claim_something_a_mistake_in_a_grammar_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Table("smtp")
    here.server_says(b"220 hi\r\n")
    here.client_says(b"NOOP\r\n")

    def mistake(*_: object) -> list[object]:
        raise IndexError

    monkeypatch.setattr(here.upgrade._framer, "on_server_line", mistake)
    here.server_says(b"250 ok\r\n")
    here.client_says(b"XCLIENT ADDR=192.0.2.9\r\n")
    assert here.took("server") == b"NOOP\r\n"
    assert here.took("client").endswith(b"250 ok\r\n421 4.3.2 The conversation is not understood.\r\n")
    assert here.finished == "the conversation is not understood any more; ended"


def test_a_chunk_waits_until_its_recipients_are_accepted() -> None:
    here = Table("smtp")
    for server, client in (
        (b"220 hi\r\n", b"EHLO me\r\n"),
        (b"250-me\r\n250 CHUNKING\r\n", b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 4 LAST\r\nx\r\nyQUIT\r\n"),
    ):
        here.server_says(server)
        here.client_says(client)
    assert here.took("server") == b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
    here.server_says(b"250 ok\r\n")
    assert here.took("server") == b""
    here.server_says(b"250 ok\r\n")
    assert here.took("server") == b"BDAT 4 LAST\r\nx\r\ny"
    here.server_says(b"250 queued\r\n")
    assert here.took("server") == b"QUIT\r\n"
