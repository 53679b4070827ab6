"""One end of a connection as a script drives it: a client of a gateway, or a fake server behind it.

Knows: a blocking socket, its bytes, TLS put in at any moment. Must not know: a protocol. Everything is bounded in time.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from types import TracebackType

SECONDS = 10.0
"""Longest wait for anything: far more than an answer on loopback takes, also on a busy machine."""


class Peer:
    """``sock`` is its own from now on. ``clear`` is everything read before TLS, ``inside`` everything read in it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(SECONDS)
        self.sock = sock
        self.clear = bytearray()
        self.inside = bytearray()
        self.context: ssl.SSLContext | None = None
        self._pending = b""

    @property
    def received(self) -> bytes:
        """Everything read so far."""
        return bytes(self.clear + self.inside)

    @property
    def tls(self) -> bool:
        """Whether TLS is on."""
        return isinstance(self.sock, ssl.SSLSocket)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(data)

    def line(self) -> bytes:
        """The next line with its ending; what there is at the end of the stream."""
        return self.until(b"\n")

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with ``mark``; what there is at the end of the stream."""
        while mark not in self._pending and self._more():
            pass
        size = self._pending.find(mark) + len(mark) if mark in self._pending else len(self._pending)
        return self._take(size)

    def exactly(self, size: int) -> bytes:
        """``size`` bytes, or fewer at the end of the stream."""
        while len(self._pending) < size and self._more():
            pass
        return self._take(size)

    def rest(self) -> bytes:
        """Everything up to the end of the stream, however it ends."""
        while self._more():
            pass
        return self._take(len(self._pending))

    def command(self, line: bytes) -> bytes:
        """Send an IMAP command line and give everything up to its tagged answer."""
        tag = line.split(b" ", 1)[0] + b" "
        self.send(line + b"\r\n")
        lines = [self.line()]
        while lines[-1] and not lines[-1].startswith(tag):
            lines.append(self.line())
        return b"".join(lines)

    def start_tls(self, context: ssl.SSLContext, *, server_side: bool = False) -> None:
        """Put TLS in, here. The name that is verified is ``localhost``."""
        assert not self._pending, self._pending
        name = None if server_side else "localhost"
        self.sock = context.wrap_socket(self.sock, server_side=server_side, server_hostname=name)

    def shut(self) -> None:
        """Say that nothing more comes; on TLS without a close_notify, which blocking sockets can't half-close with."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close."""
        self.sock.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except (ConnectionError, ssl.SSLError):
            return False
        self._pending += data
        kept = self.inside if self.tls else self.clear
        kept += data
        return bool(data)

    def _take(self, size: int) -> bytes:
        taken, self._pending = self._pending[:size], self._pending[size:]
        return taken


def dial(port: int, context: ssl.SSLContext | None = None, *, source: str = "127.0.0.1") -> Peer:
    """A client of 127.0.0.1:``port``, at the address ``source``; with ``context`` TLS from the first byte."""
    peer = Peer(socket.create_connection(("127.0.0.1", port), timeout=SECONDS, source_address=(source, 0)))
    if context is not None:
        peer.start_tls(context)
    return peer
