"""The registry: every protocol by every name, and what a real Dovecot recorded is cut as it must be."""

from __future__ import annotations

import pytest

from rawlog.errors import ConfigError
from rawlog.events import Direction
from rawlog.protocols.framing import Kind
from rawlog.protocols.guess import guess_protocol
from rawlog.protocols.registry import FRAMERS, framer_for, guess
from tests.support import golden

NAMES = {
    "imap": "imap",
    "imaps": "imap",
    "POP3": "pop3",
    "pop3s": "pop3",
    "smtp": "smtp",
    "submission": "smtp",
    "submissions": "smtp",
    "lmtp": "lmtp",
    "managesieve": "managesieve",
    "sieve": "managesieve",
}

RELAY = "submission_relay_"
RECORDINGS = [
    ("imap_reuse_pop3_retr_tls_managesieve/p/20261122-222426.27820.1", "pop3", ["block"] * 3, True),
    ("imap_reuse_pop3_retr_tls_managesieve/s/20261122-222426.27822.1", "managesieve", [], True),
    ("prelogin_pop3/20261122-221850.20709.1", "pop3", [], False),
    ("lmtp_rawlog_dir/lmtp/20261122-221227.2694.1", "lmtp", ["block"], False),
    ("lmtp_rawlog_dir/lmtp/20261122-221228.2694.2", "lmtp", [], False),
    ("lmtp_rawlog_dir/lmtp/20261122-221228.2694.3", "lmtp", ["block"], False),
    ("lmtp_rawlog_dir/lmtp/20261122-221228.2694.4", "lmtp", ["literal"], False),
    ("lmtp_proxy_rawlog_dir/front/20261122-221251.3765.1", "lmtp", ["block"], False),
    ("lmtp_proxy_rawlog_dir/proxy/20261122-221251.3765.2", "lmtp", ["literal"], False),
    ("lmtp_proxy_rawlog_dir/backend/20261122-221251.3780.1", "lmtp", ["literal"], False),
    (RELAY + "plain/sub/20261122-221305.4351.1", "smtp", ["block"], True),
    (RELAY + "plain/relay/20261122-221305.4351.2", "smtp", ["block"], False),
    (RELAY + "plain_xclient/relay/20261122-222235.25190.2", "smtp", ["block"], False),
    (RELAY + "tls/relay/20261122-222238.25471.2", "smtp", [], False),
    (RELAY + "tls/relay/20261122-222238.25471.3", "smtp", ["block"], False),
]


@pytest.mark.parametrize(("name", "protocol"), NAMES.items())
def test_a_framer_for_each_name(name: str, protocol: str) -> None:
    framer = framer_for(name, client=Direction.OUT, hold_limit=None)
    assert type(framer) is FRAMERS[protocol]
    assert framer.protocol == protocol
    assert framer.client.direction is Direction.OUT


def test_an_unknown_protocol() -> None:
    with pytest.raises(ConfigError, match="protocol 'http' is not known: use one of imap, pop3, smtp"):
        framer_for("http")


@pytest.mark.parametrize(
    ("line", "protocol"),
    [
        (b"* OK ready\r\n", "imap"),
        (b"+OK ready\r\n", "pop3"),
        (b"220 ready\r\n", "smtp"),
        (b"220 foo.edu LMTP server ready\r\n", "lmtp"),
        (b'"IMPLEMENTATION" "x"\r\n', "managesieve"),
        (b"HTTP/1.1 200 OK\r\n", None),
    ],
)
def test_guess(line: bytes, protocol: str | None) -> None:
    assert guess(line) == protocol


@pytest.mark.parametrize(("stem", "protocol", "kinds", "authenticated"), RECORDINGS)
def test_a_recording_of_dovecot(stem: str, protocol: str, kinds: list[str], authenticated: bool) -> None:
    paths = {d: golden.FOLDER / f"{stem}.{d.value}" for d in Direction}
    sides = {d: golden.without_stamps(path.read_bytes()) for d, path in paths.items()}
    name, client = guess_protocol(sides[Direction.IN], sides[Direction.OUT])
    assert name == protocol
    framer = framer_for(protocol, client=client, hold_limit=None)
    cut = [fragment for d in (client, client.other) for fragment in framer.feed(d, sides[d])]
    cut += [fragment for d in (client, client.other) for fragment in framer.end(d)]
    assert [fragment.kind.value for fragment in cut if fragment.kind is not Kind.LINE] == kinds
    assert framer.authenticated is authenticated
    farewell = sides[client].endswith(b"QUIT\r\n") and "/proxy/" in stem  # Dovecot does not wait for that answer
    assert framer.unanswered() == int(farewell)
    secrets = [sides[f.direction][a:b] for f in cut for a, b in f.secrets]
    assert secrets == ([b"alicepw"] if stem.startswith("prelogin") else [])
