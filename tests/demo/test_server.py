"""The embedded mail server as its users see it: five protocols over TLS, spoken by clients that are not ours."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import managesieve
import pytest

from rawlog.demo import DemoServer
from rawlog.demo import server as server_module
from rawlog.errors import RawlogError

MESSAGE = b"From: x@example.com\r\nSubject: %s\r\n\r\n.dot\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


@pytest.fixture
def trust(server: DemoServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.ca_file))


def subjects(server: DemoServer, trust: ssl.SSLContext, user: str) -> list[bytes]:
    """The subjects in the INBOX of ``user``, seen by IMAP."""
    with imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=trust, timeout=10) as client:
        client.login(user, server.users[user])
        client.select()
        _, found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return [part[1].strip().removeprefix(b"Subject: ") for part in found if isinstance(part, tuple)]


def test_imap_over_tls_shows_the_welcome_message(server: DemoServer, trust: ssl.SSLContext) -> None:
    assert subjects(server, trust, server.user)[0] == b"Welcome to the demo server"


def test_imap_with_starttls(server: DemoServer, trust: ssl.SSLContext) -> None:
    with imaplib.IMAP4("localhost", server.ports["imap"], timeout=10) as client:
        client.starttls(trust)
        assert client.login(server.user, server.password)[0] == "OK"


def test_imap_refuses_a_wrong_password(server: DemoServer, trust: ssl.SSLContext) -> None:
    with (
        imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=trust, timeout=10) as client,
        pytest.raises(imaplib.IMAP4.error),
    ):
        client.login(server.user, "wrong")


def test_imaps_offers_no_starttls(server: DemoServer, trust: ssl.SSLContext) -> None:
    with imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=trust, timeout=10) as client:
        assert "STARTTLS" not in client.capabilities


def test_pop3_with_stls_and_over_tls(server: DemoServer, trust: ssl.SSLContext) -> None:
    plain = poplib.POP3("localhost", server.ports["pop3"], timeout=10)
    plain.stls(trust)
    tls = poplib.POP3_SSL("localhost", server.ports["pop3s"], context=trust, timeout=10)
    for client in (plain, tls):
        client.user(server.user)
        client.pass_(server.password)
        assert client.stat()[0] >= 1
        client.quit()


def test_submission_with_starttls_delivers(server: DemoServer, trust: ssl.SSLContext) -> None:
    with smtplib.SMTP("localhost", server.ports["submission"], timeout=10) as client:
        client.starttls(context=trust)
        client.login(server.user, server.password)
        client.sendmail("x@example.com", ["bob@example.com"], MESSAGE % b"by submission")
    assert b"by submission" in subjects(server, trust, "bob@example.com")


def test_submission_over_tls_delivers(server: DemoServer, trust: ssl.SSLContext) -> None:
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=trust, timeout=10) as client:
        client.login(server.user, server.password)
        client.sendmail("x@example.com", ["bob@example.com"], MESSAGE % b"by submissions")
    assert b"by submissions" in subjects(server, trust, "bob@example.com")


def test_lmtp_with_starttls_delivers(server: DemoServer, trust: ssl.SSLContext) -> None:
    with smtplib.LMTP("localhost", server.ports["lmtp"], timeout=10) as client:
        client.starttls(context=trust)
        client.sendmail("x@example.com", ["bob@example.com"], MESSAGE % b"by LMTP")
    assert b"by LMTP" in subjects(server, trust, "bob@example.com")


def test_managesieve_with_starttls(server: DemoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
    client = managesieve.MANAGESIEVE("localhost", server.ports["sieve"], use_tls=True)
    assert client.login("", server.user, server.password) == "OK"
    assert client.putscript("all", "keep;\r\n") == "OK"
    assert client.listscripts() == ("OK", [("all", False)])
    client.logout()


@pytest.mark.parametrize("other", ["127.0.0.2", "::1"])
def test_ports_are_of_one_loopback_address_only(server: DemoServer, other: str) -> None:
    for port in server.ports.values():
        socket.create_connection((server.host, port), timeout=5).close()
        with pytest.raises(OSError):
            socket.create_connection((other, port), timeout=5)


def test_stop_removes_everything_and_may_be_called_twice() -> None:
    server = DemoServer()
    server.start()
    directory, pid = server.directory, server.pid
    server.stop()
    server.stop()
    assert not directory.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert server.ports == {}


def test_a_server_whose_parent_is_killed_ends_and_leaves_nothing_behind() -> None:
    code = "from rawlog.demo import DemoServer; s = DemoServer(); s.start(); print(s.pid, s.directory, flush=True);"
    code += "import time; time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    said = parent.stdout.readline().split()
    pid, directory = int(said[0]), Path(said[1])
    assert _runs(pid) and directory.exists()
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 10
    while _runs(pid):
        assert time.monotonic() < deadline, "the demo server outlived its parent"
        time.sleep(0.02)
    assert not directory.exists()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_missing_extra_is_told_with_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "NEEDED", {"pymap": "rawlog_has_no_such_module"})
    with pytest.raises(RawlogError, match=r"pymap not installed; run: .* -m pip install 'rawlog\[demo\]'"):
        DemoServer().start()


def test_a_server_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    server = DemoServer()
    with pytest.raises(RawlogError, match="demo server: it did not start: "):
        server.start()
    with pytest.raises(RawlogError, match="not running"):
        server.directory  # noqa: B018


def test_import_needs_nothing_of_the_extra() -> None:
    code = (
        "import sys, rawlog.demo; print([m for m in ('pymap', 'aiosmtpd', 'trustme', 'asyncio') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
