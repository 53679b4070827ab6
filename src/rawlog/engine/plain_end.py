"""One of two joined sockets: what is read here goes to the other, and what the other reads comes here.

Knows: readiness, the bytes that could not go out, how a socket is shut and closed. Must not know: when a conversation
is over; it tells the relay what it has met, and the relay decides. It is a file of its own because it is the road of
every byte behind a login: one read is one call here, one to receive, one to send, and one to the tap.
"""

from __future__ import annotations

import contextlib
from _socket import IPPROTO_TCP, SHUT_WR, TCP_NODELAY, SocketType
from typing import Protocol

from rawlog.engine.bounds import READ_AFTER_STALL, READ_FIRST
from rawlog.engine.closing import is_tcp, reset_on_close, unacked_tcp
from rawlog.engine.loop import HUP, READ, WRITE, Loop
from rawlog.events import Direction


class Joint(Protocol):
    """What joins two ends, as they see it. ``hard``: a side died; ``read_max``: the largest read, in bytes."""

    loop: Loop
    hard: bool

    @property
    def read_max(self) -> int: ...
    def show(self, direction: Direction, data: bytes) -> None:
        """Bytes that went on their way from the end where ``direction`` is read."""

    def end(self, end: End) -> None:
        """Nothing more comes from there."""

    def reset(self, end: End, error: OSError) -> None:
        """The connection died: nothing more in either direction."""

    def cut(self, end: End, error: OSError) -> None:
        """Nothing more can be sent there. What came before can still be read."""

    def stalled(self, end: End) -> None:
        """It does not take what is sent."""

    def emptied(self, end: End) -> None:
        """It has taken everything after all."""

    def failed(self, end: End, error: Exception) -> None:
        """A bug of ours was met there."""


