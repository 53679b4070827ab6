"""Python's own mail clients, recorded: imaplib, poplib, smtplib.

Knows: that they keep their socket in ``sock``, and put another one there at STARTTLS. Must not know: how a socket is
recorded. A client made here is the library's own in everything else; with TLS what is recorded is decrypted.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import Any, TypeVar

from rawlog.errors import ConfigError
from rawlog.taps.stream_socket import RecordedSocket, record_socket

Client = TypeVar("Client")

_PROTOCOLS = {"imaplib.IMAP4": "imap", "poplib.POP3": "pop3", "smtplib.LMTP": "lmtp", "smtplib.SMTP": "smtp"}


def recorded(
    client: type[Client], directory: str | os.PathLike[str], *, secrets: str = "redact", native: bool = False
) -> type[Client]:
    """The class ``client`` with its conversations recorded below ``directory``; use it as the class itself.

    >>> IMAP = rawlog.recorded(imaplib.IMAP4_SSL, "recordings")      # doctest: +SKIP
    >>> with IMAP("imap.example.com") as client:                     # doctest: +SKIP
    ...     client.login("alice", "wonderland")

    ``client`` is IMAP4, IMAP4_SSL, POP3, POP3_SSL, SMTP, SMTP_SSL, LMTP or a subclass. Raises ConfigError for others.
    """
    protocol = _protocol(client)
    base: Any = client

    class Recorded(base):  # type: ignore[misc]  # mypy wants to know the base
        @property
        def sock(self) -> Any:
            return self.__dict__.get("sock")

        @sock.setter
        def sock(self, sock: Any) -> None:
            before = self.__dict__.get("sock")
            if isinstance(before, RecordedSocket) and isinstance(sock, ssl.SSLSocket):
                sock = before.upgraded(sock)
            elif isinstance(sock, socket.socket):
                sock = record_socket(sock, directory, protocol=protocol, secrets=secrets, native=native)
            self.__dict__["sock"] = sock

    Recorded.__name__ = Recorded.__qualname__ = client.__name__
    return Recorded


def _protocol(client: type) -> str:
    for ancestor in client.__mro__:
        if protocol := _PROTOCOLS.get(f"{ancestor.__module__}.{ancestor.__qualname__}"):
            return protocol
    raise ConfigError(f"{client.__name__}: no client of imaplib, poplib or smtplib; use record_socket for its socket")
