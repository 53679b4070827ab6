"""A socket that is recorded.

Knows: which methods of a socket move bytes. Must not know: protocols, files. It behaves as the socket that it wraps:
same results, same exceptions, same lifetime of the descriptor. With TLS it wraps the SSLSocket, so what is recorded is
the decrypted conversation.
"""

from __future__ import annotations

import io
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

from rawlog.taps.streams import StreamTap, may_record

_UNSEEN = frozenset(("recvfrom_into", "recvmsg", "recvmsg_into", "sendmsg", "sendmsg_afalg", "sendto"))
"""Ways to move bytes that nobody uses for mail: they work, and the recording says that it missed something."""


def record_socket(
    sock: socket.socket,
    directory: str | os.PathLike[str],
    *,
    protocol: str,
    server: bool = False,
    secrets: str = "redact",
    native: bool = False,
) -> RecordedSocket | socket.socket:
    """Record what goes through a connected socket from now on; plain or TLS. The options are those of StreamTap.

    Gives the socket to use in its place; that is ``sock`` itself where the directory does not exist.
    """
    if not may_record(directory):
        return sock
    tap = StreamTap(directory, protocol=protocol, server=server, secrets=secrets, native=native)
    return RecordedSocket(sock, tap)


class RecordedSocket:
    """Wraps a connected stream socket. What has no method here is the wrapped socket's own."""

    def __init__(self, sock: socket.socket, tap: StreamTap) -> None:
        self._sock = sock
        self._tap = tap
        self._users = 1  # the socket, and its open files
        self._closed = False
        if isinstance(sock, ssl.SSLSocket):
            cipher = sock.cipher()
            tap.mark("tls", {"version": sock.version() or "", "cipher": cipher[0] if cipher else ""})

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._sock, name)
        if name in _UNSEEN:
            self._tap.mark("gap", {"cause": f"what went through {name}() is not recorded"})
        return found

    def __enter__(self) -> RecordedSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """The descriptor."""
        return self._sock.fileno()

    # -- reading ------------------------------------------------------------------------------------------------------

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As of the socket."""
        data = self._sock.recv(size, flags)
        return data if flags & socket.MSG_PEEK else self._read(data)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """As of the socket."""
        count = self._sock.recv_into(buffer, nbytes, flags)
        if not flags & socket.MSG_PEEK:
            self._read(bytes(memoryview(buffer).cast("B")[:count]))
        return count

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, Any]:
        """As of the socket."""
        data, address = self._sock.recvfrom(size, flags)
        return data if flags & socket.MSG_PEEK else self._read(data), address

    def read(self, size: int = 1024, buffer: Any = None) -> bytes | int:
        """As of an SSLSocket."""
        sock: Any = self._sock
        if buffer is None:
            return self._read(sock.read(size))
        count: int = sock.read(size, buffer)
        self._read(bytes(memoryview(buffer).cast("B")[:count]))
        return count

    def _read(self, data: bytes) -> bytes:
        self._tap.received(data)
        return data

    # -- writing ------------------------------------------------------------------------------------------------------

    def send(self, data: Any, flags: int = 0) -> int:
        """As of the socket."""
        return self._written(data, self._sock.send(data, flags))

    def write(self, data: Any) -> int:
        """As of an SSLSocket."""
        sock: Any = self._sock
        return self._written(data, sock.write(data))

    def sendall(self, data: Any, flags: int = 0) -> None:
        """As of the socket. When it fails nobody knows how much went; the recording says so."""
        try:
            self._sock.sendall(data, flags)
        except BaseException as error:
            self._tap.mark("gap", {"cause": f"sendall() failed ({type(error).__name__}); what went is not known"})
            raise
        self._written(data, memoryview(data).nbytes)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """As of the socket, in pieces that can be recorded."""
        if offset:
            file.seek(offset)
        sent = 0
        while count is None or sent < count:
            piece = file.read(8192 if count is None else min(8192, count - sent))
            if not piece:
                break
            self.sendall(piece)
            sent += len(piece)
        return sent

    def _written(self, data: Any, count: int) -> int:
        self._tap.sent(bytes(memoryview(data).cast("B")[:count]))
        return count

    # -- the end ------------------------------------------------------------------------------------------------------

    def makefile(
        self,
        mode: str = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """A file on the socket, as of the socket."""
        binary = "".join(sorted(set(mode) & set("rw"))) or "r"
        sock: Any = self._sock
        raw = _RecordedFile(sock.makefile(f"{binary}b", buffering=0), self._tap, self._released)
        self._users += 1
        if buffering == 0:
            return raw
        size = io.DEFAULT_BUFFER_SIZE if buffering is None or buffering < 0 else buffering
        buffered: Any = {"r": io.BufferedReader, "w": io.BufferedWriter}.get(binary, _pair)(raw, size)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)

    def unwrap(self) -> RecordedSocket:
        """Of TLS: what follows is in the clear."""
        sock: Any = self._sock
        return RecordedSocket(sock.unwrap(), self._tap)

    def close(self) -> None:
        """As of the socket: files on it stay open."""
        self._sock.close()
        if not self._closed:
            self._closed = True
            self._released()

    def detach(self) -> int:
        """As of the socket. ``SSLContext.wrap_socket`` does this; see ``upgraded``."""
        return self._sock.detach()

    def upgraded(self, sock: ssl.SSLSocket) -> RecordedSocket:
        """``sock``, made of this socket by STARTTLS, in the same recording: ``s.upgraded(context.wrap_socket(s))``."""
        return RecordedSocket(sock, self._tap)

    def _released(self) -> None:
        self._users -= 1
        if not self._users:
            self._tap.close("closed")


def _pair(raw: Any, size: int) -> io.BufferedRWPair:
    return io.BufferedRWPair(raw, raw, size)


class _RecordedFile(io.RawIOBase):
    """The raw file under what ``makefile`` gives."""

    def __init__(self, raw: Any, tap: StreamTap, released: Callable[[], None]) -> None:
        self._raw = raw
        self._tap = tap
        self._released = released

    def readable(self) -> bool:
        return bool(self._raw.readable())

    def writable(self) -> bool:
        return bool(self._raw.writable())

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def readinto(self, buffer: Any) -> int | None:
        count: int | None = self._raw.readinto(buffer)
        if count:
            self._tap.received(bytes(memoryview(buffer).cast("B")[:count]))
        return count

    def write(self, data: Any) -> int | None:
        count: int | None = self._raw.write(data)
        if count:
            self._tap.sent(bytes(memoryview(data).cast("B")[:count]))
        return count

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._raw.close()
            self._released()
