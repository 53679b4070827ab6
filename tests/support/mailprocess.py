"""Plays a mail process of Dovecot: asks the post-login socket after a login, and talks on what it is given."""

from __future__ import annotations

import socket
from pathlib import Path

PATIENCE = 30
VERSION = b"VERSION\tscript-login\t1\t0\n"


class MailProcess:
    """Asks at ``path`` for a user; ``client`` is the test's end of the client's connection."""

    def __init__(self, path: Path | str) -> None:
        self.client, self.inner = socket.socketpair()
        self.client.settimeout(PATIENCE)
        self.inner.setblocking(False)
        self.service = socket.socket(socket.AF_UNIX)
        self.service.settimeout(PATIENCE)
        self.service.connect(str(path))
        self.server: socket.socket | None = None

    def ask(self, line: str, *, fds: int = 1, version: bytes = VERSION) -> None:
        """Sends the request, with the client's descriptor."""
        data = version + f"127.0.0.1\t192.0.2.7\t{line}\n".encode()
        if fds:
            socket.send_fds(self.service, [data], [self.inner.fileno()] * fds)
        else:
            self.service.sendall(data)

    def answer(self) -> bytes:
        """The answer; b'' when there is none. ``server`` is what came with it, None: the client stays."""
        data, fds, _, _ = socket.recv_fds(self.service, 65536, 2)
        if fds:
            self.server = socket.socket(fileno=fds[0])
            self.server.settimeout(PATIENCE)
            self.inner.close()
        return data

    def close(self) -> None:
        for one in (self.client, self.inner, self.service, self.server):
            if one is not None:
                one.close()
