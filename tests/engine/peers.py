"""Peers of a relay, for the tests: blocking sockets, plain and TLS, that send, read and end in all ways."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from rawlog.engine.leg import Leg, LegError
from rawlog.engine.tunnel import TlsTunnel
from tests.engine.stage import TIME_LIMIT, Certificates, Owner, Stage, Talk

LINGER_RESET = b"\1\0\0\0\0\0\0\0"


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    sock.close()


def receive(sock: socket.socket, size: int = 1 << 18) -> bytes:
    """What comes, b'' at the end: Python says it in another way once both directions of TLS are closed."""
    try:
        return sock.recv(size)
    except ssl.SSLZeroReturnError:
        return b""


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: receive(sock), b""))


class TlsPeer:
    """A blocking TLS peer that can end its own direction at any moment, which ``SSLSocket`` can't."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, *, server_side: bool) -> None:
        self.sock = sock
        self._tunnel = TlsTunnel(context, server_side=server_side, server_hostname=None if server_side else "localhost")
        self._tunnel.handshake(b"")
        while self._tunnel.handshaking:
            self._flush()
            self._tunnel.handshake(sock.recv(65536))
            assert self._tunnel.failure is None
        self._flush()

    def _flush(self) -> None:
        if raw := self._tunnel.take():
            self.sock.sendall(raw)

    def sendall(self, data: bytes) -> None:
        self.sock.sendall(self._tunnel.write(data))

    def recv(self, size: int) -> bytes:
        """What comes, b'' at close_notify; EOFError at an end without one."""
        while not (plain := self._tunnel.feed(b"")):
            if self._tunnel.ended:
                return b""
            if not (raw := self.sock.recv(size)):
                raise EOFError
            if plain := self._tunnel.feed(raw):
                break
        return plain

    def end(self) -> None:
        self.sock.sendall(self._tunnel.close())

    def settimeout(self, seconds: float) -> None:
        self.sock.settimeout(seconds)

    def close(self) -> None:
        self.sock.close()


def python_tls(sock: socket.socket, context: ssl.SSLContext, *, server_side: bool) -> ssl.SSLSocket:
    name = None if server_side else "localhost"
    return context.wrap_socket(sock, server_side=server_side, server_hostname=name, suppress_ragged_eofs=False)


def secure(talk: Talk, certificates: Certificates, wrap: Callable[..., Any] | None = None) -> None:
    """TLS on both legs: ``talk.client`` and ``talk.server`` become TLS sockets, of Python's or what ``wrap`` makes."""
    done: list[LegError | None] = []
    client, server = talk.relay.client, talk.relay.server
    client.start_tls(certificates.server(), server_side=True, server_hostname=None, on_done=done.append)
    server.start_tls(certificates.client(), server_side=False, server_hostname="localhost", on_done=done.append)
    front, back = certificates.client(), certificates.server()
    back.num_tickets = 0
    wrap = wrap or python_tls
    one = talk.stage.peer(lambda: wrap(talk.client, front, server_side=False))
    two = talk.stage.peer(lambda: wrap(talk.server, back, server_side=True))
    talk.stage.run_until(lambda: len(done) == 2)
    assert done == [None, None]
    talk.client, talk.server = one.result(), two.result()


def end_of(sock: socket.socket | TlsPeer) -> None:
    """End our direction only: close_notify in TLS. ``unwrap`` waits for the other side's, so tell it not to."""
    if isinstance(sock, TlsPeer):
        sock.end()
    elif isinstance(sock, ssl.SSLSocket):
        sock.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            sock.unwrap()
        sock.settimeout(TIME_LIMIT)
    else:
        sock.shutdown(socket.SHUT_WR)


PATTERN = os.urandom((1 << 20) + 7)


def stream(size: int) -> Iterator[bytes]:
    """``size`` bytes that do not repeat in any round step."""
    left = size
    while left:
        yield (piece := PATTERN[:left])
        left -= len(piece)


RETRY = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def duplex(sock: socket.socket, size: int, full: threading.Event) -> int:
    """Send ``size`` bytes and read as many at the same time, with pauses, then end; the checksum of what came.

    Reading does not begin before the relay is full in both directions.
    """
    sock.setblocking(False)
    pieces = stream(size)
    out = memoryview(next(pieces))
    got = check = 0
    while out or got < size:
        with contextlib.suppress(*RETRY):
            while out:
                out = out[sock.send(out[:65536]) :] or memoryview(next(pieces, b""))
        with contextlib.suppress(*RETRY):
            while full.is_set() and (data := sock.recv(65536)):
                got += len(data)
                check = zlib.crc32(data, check)
                if got >> 23 != (got - len(data)) >> 23:
                    time.sleep(0.05)
        reading = got < size and full.is_set()
        select.select([sock] if reading else [], [sock] if out else [], [], 0.02)
    end_of(sock)
    return check


class Actor:
    """One side of a random conversation: sends, reads, and ends in some way at some point."""

    def __init__(self, dice: random.Random) -> None:
        self.sends = [dice.randbytes(dice.choice([1, 50, 5000, 70_000])) for _ in range(dice.randrange(6))]
        self.end = dice.choice(["half", "half", "close", "reset"])
        self.reads_before = dice.randrange(3)
        self.got = b""
        self.sent = b""

    def play(self, sock: socket.socket | TlsPeer) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._play(sock)
        if self.end == "reset":
            reset(sock.sock if isinstance(sock, TlsPeer) else sock)
        sock.close()

    def _play(self, sock: socket.socket | TlsPeer) -> None:
        for data in self.sends:
            self.sent += data
            sock.sendall(data)
        sock.settimeout(0.02)
        for _ in range(self.reads_before):
            with contextlib.suppress(TimeoutError):
                self.got += sock.recv(10_000)
        sock.settimeout(TIME_LIMIT)
        if self.end == "half":
            end_of(sock)
            while data := sock.recv(1 << 18):
                self.got += data


def wrap(certificates: Certificates, peer: socket.socket, **kwargs: Any) -> ssl.SSLSocket:
    context = certificates.client()
    return context.wrap_socket(peer, server_hostname="localhost", suppress_ragged_eofs=False, **kwargs)


def client_hello(certificates: Certificates) -> bytes:
    tunnel = TlsTunnel(certificates.client(), server_side=False, server_hostname="localhost")
    tunnel.handshake(b"")
    return tunnel.take()


def fails(stage: Stage, leg: Leg, owner: Owner, start: Callable[[], None]) -> str:
    start()
    stage.run_until(lambda: bool(owner.done))
    stage.pause(0.01)
    assert len(owner.done) == 1
    assert leg.ended
    assert str(owner.done[0]) == leg.broken
    return str(owner.done[0])


def serve(leg: Leg, owner: Owner, context: ssl.SSLContext, **kwargs: Any) -> Callable[[], None]:
    return lambda: leg.start_tls(context, server_side=True, server_hostname=None, on_done=owner.done.append, **kwargs)
