"""One conversation through a gateway: all ways in and out, servers that are none, users, and the line in the log."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rawlog.engine.leg import Leg
from rawlog.errors import ConfigError
from rawlog.formats.native import NativeDecoder, NativeEncoder
from rawlog.taps import upgrade
from rawlog.taps.ends import Ends
from tests.support.backends import FakeServer, ImapScript
from tests.support.certificates import BAD, certificates
from tests.support.gateway import RunningGateway, eventually
from tests.support.peer import Peer

SCHEMES = ("imap", "imap+starttls", "imaps")
CLIENTS = ("plain", "starttls", "tls")
BYE = b"* BYE [UNAVAILABLE] The mail server can't be reached at the moment.\r\n"


def server(scheme: str, kind: str = "good", **words: Any) -> FakeServer:
    """An IMAP server that is reached by ``scheme`` and shows the certificate ``kind``."""
    script = ImapScript(context=certificates().server(kind) if scheme == "imap+starttls" else None, **words)
    return FakeServer(script, certificates().server(kind) if scheme == "imaps" else None)


def url(scheme: str, fake: FakeServer) -> str:
    return f"{scheme}://localhost:{fake.port}"


def client(gateway: RunningGateway, how: str) -> Peer:
    """A client behind its greeting, in TLS where it wants to be."""
    peer = gateway.dial_tls() if how == "tls" else gateway.dial()
    assert peer.line().startswith(b"* OK ")
    if how == "starttls":
        assert peer.command(b"s STARTTLS") == b"s OK Begin TLS negotiation now.\r\n"
        peer.start_tls(certificates().client())
    return peer


@pytest.mark.parametrize("how", CLIENTS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_way_in_and_every_way_out(tmp_path: Path, scheme: str, how: str) -> None:
    with server(scheme) as fake, RunningGateway(url(scheme, fake), tmp_path) as gateway:
        with client(gateway, how) as peer:
            assert peer.command(b"a LOGIN bob secret") == b"a OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"
            echo = peer.command(b"b ECHO 20000")
            assert len(echo) > 20000
            assert peer.command(b"c LOGOUT") == b"* BYE bye\r\nc OK bye\r\n"
            assert peer.rest() == b""
        record = gateway.record()
        assert gateway.told() == []
    assert record.in_.endswith(b"a LOGIN bob XXXXXX\r\nb ECHO 20000\r\nc LOGOUT\r\n")
    assert record.out == peer.received
    assert fake.peers[0].tls is (scheme != "imap")


@pytest.mark.parametrize("how", CLIENTS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_capabilities_are_those_of_the_gateway(tmp_path: Path, scheme: str, how: str) -> None:
    offered = b"IMAP4rev1 AUTH=PLAIN AUTH=SCRAM-SHA-256-PLUS IDLE"
    shown = b"IMAP4rev1 AUTH=PLAIN IDLE" + (b"" if how == "tls" else b" STARTTLS")
    inside = b"IMAP4rev1 AUTH=PLAIN IDLE" + (b" STARTTLS" if how == "plain" else b"")
    fake = server(scheme, capabilities=offered)
    with fake, RunningGateway(url(scheme, fake), tmp_path) as gateway, client(gateway, how) as peer:
        assert peer.received.startswith(b"* OK [CAPABILITY " + shown + b"] ready.\r\n")
        assert peer.command(b"a CAPABILITY") == b"* CAPABILITY " + inside + b"\r\na OK done\r\n"
        assert peer.command(b"b LOGIN bob secret") == b"b OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"
        # From the login on nothing is changed any more, and the fake server always says the same.
        assert peer.command(b"c CAPABILITY") == b"* CAPABILITY " + offered + b"\r\nc OK done\r\n"


def test_without_a_certificate_there_is_no_starttls(tmp_path: Path) -> None:
    fake = server("imap+starttls")
    with (
        fake,
        RunningGateway(url("imap+starttls", fake), tmp_path, client_tls=False) as gateway,
        gateway.dial() as peer,
    ):
        assert b"STARTTLS" not in peer.line()
        assert peer.command(b"a STARTTLS") == b"a BAD TLS is not offered here.\r\n"
        assert peer.command(b"b LOGIN bob secret").startswith(b"b OK")


def test_a_stranger_may_not_show_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ends, "is_local", False)
    script = ImapScript()
    with FakeServer(script) as fake, RunningGateway(url("imap", fake), tmp_path, keep_secrets=True) as gateway:
        with gateway.dial() as peer:
            assert b"STARTTLS LOGINDISABLED]" in peer.line()
            assert b"AUTH=PLAIN" not in peer.received
            assert peer.command(b"a LOGIN bob secret").startswith(b"a NO [PRIVACYREQUIRED]")
            assert peer.command(b"b AUTHENTICATE XOAUTH2 dXNlcj1ib2I=").startswith(b"b NO [PRIVACYREQUIRED]")
            assert script.logins == []
            peer.command(b"s STARTTLS")
            peer.start_tls(certificates().client())
            assert peer.command(b"c LOGIN bob secret").startswith(b"c OK [CAPABILITY IMAP4rev1 IDLE]")
        with gateway.dial_tls() as peer:
            assert b"LOGINDISABLED" not in peer.line()
            assert peer.command(b"c LOGIN bob secret").startswith(b"c OK")
    assert script.logins == [b"bob secret"] * 2


def test_everybody_may_where_the_operator_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ends, "is_local", False)
    fake = server("imap")
    with fake, RunningGateway(url("imap", fake), tmp_path, plaintext_login=True) as gateway, gateway.dial() as peer:
        assert b"LOGINDISABLED" not in peer.line()
        assert peer.command(b"a LOGIN bob secret").startswith(b"a OK")


# -- servers that are none -----------------------------------------------------------------------------------------


def refused(gateway: RunningGateway, how: str = "plain") -> str:
    """A client is told BYE and nothing else, and the operator one sentence, which comes back."""
    with gateway.dial_tls() if how == "tls" else gateway.dial() as peer:
        assert peer.rest() == BYE
    (line,) = gateway.idle().told()
    (end,) = gateway.ends()
    assert re.search(r" end=['\"]backend ", end)
    name, _, sentence = line.partition(": ")
    assert end.startswith(f"{name}: ")
    assert ";" in sentence or sentence.endswith("reset the connection"), f"what to do is missing: {sentence}"
    return sentence


@pytest.mark.parametrize("how", ["plain", "tls"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_listens_there(tmp_path: Path, scheme: str, how: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with RunningGateway(f"{scheme}://127.0.0.1:{port}", tmp_path) as gateway:
        assert refused(gateway, how).startswith(f"backend 127.0.0.1:{port}: connection refused, nothing listens there;")


@pytest.mark.parametrize("how", ["plain", "tls"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_closes_at_once(tmp_path: Path, scheme: str, how: str) -> None:
    with FakeServer(lambda peer: None) as fake, RunningGateway(url(scheme, fake), tmp_path) as gateway:
        sentence = refused(gateway, how)
    assert sentence.startswith(f"backend {url(scheme, fake)} closed") or scheme == "imaps"
    assert sentence.startswith(f"backend {url(scheme, fake)}")


def test_it_resets_at_once(tmp_path: Path) -> None:
    with FakeServer(Peer.reset) as fake, RunningGateway(url("imap", fake), tmp_path) as gateway:
        assert "reset the connection" in refused(gateway)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_hangs(tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "GREETING_TIMEOUT", 0.2)
    monkeypatch.setitem(Leg.start_tls.__kwdefaults__, "timeout", 0.2)
    with FakeServer(lambda peer: peer.rest() and None) as fake, RunningGateway(url(scheme, fake), tmp_path) as gateway:
        assert "within 0.2 s" in refused(gateway)


def test_it_speaks_no_tls(tmp_path: Path) -> None:
    with server("imap") as fake, RunningGateway(url("imaps", fake), tmp_path) as gateway:
        assert "answers in plain text where TLS is expected; check the port" in refused(gateway)


def test_it_speaks_tls_where_none_is_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "GREETING_TIMEOUT", 0.2)
    with server("imaps") as fake, RunningGateway(url("imap", fake), tmp_path) as gateway:
        assert "did not greet within 0.2 s" in refused(gateway)


def test_it_offers_no_starttls(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* OK ready\r\n")
        peer.send(peer.line().split()[0] + b" BAD what is that\r\n")
        peer.rest()

    with FakeServer(script) as fake, RunningGateway(url("imap+starttls", fake), tmp_path) as gateway:
        assert "it refused STARTTLS with 'rawlog1 BAD what is that'; switch TLS on there" in refused(gateway)


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("scheme", ["imap+starttls", "imaps"])
def test_its_certificate_is_bad(tmp_path: Path, scheme: str, kind: str) -> None:
    with server(scheme, kind) as fake, RunningGateway(url(scheme, fake), tmp_path) as gateway:
        with gateway.dial() as peer:
            peer.send(b"a LOGIN bob secret\r\n")
            assert peer.rest() == BYE
        (line,) = gateway.idle().told()
    assert f"backend {url(scheme, fake)}: its TLS certificate {BAD[kind]}" in line
    assert ";" in line
    assert b"secret" not in fake.peers[0].received


def test_it_knows_only_an_old_tls(tmp_path: Path) -> None:
    old = certificates().server()
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with FakeServer(ImapScript(), old) as fake, RunningGateway(url("imaps", fake), tmp_path) as gateway:
        assert "no TLS version in common;" in refused(gateway)


# -- clients that are none -----------------------------------------------------------------------------------------


def test_a_client_that_speaks_no_tls(tmp_path: Path) -> None:
    with server("imap") as fake, RunningGateway(url("imap", fake), tmp_path) as gateway:
        with gateway.dial() as peer:
            peer.line()
        with Peer(socket.create_connection(("127.0.0.1", gateway.tls_port))) as peer:
            peer.send(b"a LOGIN bob secret\r\n" * 4)
            assert b"OK" not in peer.rest()
        gateway.idle()
        assert len(gateway.ends()) == 2
        (end,) = [line for line in gateway.ends() if "client: sends plain text where TLS is expected" in line]
        assert " in=0 " in end


def test_a_client_that_leaves_before_the_greeting(tmp_path: Path) -> None:
    go = []

    def script(peer: Peer) -> None:
        eventually(lambda: go)
        ImapScript()(peer)

    with FakeServer(script) as fake, RunningGateway(url("imap", fake), tmp_path) as gateway:
        gateway.dial().close()
        gateway.dial().reset()
        go.append(True)
        gateway.idle()
        assert [line.partition(" end=")[2] for line in gateway.ends()] != []
        assert gateway.told() == []


# -- users ---------------------------------------------------------------------------------------------------------


def login(gateway: RunningGateway, user: bytes, password: bytes = b"secret") -> bytes:
    with gateway.dial() as peer:
        peer.line()
        answer = peer.command(b"a LOGIN {%d+}\r\n%b {%d+}\r\n%b" % (len(user), user, len(password), password))
        peer.command(b"z LOGOUT")
    return answer


def test_each_user_has_a_directory(tmp_path: Path) -> None:
    with server("imap") as fake, RunningGateway(url("imap", fake), tmp_path, template="%u") as gateway:
        for user in (b"alice@example.com", b"bob", b"alice@example.com"):
            assert login(gateway, user).startswith(b"a OK")
        recorded = gateway.records()
    assert [record.path.parent.name for record in recorded] == ["alice@example.com", "bob", "alice@example.com"]
    assert all(record.out.startswith(b"* OK ") for record in recorded)
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


def test_a_failed_login_leaves_no_file(tmp_path: Path) -> None:
    with server("imap") as fake, RunningGateway(url("imap", fake), tmp_path / "x", template="%u") as gateway:
        assert login(gateway, b"bob", b"wrong").startswith(b"a NO")
        assert gateway.records() == []
        assert "files=-" in gateway.ends()[0]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "user", [b"..", b"../..", b"/etc", b"a\0b", b'a"b\\c', b"\xff\xe9", b"x" * 1000, b"%d", b"\x1b[2J", b"a\r\nb", b"."]
)
def test_no_user_leads_out_of_the_directory(tmp_path: Path, user: bytes) -> None:
    with server("imap") as fake, RunningGateway(url("imap", fake), tmp_path / "in", template="%u") as gateway:
        assert login(gateway, user).startswith(b"a OK")
        (record,) = gateway.records()
        (end,) = gateway.ends()
    assert record.path.parent.parent == tmp_path / "in"
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
    assert user in record.in_ or b"\r\n" in user  # what ends a line is masked
    assert end.isprintable()
    assert end.isascii()


def test_a_name_that_is_too_long_for_anybody_is_still_recorded(tmp_path: Path) -> None:
    with server("imap") as fake, RunningGateway(url("imap", fake), tmp_path, template="%u") as gateway:
        assert login(gateway, b"x" * 10_000).startswith(b"a OK")
        (record,) = gateway.records()
    assert len(record.path.parent.name) <= 200


def with_users(find: Callable[[str], dict[str, str] | None]) -> Callable[[dict[str, Any]], object]:
    return lambda words: words.update(find_user=find)


def test_userdb_may_fail(tmp_path: Path) -> None:
    def find(user: str) -> dict[str, str]:
        raise ConfigError("the socket is gone")

    fake = server("imap")
    with fake, RunningGateway(url("imap", fake), tmp_path, template="%u", change=with_users(find)) as gateway:
        assert login(gateway, b"bob").startswith(b"a OK")
        assert len(gateway.records()) == 1
        assert any("userdb: the socket is gone" in line for line in gateway.told())


# -- what is told --------------------------------------------------------------------------------------------------


def test_the_line_at_the_end_says_it_all(tmp_path: Path) -> None:
    with server("imap") as fake, RunningGateway(url("imap", fake), tmp_path, template="%u") as gateway:
        with client(gateway, "tls") as peer:
            here = peer.sock.getsockname()[1]
            peer.command(b"a LOGIN bob secret")
            peer.command(b"b LOGOUT")
            peer.rest()  # who closes first is who ended it
        (record,) = gateway.records()
        (end,) = gateway.ends()
    assert re.fullmatch(
        rf"\d+-\d+: user=bob client=127\.0\.0\.1:{here} backend=imap://localhost:{fake.port} tls=TLSv1\.3 "
        rf"in={len(record.in_)} out={len(record.out)} files={record.path} "
        rf"end='backend imap://localhost:{fake.port} closed'",
        end,
    )


def test_a_format_with_marks_tells_the_story(tmp_path: Path) -> None:
    def encoder() -> NativeEncoder:
        return NativeEncoder({})

    fake = server("imap+starttls")
    with fake, RunningGateway(url("imap+starttls", fake), tmp_path, encoder=encoder) as gateway:
        with client(gateway, "starttls") as peer:
            peer.command(b"a LOGIN bob secret")
        gateway.idle()
    (path,) = tmp_path.glob("*.rawlog")
    decoder = NativeDecoder()
    events = [*decoder.feed(path.read_bytes()), *decoder.end()]
    marks = [(event.name, dict(event.detail)) for event in events if hasattr(event, "name")]
    assert [name for name, _ in marks] == ["opened", "tls", "tls", "login", "closed"]
    assert marks[0][1]["backend"] == f"imap+starttls://localhost:{fake.port}"
    assert [marks[1][1]["leg"], marks[2][1]["leg"]] == ["server", "client"]
    assert marks[3][1] == {"user": "bob"}
    assert marks[4][1] == {"reason": "client closed without a TLS close_notify"}
