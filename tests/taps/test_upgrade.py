"""The way to the login, piece by piece: what goes where, in which order, and what is refused.

The relay here is a model of the real one: filters, pause and resume, and two legs that keep what is written to them.
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Callable, Iterable

import pytest

from rawlog.engine.leg import LegError
from rawlog.engine.loop import Loop
from rawlog.events import Direction
from rawlog.protocols.registry import framer_for
from rawlog.taps import upgrade
from rawlog.taps.dialects import dialect_for
from rawlog.taps.upgrade import Policy, Upgrade

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
IN, OUT = Direction.IN, Direction.OUT
GREETING = b"* OK [CAPABILITY IMAP4rev1] ready\r\n"
SHOWN = b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"


class ModelLeg:
    def __init__(self, name: str) -> None:
        self.name = name
        self.written = b""
        self.tls: object = None
        self.ended = False
        self.end_reason = ""
        self.on_change: Callable[[], None] = lambda: None
        self.done: Callable[[LegError | None], None] | None = None
        self.hostname: str | None = None

    def write(self, data: bytes) -> None:
        assert data
        assert self.done is None, "plain text is written in the middle of a handshake"
        self.written += data

    def start_tls(self, context: object, *, server_side: bool, server_hostname: str | None, on_done: Callable) -> None:
        assert context is CONTEXT
        self.written += b"<TLS>"
        self.hostname = server_hostname
        self.done = on_done

    def finish_tls(self, error: LegError | None = None) -> None:
        done, self.done = self.done, None
        assert done is not None
        self.tls = None if error else "on"
        done(error)


class Table:
    """Both sides, and Upgrade between them. What one side says is ``client(data)`` or ``server(data)``."""

    def __init__(self, protocol: str = "imap", **policy: object) -> None:
        self.client_leg, self.server_leg = ModelLeg("client"), ModelLeg("backend x")
        self.filters: dict[Direction, Callable[[bytes], bytes] | None] = dict.fromkeys(Direction)
        self.paused: list[bytes] | None = None
        self.finished = ""
        self.reviews = 0
        self.told: list[str] = []
        self.tls: list[str] = []
        self.server_leg.on_change = self._review
        self.loop = Loop()
        words: dict[str, object] = {"client_tls": CONTEXT, "plaintext_login": True, "backend_tls": "none"}
        words |= {"backend_context": CONTEXT, "backend_name": "mail.example.com"} | policy
        self.upgrade = Upgrade(
            self.loop,
            self,  # type: ignore[arg-type]
            framer_for(protocol),
            dialect_for(protocol),
            Policy(**words),  # type: ignore[arg-type]
            report=self.told.append,
            on_tls=self.tls.append,
        )
        self.upgrade.begin()

    # what Upgrade sees of a relay

    @property
    def client(self) -> ModelLeg:
        return self.client_leg

    @property
    def server(self) -> ModelLeg:
        return self.server_leg

    def pause(self, direction: Direction) -> None:
        assert direction is IN
        assert self.paused is None
        self.paused = []

    def resume(self, direction: Direction) -> None:
        assert direction is IN
        waiting, self.paused = self.paused, None
        for data in waiting or []:
            self.client_says(data)

    def finish(self, reason: str) -> None:
        self.finished = self.finished or reason

    def _review(self) -> None:
        self.reviews += 1

    # what a test does

    def client_says(self, data: bytes) -> None:
        if self.paused is not None:
            self.paused.append(data)
        elif not self.finished:
            self._flow(IN, data, self.server_leg)

    def server_says(self, data: bytes) -> None:
        if not self.finished:
            self._flow(OUT, data, self.client_leg)

    def server_ends(self, reason: str = "backend x closed") -> None:
        self.server_leg.ended, self.server_leg.end_reason = True, reason
        self.server_leg.on_change()

    def _flow(self, direction: Direction, data: bytes, target: ModelLeg) -> None:
        through = self.filters[direction]
        out = data if through is None else through(data)
        if out:
            target.write(out)

    def took(self, leg: str) -> bytes:
        """What was written to a leg since the last call."""
        of = self.client_leg if leg == "client" else self.server_leg
        data, of.written = of.written, b""
        return data

    @property
    def stepped_out(self) -> bool:
        return self.filters == dict.fromkeys(Direction) and not self.finished


@pytest.fixture
def table() -> Iterable[Callable[..., Table]]:
    made: list[Table] = []

    def make(*words: str, **policy: object) -> Table:
        made.append(Table(*words, **policy))
        return made[-1]

    yield make
    for one in made:
        one.loop.close()


Tables = Callable[..., Table]


def logged_in(table: Table) -> Table:
    table.server_says(GREETING)
    table.client_says(b"a LOGIN u p\r\n")
    table.server_says(b"a OK in\r\n")
    assert table.stepped_out
    return table


def test_from_the_login_on_nobody_stands_between(table: Tables) -> None:
    here = logged_in(table())
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


def test_a_conversation_passes_whole(table: Tables) -> None:
    run_talk(table(), lambda data: [data])


def test_a_conversation_passes_byte_by_byte(table: Tables) -> None:
    run_talk(table(), lambda data: [data[i : i + 1] for i in range(len(data))])


@pytest.mark.parametrize("size", range(2, 40))
def test_a_conversation_passes_in_pieces(table: Tables, size: int) -> None:
    run_talk(table(), lambda data: [data[i : i + size] for i in range(0, len(data), size)])


def test_what_a_client_sends_ahead_waits_for_its_answers_in_order(table: Tables) -> None:
    here = table()
    for _, data, _ in (entry for entry in TALK if entry[0] is IN):
        here.client_says(data)
    assert here.took("server") == b""
    for _, data, _ in (entry for entry in TALK if entry[0] is OUT):
        here.server_says(data)
    assert here.took("server") == b"".join(data for direction, data, _ in TALK if direction is IN)
    assert here.took("client") == b"".join(shown or data for direction, data, shown in TALK if direction is OUT)


def test_the_clients_end_is_not_passed_on_while_its_commands_wait(table: Tables) -> None:
    here = table()
    here.client_says(b"a LOGIN u p\r\nb NOOP\r\n")
    assert here.paused == []
    here.server_says(GREETING)
    assert here.took("server") == b"a LOGIN u p\r\n"
    assert here.paused == []
    here.server_says(b"a NO no\r\n")
    assert here.took("server") == b"b NOOP\r\n"
    assert here.paused is None


def test_an_unfinished_line_does_not_stop_reading(table: Tables) -> None:
    here = table()
    here.server_says(GREETING)
    here.client_says(b"a NOO")
    assert here.paused is None
    here.client_says(b"P\r\n")
    assert here.took("server") == b"a NOOP\r\n"


# -- TLS with the client -------------------------------------------------------------------------------------------


def test_starttls_is_between_gateway_and_client(table: Tables) -> None:
    here = table(plaintext_login=False)
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
def test_earlier_answers_come_before_tls(table: Tables, first: bytes) -> None:
    here = table()
    here.server_says(GREETING)
    here.client_says(first + b"s STARTTLS\r\n")
    assert here.took("client") == SHOWN
    answers = first.replace(b"NOOP", b"OK done")
    here.server_says(answers)
    assert here.took("client") == answers + b"s OK Begin TLS negotiation now.\r\n<TLS>"
    assert here.paused is None


INJECTED = b"b NOOP\r\n"


@pytest.mark.parametrize("before", [b"", b"a NOOP\r\n"])
@pytest.mark.parametrize("size", range(1, len(INJECTED) + 1))
def test_what_stands_behind_starttls_is_refused(table: Tables, before: bytes, size: int) -> None:
    here = table()
    here.server_says(GREETING)
    here.client_says(before + b"s STARTTLS\r\n" + INJECTED[:size])
    if before:
        here.server_says(b"a OK done\r\n")
    assert here.took("server") == before
    assert here.took("client").endswith(b"* BYE [UNAVAILABLE] Nothing may follow STARTTLS before TLS is on.\r\n")
    (told,) = here.told
    assert f"the client sent {size} bytes behind STARTTLS" in told
    assert here.finished == told
    assert not here.tls


@pytest.mark.parametrize("point", range(1, len(b"s STARTTLS\r\n")))
def test_it_is_refused_however_the_command_was_cut(table: Tables, point: int) -> None:
    here = table()
    here.server_says(GREETING)
    whole = b"s STARTTLS\r\n" + INJECTED
    here.client_says(whole[:point])
    here.client_says(whole[point:])
    assert here.took("server") == b""
    assert "command injection" in here.finished


def test_a_flood_behind_starttls_is_refused(table: Tables) -> None:
    here = table()
    here.server_says(GREETING)
    here.client_says(b"s STARTTLS\r\n" + INJECTED * 131072)
    assert here.took("server") == b""
    assert "sent 1048576 bytes" in here.finished


def test_a_failed_handshake_ends_it(table: Tables) -> None:
    here = table()
    here.server_says(GREETING)
    here.client_says(b"s STARTTLS\r\n")
    here.client.finish_tls(LegError("client: sends plain text where TLS is expected"))
    assert here.told == ["client: sends plain text where TLS is expected"]
    assert here.finished
    here.server_says(b"* OK\r\n")
    assert here.took("server") == b""


@pytest.mark.parametrize("early", [True, False])
def test_tls_from_the_start_counts_as_on_while_its_handshake_lasts(table: Tables, early: bool) -> None:
    here = table(plaintext_login=False, client_implicit=True)
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
def test_a_strangers_password_does_not_reach_the_server(table: Tables, line: bytes) -> None:
    here = table(plaintext_login=False)
    here.server_says(GREETING)
    here.took("client")
    here.client_says(line + b"b NOOP\r\n")
    assert here.took("client").startswith(b"a NO [PRIVACYREQUIRED] ")
    assert here.took("server") == b"b NOOP\r\n"
    assert not here.finished


def test_a_password_in_a_literal_that_does_not_wait_ends_it(table: Tables) -> None:
    here = table(plaintext_login=False)
    here.server_says(GREETING)
    here.client_says(b"a LOGIN u {6+}\r\nsecret\r\n")
    assert here.took("server") == b""
    assert here.told == ["the client sent a password without TLS; refused"]


def test_a_refusal_comes_after_the_answers_before_it(table: Tables) -> None:
    here = table(plaintext_login=False)
    here.server_says(GREETING)
    here.took("client")
    here.client_says(b"a NOOP\r\nb LOGIN u p\r\nc NOOP\r\n")
    assert here.took("client") == b""
    here.server_says(b"a OK done\r\n")
    assert [line[:4] for line in here.took("client").splitlines()] == [b"a OK", b"b NO"]
    assert here.took("server") == b"a NOOP\r\nc NOOP\r\n"


def test_after_a_login_that_showed_no_password_nothing_is_forbidden(table: Tables) -> None:
    here = table(plaintext_login=False)
    here.server_says(GREETING)
    here.took("client")
    here.client_says(b"a AUTHENTICATE EXTERNAL\r\n")
    here.server_says(b"a OK [CAPABILITY IMAP4rev1 IDLE] in\r\n")
    assert here.took("client") == b"a OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"


# -- the server ----------------------------------------------------------------------------------------------------


def test_preauth_needs_no_login(table: Tables) -> None:
    here = table()
    here.server_says(b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n")
    assert here.stepped_out


@pytest.mark.parametrize("said", [b"", b"* O", b"* OK ready\r"])
def test_a_server_that_closes_before_its_greeting_is_no_server(table: Tables, said: bytes) -> None:
    here = table()
    if said:
        here.server_says(said)
    here.server_ends()
    assert here.took("client") == b"* BYE [UNAVAILABLE] The mail server can't be reached at the moment.\r\n"
    (told,) = here.told
    assert told == "backend x closed before its greeting; look into the log of that server"


def test_a_server_that_says_bye_is_believed(table: Tables) -> None:
    here = table()
    here.server_says(b"* BYE too many connections\r\n")
    here.server_ends()
    assert here.took("client") == b"* BYE too many connections\r\n"
    assert here.told == []
    assert here.reviews == 1


def test_the_servers_last_words_are_passed_on_without_their_end_of_line(table: Tables) -> None:
    here = table()
    here.server_says(GREETING + b"* BYE I am di")
    here.server_ends()
    assert here.took("client") == SHOWN + b"* BYE I am di"


def test_when_the_server_has_ended_nothing_that_waits_is_sent_in_part(table: Tables) -> None:
    here = table()
    here.server_says(GREETING)
    here.client_says(b"a LOGIN u p\r\nb NOOP\r\n")
    here.server_ends()
    here.client_says(b"c NOOP\r\n")
    assert here.paused is None
    assert here.took("server") == b"a LOGIN u p\r\n"


def test_an_unfinished_command_still_reaches_a_server_that_says_no_more(table: Tables) -> None:
    here = table()
    here.server_says(GREETING)
    here.client_says(b"a NO")
    here.server_ends()
    here.client_says(b"OP\r\n")
    assert here.took("server") == b"a NOOP\r\n"


def test_a_server_that_never_ends_a_line_is_given_up(table: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "SERVER_LIMIT", 1000)
    here = table()
    here.server_says(GREETING)
    here.took("client")
    here.server_says(b"* LIST " + b"x" * 1000)
    assert here.took("client").startswith(b"* BYE")
    assert here.told == ["backend x: it sent more than 1000 bytes without an end of line; check host and port"]


def test_a_command_that_never_ends_is_refused(table: Tables) -> None:
    here = table()
    here.server_says(GREETING)
    here.took("client")
    here.client_says(b"a NOOP " + b"x" * 70000)
    assert here.took("client") == b"* BYE [UNAVAILABLE] The line is too long.\r\n"
    assert here.took("server") == b""
    assert "more than 65536 bytes" in here.finished


def test_a_server_that_does_not_greet_is_given_up(table: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "GREETING_TIMEOUT", 0.01)
    here = table()
    here.loop.call_later(0.1, here.loop.stop)
    here.loop.run()
    assert here.took("client").startswith(b"* BYE")
    assert here.told == ["backend x: it did not greet within 0.01 s; check that it is healthy, and the port"]


def test_after_the_greeting_nobody_is_hurried(table: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "GREETING_TIMEOUT", 0.01)
    here = table()
    here.server_says(GREETING)
    here.loop.call_later(0.1, here.loop.stop)
    here.loop.run()
    assert not here.finished


def test_a_mistake_in_a_grammar_costs_the_understanding_only(table: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    here = table()
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


def test_many_small_commands_cost_no_more_than_their_bytes(table: Tables) -> None:
    here = table()
    here.server_says(GREETING)
    commands = b"a NOOP\r\n" * 2000
    here.client_says(commands)
    here.server_says(b"a OK\r\n" * 2000)
    assert here.took("server") == commands
    assert here.took("client") == SHOWN + b"a OK\r\n" * 2000


# -- a server that is reached by STARTTLS --------------------------------------------------------------------------

BACKEND = [
    b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready\r\n",
    b"rawlog1 OK go\r\n",
    b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nrawlog2 OK done\r\n",
]


@pytest.mark.parametrize("cut", [1, 2, 7, 1000])
def test_the_servers_leg_is_led_to_tls(table: Tables, cut: int) -> None:
    here = table(backend_tls="starttls")
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


@pytest.mark.parametrize(
    "suffix", [b"x", b"rawlog2 OK\r\n", b"* CAPABILITY IMAP4rev1 EVIL\r\nrawlog2 OK\r\n", b"\n" * 65536]
)
def test_what_a_server_sends_behind_its_ok_is_refused(table: Tables, suffix: bytes) -> None:
    here = table(backend_tls="starttls")
    here.client_says(b"a LOGIN u p\r\n")
    here.server_says(BACKEND[0])
    here.server_says(BACKEND[1] + suffix)
    assert here.took("server") == b"rawlog1 STARTTLS\r\n"
    assert here.took("client") == b"* BYE [UNAVAILABLE] The mail server can't be reached at the moment.\r\n"
    (told,) = here.told
    assert told.startswith(f"backend x: it sent {len(suffix)} bytes behind its answer to STARTTLS (response injection)")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([b"* PREAUTH hello\r\n"], "'* PREAUTH hello'"),
        ([BACKEND[0], b"rawlog1 NO not today\r\n"], "refused STARTTLS"),
        ([BACKEND[0], b"rawlog1 BAD what\r\n"], "refused STARTTLS"),
        ([b"x" * 70000], "a line of more than 65536 bytes"),
    ],
)
def test_without_tls_no_byte_of_the_client_goes_to_the_server(table: Tables, said: list[bytes], told: str) -> None:
    here = table(backend_tls="starttls")
    here.client_says(b"a LOGIN u p\r\n")
    for line in said:
        here.server_says(line)
    assert here.took("client").startswith(b"* BYE [UNAVAILABLE]")
    assert b"LOGIN" not in here.took("server")
    assert told in here.finished


def test_a_failed_handshake_with_the_server_is_told_to_both(table: Tables) -> None:
    here = table(backend_tls="starttls")
    for said in BACKEND[:2]:
        here.server_says(said)
    here.server.finish_tls(LegError("backend x: its TLS certificate has expired"))
    assert here.took("client").startswith(b"* BYE [UNAVAILABLE]")
    assert here.told == ["backend x: its TLS certificate has expired"]
    here.server_says(b"rawlog2 OK plain text goes on\r\n")
    assert here.took("client") == b""


def test_a_server_that_closes_in_the_middle_is_told(table: Tables) -> None:
    here = table(backend_tls="starttls")
    here.server_says(BACKEND[0])
    here.server_ends()
    assert here.took("client").startswith(b"* BYE [UNAVAILABLE]")
    assert "closed before its greeting" in here.finished


def test_every_pair_of_cuts_gives_the_same(table: Tables) -> None:
    whole = b"a NOOP\r\nb LOGIN {1}\r\n"
    for first, second in itertools.combinations(range(len(whole)), 2):
        here = Table()
        here.server_says(GREETING)
        for piece in (whole[:first], whole[first:second], whole[second:]):
            if piece:
                here.client_says(piece)
        assert here.took("server") == whole, (first, second)
        here.loop.close()
