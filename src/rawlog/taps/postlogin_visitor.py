"""One connection to the post-login socket: receives a message with descriptors, sends an answer with one.

Knows: SCM_RIGHTS, SO_PEERCRED, limits and the deadline. Must not know: what the message says. Nothing here waits: a
mail process that is slow, or a stranger who says nothing, costs the others no time.
"""

from __future__ import annotations

import _socket
import contextlib
import os
import struct
from _socket import MSG_DONTWAIT, SOL_SOCKET, SocketType
from collections.abc import Callable
from typing import NamedTuple

from rawlog.engine.loop import READ, WRITE, Loop, Timer
from rawlog.recorder.descriptors import receive, send
from rawlog.taps.postlogin_request import LIMIT, is_complete

DEADLINE = 10.0
"""Seconds for a whole message, and for taking the answer; a mail process does each at once. Dovecot's own limit is
the same."""
FDS_LIMIT = 4
"""Descriptors with one message: the client; from a drop-in also its socket and two files."""
_STEP = 8192
_PEERCRED: int | None = getattr(_socket, "SO_PEERCRED", None)
_PEER = struct.Struct("3i")


class Peer(NamedTuple):
    """Who connected, as the kernel says. ``uid`` is None where it does not."""

    pid: int
    uid: int | None


class Visitor:
    """Receives one message, once ``look`` is called; ``on_message(visitor)`` tells that it is whole: see ``data`` and
    ``fds``.

    ``on_gone(visitor)`` is called once when the connection is over, whether it was answered or not. Descriptors that
    are still in ``fds`` then have been closed; who wants to keep some takes them out. ``open`` is False then.
    """

    # fmt: off
    __slots__ = (
        "_loop", "_mask", "_on_confirmed", "_on_gone", "_on_message", "_on_sent", "_rest", "_sock", "_timer", "_with",
        "cut", "data", "fds", "open", "peer",
    )
    # fmt: on

    def __init__(
        self,
        loop: Loop,
        sock: SocketType,
        *,
        on_message: Callable[[Visitor], None],
        on_gone: Callable[[Visitor], None],
    ) -> None:
        self.peer = peer_of(sock)
        self.data = b""
        self.fds: list[int] = []
        self.cut = False  # descriptors were lost on the way: too many, or no room for them
        self._loop = loop
        self._sock = sock
        self._on_message = on_message
        self._on_gone = on_gone
        self._on_sent: Callable[[bool], None] | None = None
        self._on_confirmed: Callable[[bool], None] | None = None
        self._rest = b""
        self._with: int | None = None
        self.open = True
        self._timer: Timer | None = None
        self._mask = 0

    def look(self) -> None:
        """The message may be here already: most come with the connection, and nothing has to be waited for."""
        self._receive()

    def _wait_for(self, events: int) -> None:
        """From the first event that is waited for the time runs; with 0 nothing is waited for any more.

        Then the socket leaves the loop, which would report its end over and over.
        """
        if events == self._mask:
            return
        fd = self._sock.fileno()
        if not events:
            self._loop.unregister(fd)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._mask:
            self._loop.modify(fd, events)
        else:
            self._loop.register(fd, self._ready, events)
            self._timer = self._loop.call_later(DEADLINE, self.close)
        self._mask = events

    # -- the message --------------------------------------------------------------------------------------------------

    def _ready(self, events: int) -> None:
        if self._on_sent is not None:
            self._send()
        elif self._on_confirmed is not None:
            self._confirmed()
        else:
            self._receive()

    def _receive(self) -> None:
        try:
            data, fds, cut = receive(self._sock, _STEP, FDS_LIMIT, MSG_DONTWAIT)
        except BlockingIOError:
            self._wait_for(READ)
            return
        except OSError:
            self.close()
            return
        self.fds += fds
        self.data += data
        self.cut = self.cut or cut
        if is_complete(self.data):
            if self._mask:
                self._wait_for(0)
            self._on_message(self)
        elif not data or len(self.data) > LIMIT or len(self.fds) > FDS_LIMIT:
            self.close()
        else:
            self._wait_for(READ)

    # -- the answer ---------------------------------------------------------------------------------------------------

    def answer(self, data: bytes, fd: int | None, on_sent: Callable[[bool], None]) -> None:
        """Sends ``data``, with ``fd`` unless it is None; then calls ``on_sent(whether all of it went)``."""
        self._rest, self._with, self._on_sent = data, fd, on_sent
        self._send()

    def _send(self) -> None:
        try:
            if self._with is None:
                sent = self._sock.send(self._rest, MSG_DONTWAIT)
            else:
                sent = send(self._sock, self._rest, (self._with,), MSG_DONTWAIT)
        except BlockingIOError:
            self._wait_for(WRITE)
            return
        except OSError:
            self._sent(False)
            return
        self._with = None
        self._rest = self._rest[sent:]
        if self._rest:
            self._wait_for(WRITE)
        else:
            self._sent(True)

    def _sent(self, done: bool) -> None:
        if self._mask:
            self._wait_for(0)
        on_sent, self._on_sent = self._on_sent, None
        if on_sent is not None:
            on_sent(done)

    def confirm(self, on_confirmed: Callable[[bool], None]) -> None:
        """Waits for one byte more: the other side has seen the answer."""
        self._on_confirmed = on_confirmed
        self._wait_for(READ)

    def _confirmed(self) -> None:
        try:
            seen = self._sock.recv(1, MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            seen = b""
        self._tell_confirmed(seen == b"+")

    def _tell_confirmed(self, seen: bool) -> None:
        on_confirmed, self._on_confirmed = self._on_confirmed, None
        if on_confirmed is not None:
            on_confirmed(seen)

    # -- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End it; nothing happens the second time."""
        if not self.open:
            return
        self.open = False
        if self._mask:
            self._wait_for(0)
        self._sock.close()
        for fd in self.fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        self.fds.clear()
        if self._on_sent is not None:
            self._sent(False)
        if self._on_confirmed is not None:
            self._tell_confirmed(False)
        self._on_gone(self)


def peer_of(sock: SocketType) -> Peer:
    """Process and user at the other end (SO_PEERCRED); pid 0 and uid None where the system does not say."""
    if _PEERCRED is None:
        return Peer(0, None)
    pid, uid, _ = _PEER.unpack(sock.getsockopt(SOL_SOCKET, _PEERCRED, _PEER.size))
    return Peer(pid, uid)
