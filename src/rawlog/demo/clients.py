"""The clients of the demonstration: each holds one real conversation, mostly by the standard library's clients.

Knows: what a mail user does in five protocols. Must not know: that anybody records it. All of them speak TLS, verify
the certificate, and log in with a password that must not appear in any recording.
"""

from __future__ import annotations

import base64
import imaplib
import poplib
import smtplib
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, cast

TIMEOUT = 10.0  # seconds for one answer of the demo server
MESSAGE = (
    b"From: Rawlog <demo@example.com>\r\nTo: alice@example.com\r\nSubject: Recorded\r\n\r\nHello from the demo.\r\n"
)
SCRIPT = b'require "fileinto";\r\nif header :contains "subject" "Recorded" { fileinto "INBOX"; }\r\n'


@dataclass(frozen=True)
class Account:
    """Where a client connects, and as whom. ``ports`` by name: ``imap``, ``imaps``, ``pop3`` ..."""

    host: str
    ports: Mapping[str, int]
    user: str
    password: str
    context: ssl.SSLContext


def imap_starttls(account: Account) -> None:
    """IMAP through STARTTLS: append a message with a literal, search, fetch, idle."""
    with imaplib.IMAP4(account.host, account.ports["imap"], timeout=TIMEOUT) as client:
        client.starttls(account.context)
        client.login(account.user, account.password)
        client.append("INBOX", "", imaplib.Time2Internaldate(0.0), MESSAGE)
        client.select("INBOX")
        client.search(None, "ALL")
        client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        _idle(client)


def imap_tls(account: Account) -> None:
    """IMAP over TLS from the first byte."""
    with imaplib.IMAP4_SSL(
        account.host, account.ports["imaps"], ssl_context=account.context, timeout=TIMEOUT
    ) as client:
        client.login(account.user, account.password)
        client.select("INBOX", readonly=True)
        client.fetch("1", "(RFC822.SIZE BODY.PEEK[])")


def pop3_stls(account: Account) -> None:
    """POP3 through STLS: list and retrieve."""
    client = poplib.POP3(account.host, account.ports["pop3"], timeout=TIMEOUT)
    try:
        client.stls(account.context)
        client.user(account.user)
        client.pass_(account.password)
        client.stat()
        client.retr(1)
    finally:
        client.quit()


def submission_starttls(account: Account) -> None:
    """Submission through STARTTLS: log in and send a message."""
    with smtplib.SMTP(account.host, account.ports["submission"], timeout=TIMEOUT) as client:
        client.starttls(context=account.context)
        client.login(account.user, account.password)
        client.sendmail("demo@example.com", [account.user], MESSAGE)


def lmtp_starttls(account: Account) -> None:
    """LMTP through STARTTLS: deliver a message."""
    with smtplib.LMTP(account.host, account.ports["lmtp"], timeout=TIMEOUT) as client:
        client.starttls(context=account.context)
        client.sendmail("demo@example.com", [account.user], MESSAGE)


def managesieve_starttls(account: Account) -> None:
    """ManageSieve through STARTTLS: store a script and list it. The standard library has no client for it."""
    login = base64.b64encode(f"\0{account.user}\0{account.password}".encode())
    with socket.create_connection((account.host, account.ports["sieve"]), TIMEOUT) as plain:
        _sieve(cast(BinaryIO, plain.makefile("rwb")), [b"", b"STARTTLS\r\n"])
        with account.context.wrap_socket(plain, server_hostname=account.host) as secure:
            script = b'PUTSCRIPT "demo" {%d+}\r\n%s\r\n' % (len(SCRIPT), SCRIPT)
            words = [b"", b'AUTHENTICATE "PLAIN" "%s"\r\n' % login, script, b"LISTSCRIPTS\r\n", b"LOGOUT\r\n"]
            _sieve(cast(BinaryIO, secure.makefile("rwb")), words)


CLIENTS: Mapping[str, tuple[Callable[[Account], None], ...]] = {
    "imap": (imap_starttls, imap_tls),
    "pop3": (pop3_stls,),
    "smtp": (submission_starttls,),
    "lmtp": (lmtp_starttls,),
    "managesieve": (managesieve_starttls,),
}


def _idle(client: imaplib.IMAP4) -> None:
    """IDLE and DONE (RFC 2177), which imaplib learned in Python 3.14 only."""
    tag = b"IDLE1"
    client.send(tag + b" IDLE\r\n")
    client.readline()
    client.send(b"DONE\r\n")
    while not client.readline().startswith(tag):
        pass


def _sieve(stream: BinaryIO, commands: list[bytes]) -> None:
    """Send each command (b"": nothing, the server speaks first) and read its answer up to OK."""
    for command in commands:
        stream.write(command)
        stream.flush()
        done = (b"OK", b"BYE") if command == b"LOGOUT\r\n" else (b"OK",)
        while not (line := stream.readline()).upper().startswith(done):
            if not line or line.upper().startswith((b"NO", b"BYE")):
                raise OSError(f"ManageSieve: {command[:20]!r} was answered {line!r}")
