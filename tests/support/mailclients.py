"""Real mail clients, each with one short session: the libraries of Python, managesieve, and programs where installed.

Knows: how each of them logs in and what it then does. Must not know: what is between it and the server.
"""

from __future__ import annotations

import base64
import imaplib
import os
import poplib
import shutil
import smtplib
import ssl
import subprocess
from collections.abc import Mapping
from email.message import EmailMessage

import managesieve
import pytest

HOST = "localhost"
SECONDS = 15.0
"""Longest wait for one client: far more than it takes."""
MESSAGE = b"From: x@example.com\r\nTo: y@example.com\r\nSubject: %s\r\n\r\nhello\r\n.dot\r\n"


def imap(
    port: int, user: str, password: str, context: ssl.SSLContext | None = None, *, subject: bytes = b"imap"
) -> None:
    """Log in (after STARTTLS with a context), append, select, fetch, log out."""
    with imaplib.IMAP4(HOST, port, timeout=SECONDS) as client:
        if context is not None:
            client.starttls(context)
        client.login(user, password)
        client.append("INBOX", "", imaplib.Time2Internaldate(0.0), MESSAGE % subject)
        client.select("INBOX")
        client.fetch("1", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")


def pop3(port: int, user: str, password: str, context: ssl.SSLContext | None = None) -> None:
    """Log in (after STLS with a context), count the messages, quit."""
    client = poplib.POP3(HOST, port, timeout=SECONDS)
    if context is not None:
        client.stls(context)
    client.user(user)
    client.pass_(password)
    client.stat()
    client.list()
    client.quit()


def submission(port: int, user: str, password: str, context: ssl.SSLContext | None = None) -> None:
    """Log in (after STARTTLS with a context), send a message."""
    with smtplib.SMTP(HOST, port, timeout=SECONDS, local_hostname="client.example.com") as client:
        if context is not None:
            client.starttls(context=context)
        client.login(user, password)
        client.sendmail(user, ["x@example.org"], MESSAGE % b"submission")


def lmtp(port: int, recipient: str, context: ssl.SSLContext | None = None) -> None:
    """Deliver a message, after STARTTLS with a context. Python's LMTP reads one answer to DATA: one recipient."""
    with smtplib.LMTP(HOST, port, local_hostname="client.example.com", timeout=SECONDS) as client:
        if context is not None:
            client.starttls(context=context)
        client.sendmail("x@example.com", recipient, MESSAGE % b"lmtp")


def sieve(port: int, user: str, password: str) -> None:
    """Log in by PLAIN, store a script, list, log out."""
    client = managesieve.MANAGESIEVE(HOST, port)
    assert client.login("", user, password) == "OK"
    client.putscript("first", "keep;\r\n")
    client.listscripts()
    client.logout()


# -- programs ---------------------------------------------------------------------------------------------------------


def program(name: str) -> str:
    """Where a program is; skips the test where it is not installed."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed (make test installs it on Debian and Ubuntu)")
    return found


def run(*words: str, text: str = "", environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program with some input; it must be installed, succeed and end in time."""
    command = [program(words[0]), *words[1:]]
    env = {**os.environ, **(environment or {})}
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=SECONDS, env=env)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done


def mail(subject: str) -> str:
    """A message as text, with CRLF as SMTP wants it: curl changes nothing."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "x@example.com", "y@example.com", subject
    message.set_content("hello\n.dot\n")
    return message.as_string().replace("\n", "\r\n")


def plain(user: str, password: str) -> str:
    """A SASL PLAIN response in base64 (RFC 4616)."""
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()
