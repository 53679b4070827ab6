"""The Dovecot that other tests rely on: each protocol, each way to TLS, its recordings, its end."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import ssl
from collections.abc import Callable
from pathlib import Path

import managesieve
import pytest

from tests.support.dovecot import COMPRESS, PORTS, DovecotServer

pytestmark = pytest.mark.live

MESSAGE = b"From: x@example.com\r\nSubject: %s\r\n\r\nhello\r\n"


@pytest.fixture
def trust(dovecot: DovecotServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(dovecot.ca_file))


@pytest.mark.parametrize("user", ["alice@example.com", "bob@example.com", "carol@example.com"])
def test_imap_in_the_clear_is_recorded_by_dovecot(dovecot: DovecotServer, user: str) -> None:
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port, timeout=10) as client:
        client.login(user, dovecot.users[user])
        client.xatom("NOOP")
    in_, out = dovecot.rawlogs(user)[-1]
    assert b" NOOP\r\n" in in_
    assert b" OK NOOP completed" in out
    assert dovecot.users[user].encode() not in in_


def test_imap_with_starttls_and_over_tls(dovecot: DovecotServer, trust: ssl.SSLContext) -> None:
    with imaplib.IMAP4("localhost", dovecot.imap_port, timeout=10) as client:
        client.starttls(trust)
        assert client.login(dovecot.user, dovecot.password)[0] == "OK"
    with imaplib.IMAP4_SSL("localhost", dovecot.imaps_port, ssl_context=trust, timeout=10) as client:
        assert client.login(dovecot.user, dovecot.password)[0] == "OK"


def test_a_user_without_home_has_mail(dovecot: DovecotServer) -> None:
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port, timeout=10) as client:
        client.login("nohome@example.com", dovecot.users["nohome@example.com"])
        assert client.select()[0] == "OK"


def test_pop3_with_stls_and_over_tls(dovecot: DovecotServer, trust: ssl.SSLContext) -> None:
    plain = poplib.POP3("localhost", dovecot.pop3_port, timeout=10)
    plain.stls(trust)
    for client in (plain, poplib.POP3_SSL("localhost", dovecot.pop3s_port, context=trust, timeout=10)):
        client.user(dovecot.user)
        client.pass_(dovecot.password)
        assert client.stat()[0] >= 0
        client.quit()


def test_lmtp_delivers(dovecot: DovecotServer, trust: ssl.SSLContext) -> None:
    with smtplib.LMTP("localhost", dovecot.lmtp_port, timeout=10) as client:
        client.starttls(context=trust)
        client.sendmail("x@example.com", ["bob@example.com"], MESSAGE % b"by LMTP")
    stored = [path.read_bytes() for path in dovecot.home("bob@example.com").glob("Maildir/*/*") if path.is_file()]
    assert any(b"Subject: by LMTP" in data for data in stored)
    assert any(b"by LMTP" in in_ for in_, _ in dovecot.rawlogs("lmtp"))


def test_submission_relays(dovecot: DovecotServer, trust: ssl.SSLContext) -> None:
    with smtplib.SMTP("localhost", dovecot.submission_port, timeout=10) as client:
        client.starttls(context=trust)
        client.login(dovecot.user, dovecot.password)
        client.sendmail("x@example.com", ["y@example.com"], MESSAGE % b"by submission")
    with smtplib.SMTP_SSL("localhost", dovecot.submissions_port, context=trust, timeout=10) as client:
        client.login(dovecot.user, dovecot.password)
        client.sendmail("x@example.com", ["y@example.com"], MESSAGE % b"by submissions")
    sent = b"".join(dovecot.relay.messages)
    assert b"Subject: by submission\r\n" in sent
    assert b"Subject: by submissions\r\n" in sent


def test_managesieve_with_starttls(dovecot: DovecotServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.ca_file))
    client = managesieve.MANAGESIEVE("localhost", dovecot.sieve_port, use_tls=True)
    assert client.login("", dovecot.user, dovecot.password) == "OK"
    assert client.putscript("all", "keep;\r\n") == "OK"
    answer, scripts = client.listscripts()
    assert answer == "OK"
    assert ("all", False) in scripts  # the server is shared: other tests may have left scripts of their own
    client.logout()


def test_extra_configuration_wins_and_may_name_the_directory(
    dovecot_server: Callable[[str], DovecotServer],
) -> None:
    server = dovecot_server(COMPRESS + "hostname = @DIRECTORY@\nlogin_greeting = here I am\n")
    with imaplib.IMAP4(server.host, server.imap_port, timeout=10) as client:
        assert client.welcome.endswith(b"here I am")
        client.login(server.user, server.password)
        assert b"COMPRESS=DEFLATE" in client.capability()[1][0]
    assert f"hostname = {server.directory}" in (server.directory / "dovecot.conf").read_text()


def test_two_servers_are_strangers_and_leave_nothing_behind(dovecot: DovecotServer) -> None:
    with DovecotServer() as other:
        directory, pid = other.directory, other.pid
        assert set(other.ports) == set(PORTS) == set(dovecot.ports)
        assert not set(other.ports.values()) & set(dovecot.ports.values())
        with imaplib.IMAP4(other.host, other.imap_port, timeout=10) as client:
            client.login(other.user, other.password)
    assert not directory.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_bad_configuration_is_told_and_leaves_nothing_behind(dovecot_installed: None) -> None:
    server = DovecotServer("no_such_setting = 1\n")
    with pytest.raises(RuntimeError, match="no_such_setting"):
        server.start()
    assert not server.directory.exists()
