"""A Dovecot and a Postfix that trust this machine, behind a gateway on it: a client does not inherit that trust."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest

from tests.support import mailclients
from tests.support.dovecot import DovecotServer
from tests.support.gateway import eventually
from tests.support.peer import dial
from tests.support.serving import Serving

pytestmark = pytest.mark.live

ALICE = "alice@example.com"
CLAIMS = {
    "imap": [
        b'a ID ("x-originating-ip" "192.0.2.9")\r\n',
        b'a id ("name" "x" "X-ORIGINATING-IP" "192.0.2.9")\r\n',
        b'a ID ("x\\-originating-ip" "192.0.2.9")\r\n',
        b'a ID ({16+}\r\nx-originating-ip "192.0.2.9")\r\n',
        b'a NOOP\rb ID ("x-originating-ip" "192.0.2.9")\r\n',
    ],
    "pop3": [b"XCLIENT ADDR=192.0.2.9\r\n", b" xclient ADDR=192.0.2.9\r\n", b"NOOP\rXCLIENT ADDR=192.0.2.9\r\n"],
    "sieve": [b"XCLIENT ADDR=192.0.2.9\r\n", b"xclient\tADDR=192.0.2.9\r\n", b'XCLIENT "ADDR=192.0.2.9"\r\n'],
    "submission": [
        b"EHLO me\r\nXCLIENT ADDR=192.0.2.9\r\n",
        b"EHLO me\r\nBDAT 24\r\nXCLIENT ADDR=192.0.2.9\r\n",
        b"EHLO me\r\nMAIL FROM:<a@b>\r\nBDAT 24 LAST\r\nXCLIENT ADDR=192.0.2.9\r\n",
        b"NOOP\nxClient ADDR=192.0.2.9\r\n",
    ],
    "lmtp": [
        b"LHLO me\r\nXCLIENT ADDR=192.0.2.9\r\n",
        b"LHLO me\r\nBDAT\r\nXCLIENT ADDR=192.0.2.9\r\n",
        b"LHLO me\r\nBDAT 1x\r\nXCLIENT ADDR=192.0.2.9\r\n",
    ],
}
LOGINS = {
    "imap": b"c LOGIN %b %b\r\nd LOGOUT\r\n",
    "pop3": b"USER %b\r\nPASS %b\r\nQUIT\r\n",
    "lmtp": b"MAIL FROM:<x@example.com>\r\nQUIT\r\n",
    "sieve": b"LOGOUT\r\n",
    "submission": b"QUIT\r\n",
}


@pytest.fixture(scope="module")
def trusting(dovecot_installed: None) -> Iterator[DovecotServer]:
    """A Dovecot that believes what this machine says about clients."""
    with DovecotServer("login_trusted_networks = 127.0.0.0/8\n") as server:
        yield server


@pytest.mark.parametrize("protocol", CLAIMS)
def test_dovecot_hears_no_claim(trusting: DovecotServer, protocol: str) -> None:
    login = LOGINS[protocol]
    if b"%b" in login:
        login %= (ALICE.encode(), trusting.password.encode())
    plain = {name: f"{name}://localhost:{{{name}}}" for name in CLAIMS}
    with Serving(trusting, backends=plain) as gateway:
        for number, claim in enumerate(CLAIMS[protocol]):
            with dial(gateway.ports[protocol]) as peer:
                peer.line()
                peer.send(claim)
                peer.send(login)
                peer.shut()
                peer.rest()
            gateway.ends(number + 1)
    assert "192.0.2.9" not in trusting.log()


def test_what_the_claims_would_do_without_a_gateway(trusting: DovecotServer) -> None:
    """So that the test above can fail."""
    with dial(trusting.ports["imap"]) as peer:
        peer.line()
        peer.command(CLAIMS["imap"][0].rstrip().replace(b"192.0.2.9", b"192.0.2.10"))
        peer.command(f"c LOGIN {ALICE} {trusting.password}".encode())
    eventually(lambda: "rip=192.0.2.10," in trusting.log())


@pytest.mark.parametrize("policy", ["refuse", "pass"])
def test_bare_line_feeds_to_a_real_server(trusting: DovecotServer, policy: str) -> None:
    """Refused with 521 and nothing is delivered; or passed on as they came."""
    more = f"rawlog_smtp_bare_lf = {policy}\nlmtp_rawlog_dir = @DIRECTORY@/lmtp\n"
    gateway = Serving(trusting, more)
    gateway.place("lmtp")
    with gateway:
        client = smtplib.LMTP("localhost", gateway.ports["lmtp"], local_hostname="me", timeout=mailclients.SECONDS)
        client.ehlo_or_helo_if_needed()
        for line in ("MAIL FROM:<x@example.com>", f"RCPT TO:<{ALICE}>", "DATA"):
            assert client.docmd(line)[0] in (250, 354)
        client.send(b"Subject: bare\r\n\r\none\ntwo\r\n.\r\n")
        code, text = client.getreply()
        client.close()
        (record,) = gateway.records("lmtp", 1)
    assert (code, text[:5]) == ((521, b"5.5.2") if policy == "refuse" else (250, b"2.0.0"))
    assert b"one\ntwo\r\n" in record.in_
    delivered = [path for path in trusting.home(ALICE).rglob("Maildir/new/*") if b"Subject: bare" in path.read_bytes()]
    assert len(delivered) == (policy == "pass")
