"""No secret that passed a gateway is in its files, their names, or its log, unless the operator says ``keep``."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.formats.native import NativeEncoder
from rawlog.taps import upgrade
from tests.support.backends import FakeServer, ImapScript, Script
from tests.support.canaries import WAYS, leaks
from tests.support.certificates import certificates
from tests.support.gateway import RunningGateway
from tests.support.peer import Peer

SECRET = b"C4nary-Wonderland"


def deaf(peer: Peer) -> None:
    """A server that greets and never answers."""
    peer.send(b"* OK ready\r\n")
    peer.rest()


def refusing(peer: Peer) -> None:
    """A server that asks for every literal and refuses every command, without repeating any of it."""
    peer.send(b"* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN] ready\r\n")
    while line := peer.line():
        if line.rstrip().endswith(b"}") or b"AUTHENTICATE" in line.upper():
            peer.send(b"+ \r\n")
        else:
            tag = line.split(None, 1)[:1]
            peer.send(b"%b NO no\r\n" % (tag[0] if tag in ([b"a"], [b"b"]) else b"*"))


def repeating(peer: Peer) -> None:
    """A server that refuses everything and takes the first word of every line for a tag, as Dovecot does."""
    peer.send(b"* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN] ready\r\n")
    while line := peer.line():
        words = line.split(None, 1)
        if line.rstrip().endswith(b"}") or b"AUTHENTICATE" in line.upper():
            peer.send(b"+ \r\n")
        else:
            peer.send(b"%b BAD what\r\n" % (words[0].strip() if words else b"*"))


SERVERS: dict[str, Script] = {"willing": ImapScript(), "refusing": refusing, "repeating": repeating, "deaf": deaf}


def say(gateway: RunningGateway, said: bytes, *, tls: bool) -> None:
    """Say it, and leave."""
    with gateway.dial_tls() if tls else gateway.dial() as peer:
        peer.line()
        peer.send(said)
        peer.shut()
        peer.rest()


def kept(gateway: RunningGateway) -> bytes:
    """Everything that is there afterwards: files, their names, the log."""
    paths = sorted(gateway.idle().directory.rglob("*"))
    files = [path.read_bytes() for path in paths if path.is_file()]
    return b"\n".join([*files, *(bytes(path) for path in paths), *(line.encode() for line in gateway.lines)])


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that has left is soon forgotten."""
    monkeypatch.setattr(upgrade, "LEFT_TIMEOUT", 0.05)


@pytest.mark.parametrize("template", ["", "%u"])
@pytest.mark.parametrize("server", SERVERS)
def test_every_way_to_say_it(tmp_path: Path, server: str, template: str) -> None:
    with FakeServer(SERVERS[server]) as fake:
        url = f"imap://127.0.0.1:{fake.port}"
        for number, (way, make) in enumerate(WAYS.items()):
            if server == "repeating" and way.startswith("ends"):
                continue  # it repeats what nobody has seen the end of
            with RunningGateway(url, tmp_path / str(number), template=template) as gateway:
                say(gateway, make(SECRET), tls=False)
                assert not leaks(SECRET, kept(gateway)), way


def test_in_tls_and_in_our_own_format_too(tmp_path: Path) -> None:
    def encoder() -> NativeEncoder:
        return NativeEncoder({})

    fake = FakeServer(ImapScript())
    with fake, RunningGateway(f"imap://127.0.0.1:{fake.port}", tmp_path, encoder=encoder) as gateway:
        for make in WAYS.values():
            say(gateway, make(SECRET), tls=True)
        assert not leaks(SECRET, kept(gateway))
    assert len(list(tmp_path.glob("*.rawlog"))) == len(WAYS)


def test_the_server_hears_it_all_the_same(tmp_path: Path) -> None:
    script = ImapScript()
    with FakeServer(script) as fake, RunningGateway(f"imap://127.0.0.1:{fake.port}", tmp_path) as gateway:
        ways = ("atom", "quoted", "literal", "literal+", "two literals", "PLAIN", "PLAIN at once", "XOAUTH2")
        for way in ways:
            say(gateway, WAYS[way](SECRET), tls=False)
        gateway.idle()
        assert len(script.logins) == len(ways)
        assert all(leaks(SECRET, login) for login in script.logins)


def test_a_wrong_password_comes_first(tmp_path: Path) -> None:
    with FakeServer(ImapScript()) as fake, RunningGateway(f"imap://127.0.0.1:{fake.port}", tmp_path) as gateway:
        with gateway.dial() as peer:
            peer.line()
            assert peer.command(b"a LOGIN bob wrong-" + SECRET).startswith(b"a NO")
            assert peer.command(b'b LOGIN bob "' + SECRET + b'"').startswith(b"b OK")
            peer.command(b"c NOOP " + b"what follows is no secret")
        assert not leaks(SECRET, kept(gateway))
        assert b"what follows is no secret" in kept(gateway)


@pytest.mark.parametrize("way", ["atom", "quoted", "literal", "literal+", "PLAIN", "PLAIN at once", "XOAUTH2"])
def test_with_keep_it_is_there(tmp_path: Path, way: str) -> None:
    fake = FakeServer(ImapScript())
    with fake, RunningGateway(f"imap://127.0.0.1:{fake.port}", tmp_path, keep_secrets=True) as gateway:
        say(gateway, WAYS[way](SECRET), tls=False)
        record = gateway.record()
        assert record.in_ == WAYS[way](SECRET)
        assert not leaks(SECRET, b"\n".join(line.encode() for line in gateway.lines))


def test_what_a_backend_reached_by_starttls_hears_is_not_kept_either(tmp_path: Path) -> None:
    fake = FakeServer(ImapScript(context=certificates().server()))
    with fake, RunningGateway(f"imap+starttls://localhost:{fake.port}", tmp_path) as gateway:
        for make in list(WAYS.values())[:20]:
            say(gateway, make(SECRET), tls=True)
        assert not leaks(SECRET, kept(gateway))
