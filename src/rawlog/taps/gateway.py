"""The gateway: listens, accepts, and keeps the conversations that go on.

Knows: listening sockets and a bound on conversations. Must not know: what is said in them. When descriptors run out it
stops accepting for a moment instead of spinning, and goes on by itself. Who is refused is told so in the protocol's
words, but where TLS comes first: a handshake is what is saved.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
from collections.abc import Callable
from functools import partial

from rawlog.engine.loop import READ, Loop
from rawlog.settings.backend import Listen
from rawlog.taps.admission import TOO_MANY, Admission, Bounds
from rawlog.taps.arrival import Arrival
from rawlog.taps.conversation import Conversation, Service
from rawlog.taps.dialects import dialect_for
from rawlog.taps.ends import Ends, ends_of
from rawlog.taps.listener import bind, close, port_of
from rawlog.taps.refusals import Refusals

CONVERSATIONS_LIMIT = 4000  # security.md 6.2
ACCEPTS_AT_ONCE = 16  # connections taken before others get their turn
REST = 0.2  # seconds without accepting when descriptors are used up
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_names = itertools.count(1)


class Gateway:
    """One backend, any number of listeners. ``admission``: the limits for its clients; without, there are none."""

    def __init__(self, loop: Loop, service: Service, admission: Admission | None = None) -> None:
        self._loop = loop
        self._service = service
        self._admission = admission or Admission(loop, Bounds(), Refusals(loop, service.report))
        self._listeners: dict[socket.socket, Listen] = {}
        self._own: set[socket.socket] = set()
        self._haproxy: set[socket.socket] = set()
        self._arrivals: set[Arrival] = set()
        self._conversations: set[Conversation] = set()
        self._resting = False
        self._on_idle: Callable[[], None] | None = None

    def listen(self, where: Listen) -> Listen:
        """Begin to listen; gives where, with the port that the kernel chose for 0.

        Raises RawlogError when that is not possible.
        """
        sock = bind(where)
        self._own.add(sock)
        self.adopt(sock, where)
        return where if where.unix_path is not None else Listen(where.host, port_of(sock), tls=where.tls)

    def adopt(self, sock: socket.socket, where: Listen, *, haproxy: bool = False) -> None:
        """Accept on a listening socket that somebody else made; ``haproxy``: a PROXY header comes first."""
        self._listeners[sock] = where
        if haproxy:
            self._haproxy.add(sock)
        self._loop.register(sock.fileno(), partial(self._accept, sock), READ)

    def stop_listening(self) -> None:
        """Take no more connections; those that are there go on."""
        for sock, where in self._listeners.items():
            if not self._resting:
                self._loop.unregister(sock.fileno())
            if sock in self._own:
                close(sock, where)
            else:
                sock.close()
        self._listeners.clear()

    def drain(self, on_idle: Callable[[], None]) -> None:
        """Take no more connections, and call ``on_idle`` when the last conversation has ended."""
        self.stop_listening()
        self._on_idle = on_idle
        self._ended(None)

    def abort(self, reason: str) -> None:
        """End all conversations now."""
        for arrival in self._arrivals:
            arrival.cancel()
            arrival.sock.close()
        self._arrivals.clear()
        self._ended(None)
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
            if len(self._conversations) + len(self._arrivals) >= CONVERSATIONS_LIMIT:
                sentence = f"more than {CONVERSATIONS_LIMIT} conversations; a connection is refused"
                self._admission.refusals.tell("conversations", sentence)
                self._turn_away(sock, self._listeners[listener], "There are too many connections at the moment")
            elif listener in self._haproxy:
                self._await_header(sock, self._listeners[listener])
            else:
                self._start(sock, self._listeners[listener], ends_of(sock))

    def _await_header(self, sock: socket.socket, where: Listen) -> None:
        service = self._service
        arrived = partial(self._arrived, where)
        self._arrivals.add(Arrival(self._loop, sock, service.proxies, service.proxy_timeout, arrived))

    def _arrived(self, where: Listen, arrival: Arrival, ends: Ends | None, refusal: str) -> None:
        if ends is not None:
            self._start(arrival.sock, where, ends)
        else:
            arrival.sock.close()
            if refusal:
                self._service.report(refusal)
        self._arrivals.discard(arrival)
        self._ended(None)

    def _turn_away(self, sock: socket.socket, where: Listen, reason: str) -> None:
        """Close it, with a word where that costs nothing. Nobody waits for a client that does not take it."""
        with contextlib.suppress(OSError):
            if not where.tls:
                sock.setblocking(False)
                sock.send(dialect_for(self._service.protocol).refusal(reason))
        sock.close()

    def _start(self, sock: socket.socket, where: Listen, ends: Ends) -> None:
        guest = self._admission.enter(ends)
        if guest is None:
            self._turn_away(sock, where, TOO_MANY)
            return
        name = f"{os.getpid()}-{next(_names)}"
        try:
            conversation = Conversation(
                self._loop,
                self._service,
                sock,
                name=name,
                implicit_tls=where.tls,
                on_end=self._ended,
                ends=ends,
                guest=guest,
            )
        except OSError as error:  # the peer is gone already, or descriptors are used up
            self._service.report(f"{name}: the connection can't be used: {error}")
            guest.leave()
            sock.close()
            return
        self._conversations.add(conversation)

    def _ended(self, conversation: Conversation | None) -> None:
        if conversation is not None:
            self._conversations.discard(conversation)
        if self._on_idle is not None and not (self._conversations or self._arrivals):
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
