"""The doctor's look at certificates, listeners and backends, with real servers of every kind of trouble."""

from __future__ import annotations

import socket
import time

import pytest

from rawlog.settings.backend import Listen
from rawlog.settings.configuration import Door, GatewayPlan
from rawlog.settings.loader import loads
from rawlog.taps import doctor_network
from rawlog.taps.doctor_finding import Finding, Mark
from rawlog.taps.doctor_network import backend, certificate, collector, listener
from tests.support.backends import FakeServer, ImapScript
from tests.support.certificates import BAD, Certificates, certificates
from tests.support.peer import Peer


@pytest.fixture(scope="module")
def pem() -> Certificates:
    return certificates()


def plan(url: str, *lines: str) -> GatewayPlan:
    text = "\n".join((f"protocol imap {{\n  rawlog_backend = {url}\n}}", *lines))
    (found,) = loads(text + "\n").gateways()
    return found


def silent(peer: Peer) -> None:
    time.sleep(1)


def gone(peer: Peer) -> None:
    peer.close()


@pytest.mark.parametrize("scheme", ["imap", "imaps", "imap+starttls"])
def test_a_backend_that_greets(pem: Certificates, scheme: str) -> None:
    context = pem.server() if scheme == "imaps" else None
    script = ImapScript(context=pem.server()) if scheme == "imap+starttls" else ImapScript()
    with FakeServer(script, context) as server:
        url = f"{scheme}://localhost:{server.port}"
        assert backend(plan(url, f"ssl_client_ca_file = {pem.ca_file}")) == Finding(
            Mark.OK, f"rawlog_backend {url}: it greets"
        )


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("scheme", ["imaps", "imap+starttls"])
def test_a_backend_with_a_bad_certificate(pem: Certificates, scheme: str, kind: str) -> None:
    context = pem.server(kind) if scheme == "imaps" else None
    script = ImapScript(context=pem.server(kind)) if scheme == "imap+starttls" else ImapScript()
    with FakeServer(script, context) as server:
        found = backend(plan(f"{scheme}://localhost:{server.port}", f"ssl_client_ca_file = {pem.ca_file}"))
    assert found.mark is Mark.FAIL
    assert "certificate" in found.sentence


def test_a_backend_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = backend(plan(f"imap://127.0.0.1:{port}"))
    assert (found.mark, "refused" in found.sentence) == (Mark.FAIL, True)


def test_a_backend_that_has_no_address() -> None:
    found = backend(plan("imap://no-such-host.invalid"))
    assert (found.mark, "no-such-host.invalid" in found.sentence) == (Mark.FAIL, True)


def test_a_backend_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_network, "TIMEOUT", 0.1)
    with FakeServer(silent) as server:
        found = backend(plan(f"imap://127.0.0.1:{server.port}"))
    assert (found.mark, "did not greet" in found.sentence) == (Mark.FAIL, True)


def test_a_backend_that_closes() -> None:
    with FakeServer(gone) as server:
        found = backend(plan(f"imap://127.0.0.1:{server.port}"))
    assert (found.mark, "closed the connection" in found.sentence) == (Mark.FAIL, True)


@pytest.mark.parametrize(
    ("kind", "mark", "word"),
    [("good", Mark.OK, "good"), ("expired", Mark.FAIL, "has expired"), (None, Mark.FAIL, "PEM")],
)
def test_the_certificate_for_clients(pem: Certificates, kind: str | None, mark: Mark, word: str) -> None:
    path = "/dev/null" if kind is None else str(pem.pem(kind))
    (found,) = certificate(plan("imap://127.0.0.1", f"ssl_cert = <{path}", f"ssl_key = <{path}"))
    assert (found.mark, word in found.sentence) == (mark, True), found


def test_without_tls_there_is_no_certificate_to_look_at() -> None:
    assert list(certificate(plan("imap://127.0.0.1", "ssl = no"))) == []


def test_a_listener_that_is_free_and_one_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = listener(Door(Listen("127.0.0.1", port)))
        assert found.mark in (Mark.OK, Mark.FAIL, Mark.WARN)
        assert "listens" in found.sentence or "taken by pid" in found.sentence
    assert listener(Door(Listen("127.0.0.1", port))).mark is Mark.OK
    assert listener(Door(Listen(unix_path="/run/x"))).mark is Mark.OK


def test_a_listener_at_an_address_that_is_not_ours() -> None:
    found = listener(Door(Listen("192.0.2.1", 1143)))
    assert found.mark is Mark.FAIL


def test_a_backend_behind_a_header() -> None:
    def behind(peer: Peer) -> None:
        if peer.line() == b"PROXY UNKNOWN\r\n":
            peer.send(b"* OK hi\r\n")

    with FakeServer(behind) as server:
        url = f"imap://127.0.0.1:{server.port}"
        assert backend(plan(url, "rawlog_haproxy_out = v1")).mark is Mark.OK


def test_a_collector() -> None:
    with FakeServer(gone) as server:
        (found,) = collector(plan("imap://127.0.0.1", f"rawlog_dir = tcp:127.0.0.1:{server.port}"))
        assert found.mark is Mark.OK
    (found,) = collector(plan("imap://127.0.0.1", f"rawlog_dir = tcp:127.0.0.1:{server.port}"))
    assert found.mark is Mark.FAIL
    assert "connection refused" in found.sentence
    (found,) = collector(plan("imap://127.0.0.1", "rawlog_dir = tcp:no-such-host.invalid:1"))
    assert found.mark is Mark.FAIL
    assert list(collector(plan("imap://127.0.0.1", "rawlog_dir = /x"))) == []
