"""Real clients of five protocols through the gateway to the embedded mail server, on every way in and out."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from rawlog.demo import DemoServer
from tests.support import mailclients
from tests.support.certificates import certificates
from tests.support.gateway import RunningGateway
from tests.support.peer import SECONDS, Peer, dial

WAYS = {  # how the backend is reached: the server's port
    "imap": "imap",
    "imap+starttls": "imap",
    "imaps": "imaps",
    "pop3": "pop3",
    "pop3+starttls": "pop3",
    "pop3s": "pop3s",
    "submission+starttls": "submission",
    "submissions": "submissions",
    "lmtp": "lmtp",
    "lmtp+starttls": "lmtp",
    "sieve+starttls": "sieve",
}
SAID = {
    "imap": (b" LOGIN alice@example.com ", b"Subject: imap\r\n"),
    "pop3": (b"USER alice@example.com\r\nPASS XXX", b"STAT\r\n"),
    "submission": (b"AUTH ", b"Subject: submission\r\n"),
    "lmtp": (b"lhlo client.example.com\r\n", b"Subject: lmtp\r\n"),
    "sieve": (b'AUTHENTICATE "PLAIN" ', b"keep;\r\n"),
}

_VOLATILE = re.compile(rb"(UIDVALIDITY|APPENDUID|OBJECTID|MAILBOXID|EMAILID|THREADID)[ (]+\S+")


def submission(port: int, user: str, password: str, context: ssl.SSLContext | None) -> None:
    """Log in, and send a message to oneself: the embedded server has no others."""
    with smtplib.SMTP("localhost", port, timeout=SECONDS) as client:
        if context is not None:
            client.starttls(context=context)
        client.login(user, password)
        client.sendmail(user, [user], mailclients.MESSAGE % b"submission")


def to(server: DemoServer, scheme: str, directory: Path) -> RunningGateway:
    return RunningGateway(f"{scheme}://localhost:{server.ports[WAYS[scheme]]}", directory, ca_file=server.ca_file)


# Python's managesieve takes no context, so it stays without TLS.
@pytest.mark.parametrize(
    ("scheme", "tls"), [(scheme, tls) for scheme in WAYS for tls in (False, True) if not (tls and "sieve" in scheme)]
)
def test_a_client_works_and_is_recorded(demo_server: DemoServer, tmp_path: Path, scheme: str, tls: bool) -> None:
    protocol = scheme.partition("+")[0].removesuffix("s")
    context = certificates().client() if tls else None
    user, password = demo_server.user, demo_server.password
    clients: dict[str, Callable[[int], None]] = {
        "imap": lambda port: mailclients.imap(port, user, password, context),
        "pop3": lambda port: mailclients.pop3(port, user, password, context),
        "submission": lambda port: submission(port, user, password, context),
        "lmtp": lambda port: mailclients.lmtp(port, user, context),
        "sieve": lambda port: mailclients.sieve(port, user, password),
    }
    with to(demo_server, scheme, tmp_path) as gateway:
        clients[protocol](gateway.port)
        record = gateway.record()
        (end,) = gateway.ends()
        assert gateway.told() == []
    for said in SAID[protocol]:
        assert said in record.in_
    assert password.encode() not in record.in_
    assert (" tls=TLSv1" in end) is tls
    assert protocol == "lmtp" or f"user={user} " in end


def converse(peer: Peer, mailbox: bytes) -> list[bytes]:
    """A conversation that is the same each time but for its mailbox."""
    message = b"Subject: hello\r\n\r\n\xff\r\n.\r\nbye\r\n"
    commands = [
        b"a1 LOGIN {17+}\r\nalice@example.com wonderland",
        b"a2 CREATE " + mailbox,
        b"a3 APPEND " + mailbox + b' (\\Seen) "22-Nov-2026 10:45:00 +0000" {%d+}\r\n' % len(message) + message,
        b"a4 SELECT " + mailbox,
        b"a5 FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[])",
        b"a6 NONSENSE",
        b"a7 UID SEARCH ALL",
        b"a8 STORE 1 +FLAGS (\\Deleted)",
        b"a9 EXPUNGE",
        b"b1 LOGOUT",
    ]
    answers = [peer.command(command).replace(b" STARTTLS", b"") for command in commands]
    return [_VOLATILE.sub(rb"\1 N", answer) for answer in answers]


@pytest.mark.parametrize("scheme", ["imap", "imap+starttls", "imaps"])
def test_the_same_answers_with_the_gateway_and_without(demo_server: DemoServer, tmp_path: Path, scheme: str) -> None:
    with dial(demo_server.ports["imap"]) as peer:
        peer.line()
        direct = converse(peer, b"direct-%b" % scheme.encode())
    with to(demo_server, scheme, tmp_path) as gateway:
        for number, dialled in enumerate((gateway.dial, gateway.dial_tls)):
            with dialled() as peer:
                peer.line()
                through = converse(peer, b"through%d-%b" % (number, scheme.encode()))
            assert [answer.replace(b"through%d" % number, b"direct") for answer in through] == direct
        assert len(gateway.records()) == 2
