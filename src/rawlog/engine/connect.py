"""Connecting to a server without waiting: TCP by address or name, and unix sockets.

Knows: addresses, non-blocking connect, one time limit for all addresses of a name. Must not know: what is spoken there.
It is a file of its own because a hanging server must neither block the loop nor leave a client without an answer. Names
are looked up once, by :func:`resolve`, when the configuration is read: a lookup can block for seconds.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rawlog.engine.loop import WRITE, Loop, Timer
from rawlog.engine.sentences import LegError, os_sentence

CONNECT_TIMEOUT = 10.0
"""Seconds for all addresses together: a client waits for its greeting about 30."""
_BUSY_RETRY = 0.02
"""Seconds until the next try when the queue of a unix socket is full: there is no event for that."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect: the socket family, its address, and the same for people."""

    family: socket.AddressFamily
    address: Any
    text: str


def resolve(host: str, port: int) -> tuple[Endpoint, ...]:
    """The endpoints of ``host`` (a name or a numeric address), in the system's order. Blocks when it is a name.

    Raises LegError when there is none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not a host name"
        raise LegError(f"{host}: {why}; check the name, and the name servers of this machine") from None
    ends = dict.fromkeys(Endpoint(family, address, _text(str(address[0]), port)) for family, _, _, _, address in found)
    return tuple(ends)


def unix(path: str) -> tuple[Endpoint, ...]:
    """The endpoint of a unix stream socket."""
    return (Endpoint(socket.AF_UNIX, path, path),)


def _text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


OnConnected = Callable[[socket.socket | None, LegError | None], None]
"""Gets the connected socket (its own from now on), or what went wrong with the last address tried."""


class Connecting:
    """An attempt under way; :func:`connect` makes it. ``cancel()`` ends it without a call."""

    __slots__ = ("_deadline", "_ends", "_error", "_loop", "_name", "_next", "_on_done", "_sock", "_timer")

    def __init__(self, loop: Loop, ends: Sequence[Endpoint], timeout: float, on_done: OnConnected, name: str) -> None:
        self._loop = loop
        self._ends = ends
        self._next = 0
        self._name = name
        self._on_done: OnConnected | None = on_done
        self._error = LegError(f"{name}: no address to connect to; check the configuration")
        self._deadline = loop.monotonic() + timeout
        self._sock: socket.socket | None = None
        self._timer: Timer | None = None
        loop.call_soon(self._try_next)

    def cancel(self) -> None:
        """Give up; ``on_done`` will not be called."""
        self._on_done = None
        self._drop()

    def _try_next(self) -> None:
        """Begin with the next address, which gets its share of the time that is left."""
        if self._on_done is None:
            return
        left = self._deadline - self._loop.monotonic()
        if self._next >= len(self._ends) or (self._next and left <= 0):
            self._finish(None, self._error)
            return
        share = max(0.0, left) / (len(self._ends) - self._next)
        end = self._ends[self._next]
        self._next += 1
        late = errno.EAGAIN if end.family == socket.AF_UNIX else errno.ETIMEDOUT
        self._timer = self._loop.call_later(share, lambda: self._failed(end, late))
        try:
            self._sock = socket.socket(end.family, socket.SOCK_STREAM)
        except OSError as error:
            self._failed(end, error.errno or errno.EIO)
            return
        self._sock.setblocking(False)
        self._begin(end)

    def _begin(self, end: Endpoint) -> None:
        sock = self._sock
        if sock is None:
            return
        try:
            code = sock.connect_ex(end.address)
        except (OSError, ValueError):  # a path that is too long, a NUL in it
            code = errno.ENOENT
        if code == errno.EINPROGRESS:
            self._loop.register(sock.fileno(), lambda events: self._ready(end), WRITE)
        elif code == errno.EAGAIN:
            self._loop.call_later(_BUSY_RETRY, lambda: self._begin_again(sock, end))
        elif code:
            self._failed(end, code)
        else:
            self._connected()

    def _begin_again(self, sock: socket.socket, end: Endpoint) -> None:
        if self._sock is sock:
            self._begin(end)

    def _ready(self, end: Endpoint) -> None:
        assert self._sock is not None
        self._loop.unregister(self._sock.fileno())
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._failed(end, code)
        else:
            self._connected()

    def _failed(self, end: Endpoint, code: int) -> None:
        self._drop()
        sentence = os_sentence(OSError(code, os.strerror(code)))
        self._error = LegError(f"{self._name} {end.text}: {sentence}")
        self._try_next()

    def _connected(self) -> None:
        sock = self._sock
        self._sock = None
        self._drop()
        self._finish(sock, None)

    def _drop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sock is not None:
            self._loop.unregister(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _finish(self, sock: socket.socket | None, error: LegError | None) -> None:
        on_done = self._on_done
        self._on_done = None
        if on_done is not None:
            on_done(sock, error)


def connect(
    loop: Loop,
    ends: Sequence[Endpoint],
    *,
    on_done: OnConnected,
    timeout: float = CONNECT_TIMEOUT,
    name: str = "server",
) -> Connecting:
    """Connect to the first of ``ends`` that answers, one after the other, within ``timeout`` seconds in all.

    ``on_done(socket, None)`` or ``on_done(None, error)`` is called once, never from inside this call. ``name`` begins
    the error's sentence.
    """
    return Connecting(loop, ends, timeout, on_done, name)
