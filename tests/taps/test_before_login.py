"""Before the login: what is offered, and how long a line or a literal may get, in each protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.events import Direction
from rawlog.protocols.registry import framer_for
from rawlog.taps.before_login import STRANGERS_LIMIT, Policy, line_limit, offer_of, too_long
from tests.support.backends import FakeServer
from tests.support.gateway import RunningGateway
from tests.support.peer import Peer
from tests.support.table import CONTEXT
from tests.support.tongues import IMAP, POP3, SIEVE, SUBMISSION, TONGUES, Tongue

LONG = b"x" * (STRANGERS_LIMIT + 1)


def gateway(tongue: Tongue, fake: FakeServer, directory: Path) -> RunningGateway:
    return RunningGateway(f"{tongue.scheme}://127.0.0.1:{fake.port}", directory)


def refused(peer: Peer, tongue: Tongue) -> None:
    text = peer.rest()
    assert text.startswith(tongue.refused), text
    assert b"too long" in text


@pytest.mark.parametrize("ending", [b"", b"\r\n"], ids=["unfinished", "whole"])
@pytest.mark.parametrize("tongue", TONGUES, ids=lambda tongue: tongue.scheme)
def test_a_long_command_is_refused(tongue: Tongue, ending: bytes, tmp_path: Path) -> None:
    with FakeServer(tongue) as fake, gateway(tongue, fake, tmp_path) as here:
        there, peer = here.dial(), here.dial()
        for each in (there, peer):
            tongue.greet(each)
        peer.send(b"a NOOP " + LONG + ending)
        refused(peer, tongue)
        if tongue.login:
            assert tongue.log_in(there).startswith(tongue.welcome)
        there.close()
        assert [line for line in here.idle().ends() if "a command of more than 16384 bytes" in line]
        assert all(LONG[:100] not in bytes(end.received) for end in fake.peers)


@pytest.mark.parametrize(
    ("tongue", "begin", "answer"),
    [
        (IMAP, b"a AUTHENTICATE PLAIN\r\n", b"+ \r\n"),
        (POP3, b"AUTH PLAIN\r\n", b"+ \r\n"),
        (SIEVE, b'AUTHENTICATE "PLAIN"\r\n', b'""\r\n'),
        (SUBMISSION, b"AUTH PLAIN\r\n", b"334 \r\n"),
    ],
    ids=lambda value: value.scheme if isinstance(value, Tongue) else "",
)
def test_a_sasl_response_without_end_is_refused(tongue: Tongue, begin: bytes, answer: bytes, tmp_path: Path) -> None:
    with FakeServer(tongue) as fake, gateway(tongue, fake, tmp_path) as here:
        peer = here.dial()
        tongue.greet(peer)
        peer.send(begin)
        assert peer.line() == answer
        for _ in range(4):
            peer.send(LONG[: STRANGERS_LIMIT // 3])
        refused(peer, tongue)
        assert "a line of more than 16384 bytes before its login" in here.idle().ends()[0]


@pytest.mark.parametrize(
    ("tongue", "command", "first"),
    [
        (IMAP, b"a LOGIN {4294967295}\r\n", b"+ go on\r\n"),
        (IMAP, b"a LOGIN {16385+}\r\n", b""),
        (IMAP, b"a LOGIN {3+}\r\nbob {99999+}\r\n", b""),
        (SIEVE, b'AUTHENTICATE "PLAIN" {99999+}\r\n', b""),
    ],
)
def test_a_large_literal_is_refused(tongue: Tongue, command: bytes, first: bytes, tmp_path: Path) -> None:
    with FakeServer(tongue) as fake, gateway(tongue, fake, tmp_path) as here:
        peer = here.dial()
        tongue.greet(peer)
        peer.send(command)
        assert peer.exactly(len(first)) == first
        refused(peer, tongue)
        assert "a literal of " in here.idle().ends()[0]


def test_what_is_just_short_enough_passes(tmp_path: Path) -> None:
    with FakeServer(IMAP) as fake, gateway(IMAP, fake, tmp_path) as here:
        peer = here.dial()
        IMAP.greet(peer)
        line = b"a LOGIN bob " + b"x" * (STRANGERS_LIMIT - len(b"a LOGIN bob \r\n")) + b"\r\n"
        peer.send(line)
        assert peer.line() == b"a OK in\r\n"
        peer.send(b"b NOOP " + LONG + b"\r\n")
        peer.close()
        here.idle()
        fake.wait()
        assert bytes(fake.peers[0].clear) == line + b"b NOOP " + LONG + b"\r\n"


def test_behind_the_login_lines_may_be_longer() -> None:
    framer = framer_for("imap")
    framer.feed(Direction.OUT, b"* OK ready\r\n")
    assert line_limit(framer) == STRANGERS_LIMIT
    framer.feed(Direction.IN, b"a LOGIN bob secret\r\n")
    framer.feed(Direction.OUT, b"a OK in\r\n")
    assert line_limit(framer) == 65536
    framer.feed(Direction.IN, b"b APPEND x {99999}\r\n")
    framer.feed(Direction.OUT, b"+ go on\r\n")
    assert framer.expects_bytes() == 99999
    assert too_long(framer, until_login=True) == ""


def test_bytes_of_a_message_are_no_literal() -> None:
    framer = framer_for("smtp")
    framer.feed(Direction.OUT, b"220 x\r\n")
    framer.feed(Direction.IN, b"EHLO x\r\n")
    framer.feed(Direction.OUT, b"250-x\r\n250 CHUNKING\r\n")
    framer.feed(Direction.IN, b"MAIL FROM:<a@b.c>\r\n")
    framer.feed(Direction.OUT, b"250 ok\r\n")
    framer.feed(Direction.IN, b"RCPT TO:<a@b.c>\r\n")
    framer.feed(Direction.OUT, b"250 ok\r\n")
    framer.feed(Direction.IN, b"BDAT 9999999 LAST\r\n")
    assert framer.expects_bytes() == 9999999
    assert too_long(framer, until_login=False) == ""
    assert too_long(framer, until_login=True) == "a literal of 9999999 bytes"


def test_what_is_offered() -> None:
    framer = framer_for("imap")
    policy = Policy(CONTEXT, plaintext_login=False, backend_tls="implicit")
    plain = offer_of(policy, framer, tls=False, until_login=True)
    assert (plain.starttls, plain.tls, plain.login, plain.backend_tls) == (True, False, False, True)
    inside = offer_of(policy, framer, tls=True, until_login=True)
    assert (inside.starttls, inside.tls, inside.login) == (False, True, True)
