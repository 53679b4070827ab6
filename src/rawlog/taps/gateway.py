"""The gateway: listens, accepts, and keeps the conversations that go on.

Knows: listening sockets and a bound on conversations. Must not know: what is said in them. When descriptors run out it
stops accepting for a moment instead of spinning, and goes on by itself.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rawlog.engine.loop import READ, Loop
from rawlog.errors import RawlogError
from rawlog.settings.backend import Listen
from rawlog.taps.conversation import Conversation, Service

BACKLOG = 1024
CONVERSATIONS_LIMIT = 4000  # security.md 6.2
ACCEPTS_AT_ONCE = 16  # connections taken before others get their turn
REST = 0.2  # seconds without accepting when descriptors are used up
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_names = itertools.count(1)


class Gateway:
    """One backend, any number of listeners."""

    def __init__(self, loop: Loop, service: Service) -> None:
        self._loop = loop
        self._service = service
        self._listeners: dict[socket.socket, Listen] = {}
        self._conversations: set[Conversation] = set()
        self._resting = False
        self._on_idle: Callable[[], None] | None = None

    def listen(self, where: Listen) -> Listen:
        """Begin to listen; gives where, with the port that the kernel chose for 0.

        Raises RawlogError when that is not possible.
        """
        sock = _bound(where)
        self._listeners[sock] = where
        self._loop.register(sock.fileno(), partial(self._accept, sock), READ)
        if where.unix_path is not None:
            return where
        return Listen(where.host, sock.getsockname()[1], tls=where.tls)

    def stop_listening(self) -> None:
        """Take no more connections; those that are there go on."""
        for sock, where in self._listeners.items():
            with contextlib.suppress(KeyError, OSError):  # resting listeners are not registered
                self._loop.unregister(sock.fileno())
            sock.close()
            if where.unix_path is not None:
                Path(where.unix_path).unlink(missing_ok=True)
        self._listeners.clear()

    def drain(self, on_idle: Callable[[], None]) -> None:
        """Take no more connections, and call ``on_idle`` when the last conversation has ended."""
        self.stop_listening()
        self._on_idle = on_idle
        self._ended(None)

    def abort(self, reason: str) -> None:
        """End all conversations now."""
        for conversation in list(self._conversations):
            conversation.abort(reason)

    def _accept(self, listener: socket.socket, events: int) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._rest(error)
                return
            if len(self._conversations) >= CONVERSATIONS_LIMIT:
                self._service.report(f"more than {CONVERSATIONS_LIMIT} conversations; a connection is refused")
                sock.close()
                continue
            self._start(sock, self._listeners[listener])

    def _start(self, sock: socket.socket, where: Listen) -> None:
        name = f"{os.getpid()}-{next(_names)}"
        try:
            conversation = Conversation(
                self._loop, self._service, sock, name=name, implicit_tls=where.tls, on_end=self._ended
            )
        except OSError as error:  # the peer is gone already, or descriptors are used up
            self._service.report(f"{name}: the connection can't be used: {error}")
            sock.close()
            return
        self._conversations.add(conversation)

    def _ended(self, conversation: Conversation | None) -> None:
        if conversation is not None:
            self._conversations.discard(conversation)
        if self._on_idle is not None and not self._conversations:
            on_idle, self._on_idle = self._on_idle, None
            on_idle()

    def _rest(self, error: OSError) -> None:
        """Leave the listeners alone for a moment: accepting would fail again at once."""
        if self._resting:
            return
        self._resting = True
        self._service.report(f"connections can't be accepted: {error.strerror}; trying again")
        for sock in self._listeners:
            self._loop.unregister(sock.fileno())
        self._loop.call_later(REST, self._wake)

    def _wake(self) -> None:
        self._resting = False
        for sock in self._listeners:
            self._loop.register(sock.fileno(), partial(self._accept, sock), READ)


def _bound(where: Listen) -> socket.socket:
    try:
        if where.unix_path is not None:
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(where.unix_path)
        else:
            found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, address = found[0]
            sock = socket.socket(family)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        raise RawlogError(f"listener {where}: {_why(error)}") from error
    sock.setblocking(False)
    return sock


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use; choose another port, or end what listens there"
    if error.errno == errno.EACCES:
        return "not allowed; ports below 1024 need root, a unix socket a directory that is writable"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; use 127.0.0.1, or one that it has"
    return f"{error.strerror or error}; check the address"
