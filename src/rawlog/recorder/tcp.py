"""``rawlog_dir = tcp:HOST:PORT``: the recording of a conversation goes to a collector, one connection for each.

Knows: one connection to a collector, how to get it back when it is lost, and which bytes have arrived. Must not know:
formats, beyond that a recording is made of lines; conversations. In Dovecot a collector that does not read stops the
mail session; here nothing ever waits for it: what it does not take at once is kept, bounded, and what does not fit is
refused, which the recorder counts and marks as a gap.

What has been sent is kept until the collector's machine has acknowledged it. When the connection is lost, the next one
begins with the first line that had not arrived as a whole; so a collector that is restarted misses nothing but what it
had received and not read, and never sees half a line at the start of a connection.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Callable, Sequence

from rawlog.engine.connect import Connecting, Endpoint, connect
from rawlog.engine.loop import READ, WRITE, Loop, Timer
from rawlog.engine.sentences import LegError, os_sentence
from rawlog.recorder.sinks import Piece

LIMIT = 256 << 10
"""Bytes kept for a collector that is slow or away: the largest read, and minutes of a usual conversation. With 4000
conversations and a collector that is down this is 1 GiB."""
LONG_LINE = LIMIT // 2
"""A line of which so much has arrived is not kept any more: it could fill all there is."""
FIRST_RETRY = 0.5
LAST_RETRY = 30.0
"""Seconds from a lost connection to the next try, doubled each time: as for every failing sink."""
CLOSE_LIMIT = 5.0
"""Seconds in which what is left must arrive when the conversation is over."""
_CLOSE_POLL = 0.05
"""Seconds between two looks at whether it has; nothing announces that."""
LOOK = 1.0
"""Seconds from a write to a look at whether it has arrived, so that it need not be kept."""
_DRAIN = 64 << 10


class TcpSink:
    """A sink for one recording. ``written`` counts the bytes taken over; they are sent while the loop runs.

    ``ends`` are the collector's addresses (see :func:`rawlog.engine.connect.resolve`), ``name`` is what messages call
    it: ``tcp:HOST:PORT``. ``report`` gets a sentence when the collector can't be reached or is lost, once until it is
    back, and when bytes did not arrive. ``on_closed`` is called when nothing is left to do after :meth:`close`.
    """

    def __init__(
        self,
        loop: Loop,
        ends: Sequence[Endpoint],
        name: str,
        *,
        report: Callable[[str], None],
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.written = 0
        self.missed = 0  # bytes taken over that will not arrive
        self._loop = loop
        self._ends = ends
        self._report = report
        self._on_closed = on_closed
        self._data = bytearray()  # not known to have arrived, from the beginning of a line on
        self._sent = 0  # so many of them were given to the kernel
        self._inside = False  # the data begin in the middle of a line, a long one
        self._skipping = False  # the rest of that line must not be sent: its beginning went to another connection
        self._sock: socket.socket | None = None
        self._mask = 0
        self._ended = False  # the collector sends nothing more
        self._connecting: Connecting | None = None
        self._retry: Timer | None = None
        self._look: Timer | None = None
        self._delay = FIRST_RETRY
        self._down = ""  # why there is no connection, once that was reported
        self._deadline: float | None = None  # closing: until then
        self._closed = False
        self._connect()

    # -- what a recorder calls ----------------------------------------------------------------------------------------

    def write(self, *pieces: Piece) -> None:
        """Takes the bytes over; returns at once. BlockingIOError when they do not all fit, OSError after close."""
        if self._closed or self._deadline is not None:
            raise OSError(errno.EBADF, "the recording is closed")
        rest = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        while rest:
            taken = self._take(rest)
            rest = rest[taken:]
            self._send()
            if rest and not taken:
                why = "there is no connection to the collector" if self._down else "the collector does not keep up"
                raise BlockingIOError(errno.EAGAIN, why)

    def close(self) -> None:
        """Nothing follows. What is left is sent meanwhile, for at most ``CLOSE_LIMIT`` seconds."""
        if not self._closed and self._deadline is None:
            self._deadline = self._loop.monotonic() + CLOSE_LIMIT
            self._finish()

    # -- the data -----------------------------------------------------------------------------------------------------

    def _take(self, rest: memoryview) -> int:
        """Take what there is room for: whole lines, if it is not a single one; gives how many bytes."""
        if len(self._data) + len(rest) > LIMIT:
            self._forget_arrived()
        part = rest[: LIMIT - len(self._data)]
        if len(part) < len(rest):
            whole = bytes(part).rfind(b"\n") + 1
            if whole or b"\n" in self._data:
                part = part[:whole]
        self._data += part
        self.written += len(part)
        return len(part)

    def _arrived(self) -> int:
        """How many of the data the collector's machine has."""
        return 0 if self._sock is None else self._sent - unacknowledged(self._sock)

    def _forget_arrived(self) -> None:
        """Drop the lines that have arrived, and look again later when that is not all that was sent."""
        arrived = self._arrived()
        if arrived < self._sent and self._look is None and self._deadline is None:
            self._look = self._loop.call_later(LOOK, self._looked)
        if arrived <= 0:
            return
        self._is_up()
        cut = self._data.rfind(b"\n", 0, arrived) + 1
        if cut:
            self._inside = False
        elif self._inside or arrived > LONG_LINE:
            cut, self._inside = arrived, True
        del self._data[:cut]
        self._sent -= cut

    def _looked(self) -> None:
        self._look = None
        self._forget_arrived()

    def _skip_line(self) -> None:
        """Drop the rest of a line whose beginning went to a connection that is lost."""
        end = self._data.find(b"\n") + 1
        self._skipping = self._inside = not end
        dropped = end or len(self._data)
        self.missed += dropped
        del self._data[:dropped]

    def _send(self) -> None:
        """Give the kernel what it takes."""
        if self._sock is None:
            return
        if self._skipping:
            self._skip_line()
        try:
            while self._sent < len(self._data):
                with memoryview(self._data) as view:
                    self._sent += self._sock.send(view[self._sent :])
        except BlockingIOError:
            pass
        except OSError as error:
            self._lose(error)
            return
        self._forget_arrived()
        self._watch()

    # -- the connection -----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._retry = None
        self._connecting = connect(self._loop, self._ends, on_done=self._connected, name="collector")

    def _connected(self, sock: socket.socket | None, error: LegError | None) -> None:
        self._connecting = None
        if sock is None:
            self._is_down(str(error))
            return
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a collector that vanished is noticed some day
        self._sock = sock
        self._mask, self._ended = READ, False
        self._loop.register(sock.fileno(), self._ready, READ)
        self._send()

    def _watch(self) -> None:
        """Wait for room where something is left, and for an end."""
        mask = (0 if self._ended else READ) | (WRITE if self._sent < len(self._data) else 0)
        if self._sock is not None and mask != self._mask:
            self._loop.modify(self._sock.fileno(), mask)
            self._mask = mask

    def _ready(self, events: int) -> None:
        if self._sock is not None and events & ~WRITE:
            self._read(self._sock)
        if self._sock is not None and events & WRITE:
            self._send()

    def _read(self, sock: socket.socket) -> None:
        """A collector has nothing to say; but unread bytes would make our close a reset.

        An end is not the end of the connection: a collector may close the direction it does not use.
        """
        try:
            if self._ended:
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.ECONNRESET
                raise OSError(code, os.strerror(code))
            self._ended = not sock.recv(_DRAIN)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        self._watch()

    def _lose(self, error: OSError) -> None:
        """The connection is lost: what has not arrived goes over the next one, in whole lines."""
        self._forget_arrived()
        self._drop()
        self._sent = 0
        self._skipping = self._inside
        self._is_down(f"collector {os_sentence(error)}")

    def _drop(self) -> None:
        if self._sock is not None:
            self._loop.unregister(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _is_down(self, why: str) -> None:
        if not self._down:
            self._report(f"{self.name}: {why}; up to {LIMIT} bytes of the recording wait, and it is tried again")
        self._down = why
        self._retry = self._loop.call_later(self._delay, self._connect)
        self._delay = min(self._delay * 2, LAST_RETRY)

    def _is_up(self) -> None:
        """Something has arrived; a connection alone would prove nothing."""
        self._delay = FIRST_RETRY
        if self._down:
            self._report(f"{self.name}: the collector takes recordings again")
            self._down = ""

    # -- the end ------------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Closing: look whether all has arrived, and again in a moment."""
        assert self._deadline is not None
        left = len(self._data) - self._arrived()
        if not left or self._loop.monotonic() >= self._deadline:
            self._end(left)
        else:
            self._loop.call_later(_CLOSE_POLL, self._finish)

    def _end(self, left: int) -> None:
        self.missed += left
        self._closed = True
        for pending in (self._connecting, self._retry, self._look):
            if pending is not None:
                pending.cancel()
        self._drop()
        self._data.clear()
        if self.missed:
            why = self._down or "it does not read"
            self._report(f"{self.name}: {self.missed} bytes of the recording did not arrive: {why}")
        if self._on_closed is not None:
            self._on_closed()


def unacknowledged(sock: socket.socket) -> int:
    """Bytes given to the kernel that the other machine has not acknowledged, also of a connection that was reset.

    0 where the system can't say.
    """
    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except OSError:
        return 0
    return int(struct.unpack("i", answer)[0])