class End:
    """One socket: what is read here goes to ``peer``, and what ``peer`` reads comes here.

    ``rest`` is what this socket has yet to take, None for nothing; while there is some, ``peer`` reads nothing.
    ``ended``: nothing more comes from here, ``reason`` says why; ``passed``: the peer was told. ``broken``: nothing
    more can be sent here, and why (``torn``: a reset was met); the peer is then ``dead``: what it says is read and
    dropped, so that it is neither blocked, nor reset by our close. ``shut``: all that was sent here went out, and the
    end of it too.
    """

    # fmt: off
    __slots__ = (
        "broken", "dead", "direction", "ended", "fd", "held", "lost", "mask", "moved", "name", "passed", "peer",
        "progress", "reason", "relay", "rest", "shut", "since", "size", "sock", "torn",
    )
    # fmt: on
    peer: End

    def __init__(self, relay: Joint, sock: SocketType, name: str, direction: Direction) -> None:
        sock.setblocking(False)
        self.relay = relay
        self.sock = sock
        self.fd = sock.fileno()
        self.name = name
        self.direction = direction
        self.mask = -1  # not in the loop
        self.size = READ_FIRST
        self.rest: memoryview | None = None
        self.ended = self.passed = self.dead = self.held = self.shut = self.torn = False
        self.reason = self.broken = ""
        self.moved = self.lost = 0  # bytes that were forwarded from here; that never went out here
        self.since = self.progress = 0.0  # when the rest began to wait, and when some of it last went
        if is_tcp(sock):
            with contextlib.suppress(OSError):  # a peer that is gone already; the first read tells
                sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)

    # -- bytes --------------------------------------------------------------------------------------------------------

    def ready(self, events: int) -> None:
        """The loop's call."""
        try:
            if events == READ:
                self.read()
            else:
                self.turn(events)
        except Exception as error:  # a bug of ours ends this conversation only
            self.relay.failed(self, error)

    def turn(self, events: int) -> None:
        """There is room, or something has happened."""
        if self.rest is not None:
            self.flush()
        if not events & ~WRITE:
            return
        if self.mask > 0 and self.mask & READ:
            self.read()
            if events & HUP and self.mask > 0 and self.mask & READ:
                self.read()  # the end, most often: nothing more can come
        elif self.mask == 0:
            self.deafen()

    def read(self) -> None:
        """Read once, forward what the peer takes now, then show it.

        While the other direction stands still, reads are small: together the two hold little more than one large read.
        """
        size = self.size if self.rest is None else min(self.size, READ_AFTER_STALL)
        try:
            data = self.sock.recv(size)
        except BlockingIOError:
            return
        except OSError as error:
            self.relay.reset(self, error)
            return
        got = len(data)
        if got * 8 < size:
            self.size = READ_FIRST
        elif got == size:
            self.size = min(size * 4, self.relay.read_max)
        if not got:
            self.relay.end(self)
        elif not self.dead:
            self.moved += got
            failed = self.peer.take(data, got)
            self.relay.show(self.direction, data)
            if failed is not None:
                self.relay.cut(self.peer, failed)

    def take(self, data: bytes, size: int) -> OSError | None:
        """Send it; what does not go now is the rest. Gives what sending failed with."""
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.lost += size
            return error
        if sent < size:
            self.rest = memoryview(data)[sent:]
            self.relay.stalled(self)
        return None

    def flush(self) -> None:
        """Send more of the rest."""
        assert self.rest is not None
        try:
            sent = self.sock.send(self.rest)
        except BlockingIOError:
            return
        except OSError as error:
            self.drop()
            self.relay.cut(self, error)
            return
        self.rest = self.rest[sent:]
        if self.rest:
            self.progress = self.relay.loop.monotonic()
        else:
            self.rest = None
            self.relay.emptied(self)

    def drop(self) -> None:
        """Give up the rest."""
        if self.rest is not None:
            self.lost += len(self.rest)
            self.rest = None

    # -- readiness ----------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Wait for what is wanted now."""
        reading = not self.ended and (self.dead or not (self.held or self.peer.rest))
        mask = (READ if reading else 0) | (WRITE if self.rest else 0)
        if mask == self.mask or (not mask and self.mask < 0):
            return
        if not mask and self.ended:
            self.deafen()
        elif self.mask < 0:
            self.relay.loop.register(self.fd, self.ready, mask)
            self.mask = mask
        else:
            self.relay.loop.modify(self.fd, mask)
            self.mask = mask

    def deafen(self) -> None:
        """Leave the loop until something is wanted: it would report ERR or HUP for ever."""
        if self.mask >= 0:
            self.relay.loop.unregister(self.fd)
            self.mask = -1

    # -- ends ---------------------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether nothing of what is said here will be forwarded any more."""
        return self.dead or (self.passed and self.peer.shut)

    @property
    def queued(self) -> int:
        """Bytes that it has yet to take."""
        return len(self.rest) if self.rest else 0

    @property
    def undelivered(self) -> int:
        """Bytes, the last of those for here, that the kernel has not taken."""
        return self.lost + self.queued

    def unacked(self) -> int:
        """Bytes the kernel has accepted and the peer's kernel has not, where a close could lose them."""
        return 0 if self.broken or not is_tcp(self.sock) else unacked_tcp(self.sock)

    def shutdown_write(self) -> None:
        """Say that nothing more comes, once all has gone."""
        if self.rest or self.shut:
            return
        self.shut = True
        try:
            self.sock.shutdown(SHUT_WR)
        except OSError:  # not connected any more: reading tells
            return

    def discard(self) -> None:
        """Forward nothing more: read and drop, so that it comes to its end."""
        self.dead = True
        self.watch()

    def abort(self) -> None:
        """Close it with a reset, so that who is there does not take what it has for the whole."""
        with contextlib.suppress(OSError):
            reset_on_close(self.sock)
        self.close()

    def close(self) -> None:
        """Close it; the kernel goes on sending what it has accepted. Nothing happens the second time."""
        if self.mask >= 0:
            self.deafen()
        self.drop()
        self.dead = True
        self.sock.close()

    def forget(self) -> None:
        """Break the circle with the peer and the relay; the collector may be off."""
        del self.peer, self.relay
