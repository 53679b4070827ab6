"""PROXY headers before conversations: who may send them, when, in what pieces; and what the gateway makes of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from rawlog.engine.proxyprotocol import Address, ProxyReader, write_v1, write_v2
from rawlog.formats.native import NativeDecoder, NativeEncoder
from rawlog.settings.backend import Listen
from rawlog.taps.listener import bind, port_of
from tests.support.backends import FakeServer, ImapScript
from tests.support.certificates import certificates
from tests.support.gateway import RunningGateway, eventually
from tests.support.peer import Peer, dial

CLIENT, ENTRY = Address("192.0.2.7", 4711), Address("198.51.100.1", 143)
HEADERS = {"v1": write_v1(CLIENT, ENTRY), "v2": write_v2(CLIENT, ENTRY)}
LOOPBACK = (ip_network("127.0.0.0/8"),)


class Proxied:
    """A gateway with listeners that expect a header: ``port`` and ``tls_port``."""

    def __init__(
        self, tmp_path: Path, fake: FakeServer, change: Callable[[dict[str, Any]], object], **more: Any
    ) -> None:
        def both(words: dict[str, Any]) -> None:
            words.update(proxies=LOOPBACK, proxy_timeout=5.0)
            change(words)

        self.gateway = RunningGateway(f"imap://localhost:{fake.port}", tmp_path, change=both, **more)

    def __enter__(self) -> Proxied:
        self.gateway.__enter__()
        self.port, self.tls_port = [self._listen(tls) for tls in (False, True)]
        return self

    def __exit__(self, *details: Any) -> None:
        self.gateway.__exit__(*details)

    def _listen(self, tls: bool) -> int:
        def listen() -> int:
            where = Listen("127.0.0.1", 0, tls=tls)
            sock = bind(where)
            self.gateway.gateway.adopt(sock, where, haproxy=True)
            return port_of(sock) or 0

        return self.gateway.call(listen)

    def refused(self) -> str:
        """The only line in the log, without the port of the proxy."""
        (line,) = eventually(self.gateway.told)
        return line.replace("proxy 127.0.0.1:", "", 1).lstrip("0123456789 ")


def proxied(tmp_path: Path, fake: FakeServer, **change: Any) -> Proxied:
    encoder = change.pop("encoder", None)
    more = {"encoder": encoder} if encoder else {}
    return Proxied(tmp_path, fake, lambda words: words.update(change), **more)


def talk(peer: Peer) -> None:
    assert peer.line().startswith(b"* OK")
    assert peer.command(b"a LOGIN bob secret").startswith(b"a OK")
    assert peer.command(b"b LOGOUT").endswith(b"b OK bye\r\n")
    assert peer.rest() == b""
    peer.close()


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("cut", ["whole", "bytes", "glued"])
def test_the_client_is_who_the_header_says(tmp_path: Path, header: bytes, tls: bool, cut: str) -> None:
    with FakeServer(ImapScript()) as fake, proxied(tmp_path, fake, plaintext_login=True) as here:
        peer = dial(here.tls_port if tls else here.port)
        if cut == "bytes":
            for value in header:
                peer.send(bytes([value]))
        elif cut == "glued" and not tls:  # a client that does not wait for the greeting
            peer.send(header + b"a LOGIN bob secret\r\nb LOGOUT\r\n")
            assert peer.rest().endswith(b"b OK bye\r\n")
            peer.close()
        else:
            peer.send(header)
        if cut != "glued" or tls:
            if tls:
                peer.start_tls(certificates().client())  # its ClientHello may come with the header
            talk(peer)
        (line,) = here.gateway.idle().ends()
        assert " client=192.0.2.7:4711 proxy=127.0.0.1:" in line
        record = here.gateway.record()
    assert record.in_ == b"a LOGIN bob XXXXXX\r\nb LOGOUT\r\n"
    assert b"PROXY" not in record.in_ + record.out


def test_its_addresses_are_variables_and_marks(tmp_path: Path) -> None:
    def encoder() -> NativeEncoder:
        return NativeEncoder({})

    with FakeServer(ImapScript()) as fake:
        here = Proxied(
            tmp_path, fake, lambda words: words.update(plaintext_login=True), encoder=encoder, template="%r-%l"
        )
        with here:
            peer = dial(here.port)
            peer.send(HEADERS["v2"])
            talk(peer)
            here.gateway.idle()
    (path,) = (tmp_path / "192.0.2.7-198.51.100.1").iterdir()
    decoder = NativeDecoder()
    opened = next(event for event in decoder.feed(path.read_bytes()) if getattr(event, "name", "") == "opened")
    assert opened.detail["client"] == "192.0.2.7:4711"  # type: ignore[union-attr]
    assert opened.detail["listener"] == "198.51.100.1:143"  # type: ignore[union-attr]
    assert opened.detail["proxy"].startswith("127.0.0.1:")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (HEADERS["v1"], False),
        (write_v1(Address("127.0.0.9", 1), ENTRY), True),
        (b"PROXY UNKNOWN\r\n", False),
        (write_v2(None, None), False),
    ],
)
def test_a_proxy_on_this_machine_makes_no_stranger_local(tmp_path: Path, header: bytes, allowed: bool) -> None:
    with FakeServer(ImapScript()) as fake, proxied(tmp_path, fake) as here, dial(here.port) as peer:
        peer.send(header)
        assert (b"LOGINDISABLED" not in peer.line()) is allowed
        assert peer.command(b"a LOGIN bob secret").startswith(b"a OK" if allowed else b"a NO [PRIVACYREQUIRED]")


def test_a_stranger_s_header_is_not_read(tmp_path: Path) -> None:
    with FakeServer(ImapScript()) as fake, proxied(tmp_path, fake, proxies=(ip_network("10.0.0.0/8"),)) as here:
        with dial(here.port) as peer:
            peer.send(HEADERS["v1"])
            assert peer.rest() == b""
        assert here.refused() == (
            "is not in haproxy_trusted_networks; refused: add it there, or let it use a listener without haproxy"
        )
    assert fake.peers == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"a LOGIN bob secret\r\n", "sends no PROXY header although it is a trusted proxy; switch it on there"),
        (b"\x16\x03\x01\x02\x00\x01", "sends no PROXY header although"),
        (b"PROXY TCP4 192.0.2.7 nonsense 1 2\r\n", "its PROXY header (version 1) is malformed: "),
        (b"PROXY " + b"x" * 200, "its PROXY header (version 1) is malformed: no end of line"),
    ],
)
def test_what_is_no_header_is_refused(tmp_path: Path, said: bytes, told: str) -> None:
    with FakeServer(ImapScript()) as fake, proxied(tmp_path, fake) as here:
        with dial(here.port) as peer:
            peer.send(said)
            assert peer.rest() == b""
        assert here.refused().startswith(told)
        assert b"secret" not in here.gateway.told()[0].encode()
    assert fake.peers == []


@pytest.mark.parametrize("part", [b"", HEADERS["v1"][:20], HEADERS["v2"][:-1]])
def test_a_header_that_does_not_come_is_not_waited_for(tmp_path: Path, part: bytes) -> None:
    with FakeServer(ImapScript()) as fake, proxied(tmp_path, fake, proxy_timeout=0.2) as here, dial(here.port) as peer:
        peer.send(part)
        assert peer.rest() == b""
        assert here.refused() == "sent no PROXY header within 0.2 s; refused"


def test_waiting_for_a_header_costs_no_turns(tmp_path: Path) -> None:
    with FakeServer(ImapScript()) as fake, proxied(tmp_path, fake) as here, dial(here.port) as peer:
        peer.send(HEADERS["v2"][:20])
        time.sleep(0.1)
        before = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - before < 0.2, "it spins"
        peer.send(HEADERS["v2"][20:])
        assert peer.line().startswith(b"* OK")


@pytest.mark.parametrize("part", [b"", b"PROX"])
def test_a_proxy_that_only_looks_is_not_told_of(tmp_path: Path, part: bytes) -> None:
    with FakeServer(ImapScript()) as fake, proxied(tmp_path, fake) as here:
        peer = dial(here.port)
        peer.send(part)
        peer.close()
        if part:
            assert here.refused() == "closed the connection in the middle of its PROXY header"
        eventually(lambda: here.gateway.call(lambda: not here.gateway.gateway._arrivals))
        assert len(here.gateway.told()) == bool(part)


def test_a_drain_waits_for_who_has_arrived_an_end_does_not(tmp_path: Path) -> None:
    for end in ("drain", "abort"):
        with FakeServer(ImapScript()) as fake, proxied(tmp_path, fake, plaintext_login=True) as here:
            peer = dial(here.port)
            eventually(lambda here=here: here.gateway.call(lambda: here.gateway.gateway._arrivals))
            idle: list[bool] = []
            here.gateway.call(lambda here=here, idle=idle: here.gateway.gateway.drain(lambda: idle.append(True)))
            assert idle == []
            if end == "drain":
                peer.send(HEADERS["v1"])
                talk(peer)
            else:
                here.gateway.call(lambda here=here: here.gateway.gateway.abort("over"))
                assert peer.rest() == b""
            eventually(lambda idle=idle: idle)


# -- towards the backend ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("scheme", ["imap", "imap+starttls", "imaps"])
def test_the_backend_is_told_who_the_client_is(tmp_path: Path, version: str, scheme: str) -> None:
    seen: list[tuple[str, str]] = []
    script = ImapScript(context=certificates().server() if scheme == "imap+starttls" else None)

    def behind_a_proxy(peer: Peer) -> None:
        reader, header = ProxyReader(), None
        while header is None:
            header = reader.feed(peer.sock.recv(1))  # no more: TLS may follow
        seen.append((str(header.source), str(header.destination)))
        if scheme == "imaps":
            peer.start_tls(certificates().server(), server_side=True)
        script(peer)

    with (
        FakeServer(behind_a_proxy) as fake,
        RunningGateway(
            f"{scheme}://localhost:{fake.port}", tmp_path, change=lambda words: words.update(proxy_out=version)
        ) as gateway,
    ):
        peer = gateway.dial()
        local = f"127.0.0.1:{peer.sock.getsockname()[1]}"
        talk(peer)
        record = gateway.record()
    assert seen == [(local, f"127.0.0.1:{gateway.port}")]
    assert record.in_ == b"a LOGIN bob XXXXXX\r\nb LOGOUT\r\n"


def test_a_header_is_handed_on(tmp_path: Path) -> None:
    fake = FakeServer(lambda peer: peer.send(b"* OK " + peer.line()))
    with fake, proxied(tmp_path, fake, proxy_out="v1") as here, dial(here.port) as peer:
        peer.send(HEADERS["v2"])
        assert peer.line() == b"* OK " + HEADERS["v1"]


def test_the_header_is_not_in_the_recording_of_the_backend_s_leg(tmp_path: Path) -> None:
    def change(words: dict[str, Any]) -> None:
        words.update(proxy_out="v1", backend_plans=words["client_plans"], client_plans=[])

    def server(peer: Peer) -> None:
        assert peer.line().startswith(b"PROXY TCP4 ")
        ImapScript()(peer)

    with (
        FakeServer(server) as fake,
        RunningGateway(f"imap://localhost:{fake.port}", tmp_path, change=change) as gateway,
    ):
        talk(gateway.dial())
        record = gateway.record()
    assert record.out == b"a LOGIN bob XXXXXX\r\nb LOGOUT\r\n"
