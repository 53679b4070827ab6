"""One socket in the loop: raw bytes in, in pieces of fitting size, and raw bytes out through an outbox.

Knows: readiness, how much to read at once, how a socket is closed or reset. Must not know: TLS, directions, the other
leg. It is apart from :mod:`rawlog.engine.leg`, which builds on it, because readiness has traps of its own: a paused
socket still reports ERR and HUP, for ever, unless it leaves the poller.
"""

from __future__ import annotations

import _socket
import contextlib

from rawlog.engine.bounds import READ_AFTER_STALL, READ_FIRST, READ_MAX
from rawlog.engine.closing import is_tcp, reset_on_close, unacked_tcp
from rawlog.engine.loop import HUP, READ, WRITE, Loop
from rawlog.engine.outbox import Outbox


class Wire:
    """A stream socket and its events. What they mean is said by the methods at the end, which :class:`Leg` fills in.

    ``reading``: its owner wants what comes. ``ended``: nothing more comes. ``hard``: the connection died. ``progress``
    is the monotonic time when the outbox last moved, or began to fill. ``read_max`` is the largest read, in bytes.
    """

    # fmt: off
    __slots__ = (
        "_fd", "_loop", "_mask", "_out", "_recv", "_size", "_sock", "_tcp", "_urgent", "closed", "ended", "hard",
        "progress", "read_max", "reading",
    )
    # fmt: on

    def __init__(self, loop: Loop, sock: _socket.socket) -> None:
        sock.setblocking(False)
        self._tcp = is_tcp(sock)
        if self._tcp:
            with contextlib.suppress(OSError):  # a peer that is gone already; the first read tells
                sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self.reading = self.ended = self.hard = self.closed = False
        self.progress = 0.0
        self.read_max = READ_MAX
        self._urgent = False
        self._loop = loop
        self._sock = sock
        self._fd = sock.fileno()
        self._recv = sock.recv
        self._out = Outbox(sock.send)
        self._size = READ_FIRST
        self._mask = -1

    # -- readiness ----------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Hand over what comes, from now on."""
        self.reading = not self.closed
        self._watch()

    def pause(self) -> None:
        """Read no more; the peer is slowed down by its full window. A handshake goes on."""
        self.reading = False
        self._watch()

    def shrink(self) -> None:
        """Read in small pieces for a while, after the other leg stood still."""
        self._size = min(self._size, READ_AFTER_STALL)

    def _watch(self) -> None:
        """Wait for what is wanted now. The mask is -1 while the descriptor is not registered."""
        if self.closed:
            return
        reading = (self.reading or self._urgent) and not self.ended
        mask = (READ if reading else 0) | (WRITE if self._out.queued else 0)
        if mask == self._mask or (not mask and self._mask < 0):
            return
        if not mask and self.ended:
            self._deafen()
            return
        if self._mask < 0:
            self._loop.register(self._fd, self._ready, mask)
        else:
            self._loop.modify(self._fd, mask)
        self._mask = mask

    def _deafen(self) -> None:
        """Leave the poller until something is wanted: it would report ERR or HUP for ever."""
        if self._mask >= 0:
            self._loop.unregister(self._fd)
            self._mask = -1

    def _ready(self, events: int) -> None:
        try:
            if events == READ:
                self._read()
                return
            if self._out.queued:
                self._flush()
            if events & ~WRITE and not self.closed:
                if self._mask > 0 and self._mask & READ:
                    self._read()
                    if events & HUP and self._mask > 0 and self._mask & READ:
                        self._read()  # the end, most often: nothing more can come
                elif self._mask == 0:
                    self._deafen()
        except Exception as error:
            self._on_bug(error)

    # -- bytes --------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        size = self._size
        try:
            raw = self._recv(size)
        except BlockingIOError:
            return
        except OSError as error:
            self.hard = True
            self._on_reset(error)
            return
        got = len(raw)
        if got == size:
            self._size = min(size * 4, self.read_max)
        elif got * 8 < size:
            self._size = READ_FIRST
        if got:
            self._on_raw(raw)
        else:
            self._on_raw_end()

    def _send(self, raw: bytes, plain: int) -> None:
        """Send or queue ``raw``, which carries ``plain`` bytes of the conversation."""
        if not self._out.send(raw, plain):
            self._kept()

    def _kept(self) -> None:
        """Not all went: wait for room, or tell of the error."""
        if self._out.error is not None:
            self._loop.call_soon(self._report_send_error)  # not now: the writer is in the middle of something
        else:
            self.progress = self._loop.monotonic()
            self._watch()

    def _flush(self) -> None:
        if self._out.flush():
            self.progress = self._loop.monotonic()
        if self._out.error is not None:
            self._report_send_error()
        elif not self._out.queued:
            self._on_emptied()

    def _report_send_error(self) -> None:
        if self._out.error is not None and not self.closed:
            self._watch()
            self._on_send_error(self._out.error)

    def unacked(self) -> int:
        """Raw bytes the kernel has accepted and the peer's kernel has not.

        0 where they can't get lost by a close (unix sockets), can't get there any more, or the system can't say.
        """
        if self.hard or self.closed or self._out.error is not None or not self._tcp:
            return 0
        return unacked_tcp(self._sock)

    # -- ends ---------------------------------------------------------------------------------------------------------

    def _shut_socket(self) -> None:
        with contextlib.suppress(OSError):  # not connected any more: reading tells
            self._sock.shutdown(_socket.SHUT_WR)

    def abort(self) -> None:
        """Close with a reset, so that the peer does not take what it has for the whole."""
        if not self.closed:
            with contextlib.suppress(OSError):
                reset_on_close(self._sock)
            self.close()

    def close(self) -> None:
        """Close; the kernel goes on sending what it has accepted."""
        if not self.closed:
            self._deafen()
            self.closed = True
            self.reading = False
            self._out.close()
            self._sock.close()

    # -- what a leg makes of it ---------------------------------------------------------------------------------------

    def _on_raw(self, raw: bytes) -> None:
        """Raw bytes came."""
        raise NotImplementedError

    def _on_raw_end(self) -> None:
        """The peer's direction ended."""
        raise NotImplementedError

    def _on_reset(self, error: OSError) -> None:
        """The connection died: nothing more in either direction."""
        raise NotImplementedError

    def _on_send_error(self, error: OSError) -> None:
        """Nothing more can be sent. What came before can still be read. May be called more than once."""
        raise NotImplementedError

    def _on_emptied(self) -> None:
        """The outbox is empty again."""
        raise NotImplementedError

    def _on_bug(self, error: Exception) -> None:
        """One of the calls above raised."""
        raise NotImplementedError
