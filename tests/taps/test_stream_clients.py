"""Python's mail clients, recorded, against the embedded mail server; tests/live compares with a real Dovecot."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawlog
from rawlog.taps.stream_clients import recorded
from tests.support.gateway import records

if TYPE_CHECKING:
    from rawlog.demo import DemoServer


def test_it_is_the_class_in_all_else(tmp_path: Path) -> None:
    client = recorded(imaplib.IMAP4_SSL, tmp_path)
    assert issubclass(client, imaplib.IMAP4_SSL)
    assert client.__name__ == "IMAP4_SSL"
    assert rawlog.recorded is recorded


@pytest.mark.parametrize("other", [socket.socket, str, imaplib.Time2Internaldate.__class__])
def test_other_classes_are_refused(other: type) -> None:
    with pytest.raises(rawlog.ConfigError, match=f"{other.__name__}: no client of imaplib, poplib or smtplib"):
        recorded(other, "recordings")


def test_a_subclass_keeps_its_protocol(tmp_path: Path, demo_server: DemoServer) -> None:
    class Mine(smtplib.SMTP):
        """Of somebody."""

    with recorded(Mine, tmp_path)("127.0.0.1", demo_server.ports["submission"], timeout=10) as client:
        client.noop()
    (record,) = records(tmp_path)
    assert record.out == b"noop\r\nQUIT\r\n"


def test_where_the_directory_is_missing_nothing_is_in_the_way(tmp_path: Path, demo_server: DemoServer) -> None:
    client = recorded(poplib.POP3, tmp_path / "gone")("127.0.0.1", demo_server.ports["pop3"], timeout=10)
    assert type(client.sock) is socket.socket
    client.quit()
    assert not any(tmp_path.iterdir())


def test_no_connection_is_no_recording(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            recorded(imaplib.IMAP4, tmp_path)("127.0.0.1", unused.getsockname()[1], timeout=10)
    assert not any(tmp_path.iterdir())
