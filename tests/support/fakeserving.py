"""``rawlog serve`` in front of the small IMAP server of the tests: for what a daemon does, whatever is spoken.

Knows: a configuration that needs no mail server. Must not know: what is tested.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.backends import FakeServer, ImapScript, Script
from tests.support.certificates import certificates
from tests.support.peer import Peer, dial
from tests.support.serving import Serving

CONFIGURATION = """\
protocols = imap
base_dir = @DIRECTORY@/run
listen = 127.0.0.1
ssl_cert = <@SERVER@/good.pem
ssl_key = <@SERVER@/good.pem
ssl_client_ca_file = @SERVER@/ca.pem
rawlog_user = @WORKER@
rawlog_workers = 2
rawlog_min_free_space = 0
rawlog_dir = @DIRECTORY@/raw
service imap-login {
  inet_listener imap {
    port = @imap@
  }
  inet_listener imaps {
    port = @imaps@
  }
}
"""


class FakeMail:
    """A mail server that speaks IMAP only."""

    def __init__(self, fake: FakeServer) -> None:
        self.fake = fake
        self.ports = {"imap": fake.port}
        self.directory = certificates().directory


@contextmanager
def fake_serving(
    more: str = "", *, script: Script | None = None, start: bool = True, tls: ssl.SSLContext | None = None
) -> Iterator[Serving]:
    """A running gateway; ``raw`` in its directory is where it records."""
    with FakeServer(script or ImapScript(), tls) as fake:
        scheme = "imap" if tls is None else "imaps"
        only = dict.fromkeys(("pop3", "submission", "lmtp", "sieve"), None) | {"imap": scheme + "://localhost:{imap}"}
        gateway = Serving(FakeMail(fake), more, backends=only, base=CONFIGURATION)
        gateway.place("raw")
        certificates().directory.chmod(0o755)
        try:
            if start:
                gateway.start()
            yield gateway
            assert not start or "Traceback" not in gateway.log(), gateway.log()
        finally:
            gateway.stop()


def login(gateway: Serving, user: bytes = b"bob", port: str = "imap") -> Peer:
    """A client that has logged in."""
    peer = dial(gateway.ports[port], certificates().client() if port == "imaps" else None)
    assert peer.line().startswith(b"* OK ")
    assert peer.command(b"a LOGIN %b secret" % user).startswith(b"a OK ")
    return peer


def talk(gateway: Serving, user: bytes = b"bob", port: str = "imap") -> None:
    """A short conversation up to its end."""
    with login(gateway, user, port) as peer:
        assert peer.command(b"b LOGOUT").endswith(b"b OK bye\r\n")
        assert peer.rest() == b""


def raw(gateway: Serving) -> Path:
    """Where it records."""
    return gateway.directory / "raw"
