"""Python's own mail clients with a recording of their own: it says what Dovecot's own recording says."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import ssl
from pathlib import Path
from typing import Any

import pytest

import rawlog
from tests.support.dovecot import DovecotServer
from tests.support.gateway import Record, eventually, plain, records

pytestmark = pytest.mark.live

USER, PASSWORD = "carol@example.com", "christmas"
MESSAGE = b"From: x@example.com\r\nSubject: streams\r\n\r\nhello\r\n"
HOWS = ("plain", "starttls", "tls")


def trust(server: DovecotServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.ca_file))


def theirs(server: DovecotServer, user: str) -> tuple[bytes, bytes]:
    """What Dovecot recorded last of the user: what it read, what it wrote."""
    in_, out = eventually(lambda: server.rawlogs(user))[-1]
    return plain(in_), plain(out)


def recorded_once(directory: Path) -> Record:
    (record,) = records(directory)
    assert PASSWORD.encode() not in record.in_ + record.out
    return record


@pytest.mark.parametrize("how", HOWS)
def test_imaplib(dovecot: DovecotServer, tmp_path: Path, how: str) -> None:
    if how == "tls":
        client: Any = rawlog.recorded(imaplib.IMAP4_SSL, tmp_path)(
            "localhost", dovecot.imaps_port, ssl_context=trust(dovecot), timeout=20
        )
    else:
        client = rawlog.recorded(imaplib.IMAP4, tmp_path)("localhost", dovecot.imap_port, timeout=20)
    with client:
        if how == "starttls":
            client.starttls(trust(dovecot))
        client.login(USER, PASSWORD)
        client.append("INBOX", None, None, MESSAGE)
        client.select("INBOX", readonly=True)
        assert client.fetch("1", "(BODY.PEEK[])")[0] == "OK"
    record = recorded_once(tmp_path)
    in_, out = theirs(dovecot, USER)
    assert MESSAGE in record.out
    assert record.out.endswith(in_)
    assert record.in_.endswith(out)
    assert record.in_.startswith(b"* OK [CAPABILITY ")


@pytest.mark.parametrize("how", HOWS)
def test_poplib(dovecot: DovecotServer, tmp_path: Path, how: str) -> None:
    if how == "tls":
        client: Any = rawlog.recorded(poplib.POP3_SSL, tmp_path)(
            "localhost", dovecot.pop3s_port, context=trust(dovecot), timeout=20
        )
    else:
        client = rawlog.recorded(poplib.POP3, tmp_path)("localhost", dovecot.pop3_port, timeout=20)
    if how == "starttls":
        client.stls(trust(dovecot))
    client.user(USER)
    client.pass_(PASSWORD)
    client.list()
    client.quit()
    record = recorded_once(tmp_path)
    in_, out = theirs(dovecot, USER)
    assert in_.endswith(b"QUIT\r\n")
    assert record.out.endswith(in_)
    assert record.in_.endswith(out)


@pytest.mark.parametrize("how", HOWS)
def test_smtplib(dovecot: DovecotServer, tmp_path: Path, how: str) -> None:
    if how == "tls":
        client: Any = rawlog.recorded(smtplib.SMTP_SSL, tmp_path)(
            "localhost", dovecot.submissions_port, context=trust(dovecot), timeout=20
        )
    else:
        client = rawlog.recorded(smtplib.SMTP, tmp_path)("localhost", dovecot.submission_port, timeout=20)
    with client:
        if how == "starttls":
            client.starttls(context=trust(dovecot))
        client.login(USER, PASSWORD)
        client.sendmail(USER, ["y@example.org"], MESSAGE)
    record = recorded_once(tmp_path)
    in_, out = theirs(dovecot, USER)
    assert MESSAGE + b".\r\n" in record.out
    assert record.out.endswith(in_)
    assert record.in_.endswith(out)


def test_lmtp(dovecot: DovecotServer, tmp_path: Path) -> None:
    with rawlog.recorded(smtplib.LMTP, tmp_path)("localhost", dovecot.lmtp_port) as client:
        client.sendmail("x@example.com", [USER], MESSAGE)
    record = recorded_once(tmp_path)
    assert (record.out, record.in_) == theirs(dovecot, "lmtp")
    exchanges = rawlog.exchanges(rawlog.open_recording(record.path))
    assert [e.verb for e in exchanges if e.is_command] == ["LHLO", "MAIL", "RCPT", "DATA", "QUIT"]
