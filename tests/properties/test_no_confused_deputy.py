"""Nobody speaks with the gateway's voice: what a client says about itself never reaches a backend that trusts us.

The backend of these tests believes everything: it takes CR, LF and NUL for the end of a command, blanks of any kind
before and behind a word, and commands in a BDAT chunk that it has refused. When it is told XCLIENT, XFORWARD, PROXY or
an ID with x-originating-ip, the test fails.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backends import FakeServer, Script
from tests.support.gateway import RunningGateway
from tests.support.peer import Peer

CLAIM = re.compile(
    rb"(?:\A|[\r\n\0])[\s\0]*(?:XCLIENT|XFORWARD|PROXY)\b|\bID\b[^\r\n]*(?:\bx-|x\\-)|\A\r\n\r\n\0\r\nQUIT\n",
    re.IGNORECASE,
)
ARGUMENTS = (b" ADDR=192.0.2.9", b"\tADDR=192.0.2.9", b"")
BEFORE = (b" ", b"\t", b"\x0b", b"\x0c", b"NOOP\r\n", b"NOOP\n", b"NOOP\r", b"NOOP x\0", b"\r", b"\0", b"\r\n")
ANSWERS = {
    "smtp": {b"EHLO": b"250-me\r\n250-XCLIENT ADDR\r\n250-CHUNKING\r\n250 XFORWARD NAME\r\n", b"DATA": b"554 no\r\n"},
    "lmtp": {b"LHLO": b"250-me\r\n250-XCLIENT ADDR\r\n250 CHUNKING\r\n", b"DATA": b"554 no\r\n"},
    "pop3": {},
    "managesieve": {},
    "imap": {},
}
GREETINGS = {
    "smtp": b"220 hi\r\n",
    "lmtp": b"220 hi\r\n",
    "pop3": b"+OK hi\r\n",
    "imap": b"* OK hi\r\n",
    "managesieve": b'"SIEVE" "x"\r\n"XCLIENT"\r\nOK\r\n',
}
GOOD = {"smtp": b"250 ok\r\n", "lmtp": b"250 ok\r\n", "pop3": b"+OK\r\n", "managesieve": b"OK\r\n"}
SCHEMES = {"managesieve": "sieve"}


def credulous(protocol: str) -> Script:
    """A server that answers every piece of what it gets as if it were a command."""

    def script(peer: Peer) -> None:
        peer.send(GREETINGS[protocol])
        while line := peer.line():
            for piece in [each for each in re.split(rb"[\r\n\0]+", line) if each] or [b""]:
                words = piece.split() or [b""]
                verb = words[0].upper()
                if protocol == "imap":
                    peer.send(words[0] + b" OK done\r\n")
                elif verb in (b"MAIL", b"RCPT") or (protocol in ("smtp", "lmtp") and verb == b"BDAT"):
                    peer.send(b"530 5.7.0 Authentication required\r\n")
                else:
                    peer.send(ANSWERS[protocol].get(verb, GOOD[protocol]))
                if verb in (b"QUIT", b"LOGOUT") or words[1:2] == [b"LOGOUT"]:
                    return

    return script


def cases(word: bytes) -> list[bytes]:
    """A word in letter cases that differ everywhere."""
    return [word, word.lower(), word.title(), word.swapcase()[:3] + word[3:], word[:-1] + word[-1:].lower()]


def smtp(hello: bytes) -> Iterator[bytes]:
    """What strangers say to a submission or LMTP server."""
    for word, argument in itertools.product([*cases(b"XCLIENT"), *cases(b"XFORWARD")], ARGUMENTS):
        claim = word + argument
        size = len(claim) + 2
        yield claim
        for before in BEFORE:
            yield before + claim
        yield b"%b me\r\n%b" % (hello, claim)
        yield b"%b me\r\nBDAT %d\r\n%b" % (hello, size, claim)
        yield b"%b me\r\nbdat %d last\r\n%b" % (hello, size, claim)
        yield b"BDAT %d\r\n%b" % (size, claim)
        yield b"%b me\r\nBDAT %d x\r\n%b" % (hello, size, claim)
        yield b"%b me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT %d LAST\r\n%b" % (hello, size, claim)
        yield b"%b me\r\nBDAT 99999999999999999999\r\n%b" % (hello, claim)
        yield b"DATA\r\n%b" % claim
        yield b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n%b\r\n.\r\n%b" % (claim, claim)
        yield b"AUTH PLAIN\r\n%b" % claim
        yield b"AUTH PLAIN =\r\n%b\r\n*\r\n%b" % (claim, claim)
        yield b"\x16\x03\x01\r\n%b" % claim
        yield b"BURL imap://x LAST\r\n%b" % claim


def lines_with_xclient() -> Iterator[bytes]:
    """What strangers say to a POP3 or ManageSieve server."""
    for word, argument in itertools.product(cases(b"XCLIENT"), ARGUMENTS):
        for before in (b"", b" ", b"\t", b"NOOP\r\n", b"NOOP\n", b"CAPA\r\n"):
            yield before + word + argument


def ids() -> Iterator[bytes]:
    """What strangers say to an IMAP server."""
    for word, key in itertools.product(cases(b"ID"), (b"x-originating-ip", b"X-Session-ID", b"X-PROXY-TTL", b"x-a")):
        for claim in (
            b' ("%b" "192.0.2.9")',
            b' ( "%b" "192.0.2.9" )',
            b' ("name" "x" "%b" "192.0.2.9")',
            b'\t("%b" NIL)',
            b' (%b "192.0.2.9")',
            b' ("a"b" "%b" "1")',
            b'("%b" "1")',
        ):
            yield b"a " + word + claim % key
        yield b"a " + word + b' ("x\\-originating-ip" "192.0.2.9")'
        yield b"a " + word + b" ({%d+}\r\n%b {1+}\r\n1)" % (len(key), key)
        yield b"a " + word + b" ({%d}\r\n%b {1}\r\n1)" % (len(key), key)


SAID = {
    "smtp": [*smtp(b"EHLO"), b"PROXY TCP4 192.0.2.9 192.0.2.1 1 587"],
    "lmtp": [*smtp(b"LHLO")],
    "pop3": [*lines_with_xclient()],
    "managesieve": [*lines_with_xclient()],
    "imap": [*ids()],
}
BYE = {"imap": b"z LOGOUT", "managesieve": b"LOGOUT"}


@pytest.mark.parametrize("pieces", ["whole", "bytes"])
@pytest.mark.parametrize("protocol", SAID)
def test_a_stranger_stays_one(tmp_path: Path, protocol: str, pieces: str) -> None:
    claims = SAID[protocol] if pieces == "whole" else SAID[protocol][::7]
    bye = b"\r\n" + BYE.get(protocol, b"QUIT") + b"\r\n"
    with (
        FakeServer(credulous(protocol)) as fake,
        RunningGateway(f"{SCHEMES.get(protocol, protocol)}://127.0.0.1:{fake.port}", tmp_path) as gateway,
    ):
        for claim in claims:
            said = claim + bye
            with gateway.dial() as peer:
                for piece in [said] if pieces == "whole" else [said[at : at + 1] for at in range(len(said))]:
                    try:
                        peer.send(piece)
                    except OSError:
                        break  # refused already
                peer.shut()
                peer.rest()
            (behind,) = fake.peers[-1:]
            heard = bytes(behind.clear)
            if protocol == "smtp" and claim.startswith(b"PROXY"):
                continue  # a word like any other: it is no header, for ours, or the server's greeting, came before it
            assert not CLAIM.search(heard), (claim, heard)


@pytest.mark.parametrize(
    "header",
    [b"PROXY TCP4 192.0.2.9 192.0.2.1 1 143\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)],
    ids=["v1", "v2"],
)
def test_a_backend_that_waits_for_a_header_gets_none_from_a_client(
    tmp_path: Path, header: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It speaks only behind the header, so what the client says is held until the gateway gives up."""
    monkeypatch.setattr("rawlog.taps.upgrade.GREETING_TIMEOUT", 0.3)
    with (
        FakeServer(lambda peer: peer.send(b"* OK " + peer.line())) as fake,
        RunningGateway(f"imap://127.0.0.1:{fake.port}", tmp_path) as gateway,
        gateway.dial() as peer,
    ):
        peer.send(header + b"a NOOP\r\n")
        assert peer.rest().startswith(b"* BYE [UNAVAILABLE]")
        assert fake.peers[0].received == b""
