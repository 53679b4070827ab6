"""Submission and LMTP of the demo server: what it refuses, and the answers a client library does not show."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator

import pytest

from rawlog.demo import DemoServer


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


def test_lmtp_answers_the_message_once_per_recipient_in_order(server: DemoServer) -> None:
    commands = (
        b"LHLO x\r\n",
        b"MAIL FROM:<>\r\n",
        b"RCPT TO:<bob@example.com>\r\n",
        b"RCPT TO:<nobody@example.com>\r\n",
        b"RCPT TO:<alice@example.com>\r\n",
        b"DATA\r\n",
        b"Subject: x\r\n\r\nx\r\n.\r\n",
        b"QUIT\r\n",
    )
    with socket.create_connection((server.host, server.ports["lmtp"]), timeout=10) as client:
        for command in commands:
            client.sendall(command)
        answers = b"".join(iter(lambda: client.recv(4096), b"")).splitlines()
    assert [line[:3] for line in answers[-7:]] == [b"250", b"550", b"250", b"354", b"250", b"250", b"221"]
    assert answers[-3:-1] == [b"250 2.0.0 <bob@example.com> delivered", b"250 2.0.0 <alice@example.com> delivered"]


def test_submission_wants_tls_then_a_login_with_the_right_password(server: DemoServer) -> None:
    with smtplib.SMTP("localhost", server.ports["submission"], timeout=10) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.mail("x@example.com")[0] == 530
        client.starttls(context=ssl.create_default_context(cafile=str(server.ca_file)))
        client.ehlo()
        assert client.mail("x@example.com")[0] == 530
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(server.user, "wrong")
        assert client.login(server.user, server.password)[0] == 235
        assert client.mail("x@example.com")[0] == 250


def test_submission_delivers_to_the_demo_users_only(server: DemoServer) -> None:
    trust = ssl.create_default_context(cafile=str(server.ca_file))
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=trust, timeout=10) as client:
        client.login(server.user, server.password)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("x@example.com", ["someone@elsewhere.example"], b"x")
