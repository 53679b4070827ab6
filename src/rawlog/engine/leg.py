"""One end of a conversation: a plain byte stream over a socket, in which TLS may begin at any moment.

Knows: one socket, its outbox, its tunnel, and how it ends: half-closed, reset, cut off. Must not know: the other leg,
what the bytes mean, who records. It is a thing of its own so that everything above sees plain bytes only, whether the
wire is TLS or not, and so that each leg's bytes can be tapped in the clear in one place.

A leg never reads ahead: what it has read was handed over, and after ``start_tls`` every byte from the socket goes to
the TLS layer. An idle leg holds no buffer.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Callable

from rawlog.engine.handshake import Handshake
from rawlog.engine.loop import READ, WRITE, Loop
from rawlog.engine.outbox import Outbox
from rawlog.engine.sentences import LegError, os_sentence
from rawlog.engine.tunnel import TlsInfo, TlsTunnel
from rawlog.events import Direction

__all__ = ["READ_MAX", "Leg", "LegError", "Tap", "TlsInfo"]

Tap = Callable[[int, Direction, bytes], None]
"""Called with (microseconds since the epoch, IN or OUT as seen on this leg, plain bytes)."""

READ_FIRST = 4096
"""Bytes of the first read, and of reads on a quiet leg: room for most commands and answers."""
READ_AFTER_STALL = 16384
"""Bytes per read after the other leg stood still: a slow reader shall not pin large buffers."""
READ_MAX = 131072
"""Largest read: larger ones cost page faults, unless malloc was told to keep its memory (then 256 KiB is better)."""
HANDSHAKE_TIMEOUT = 10.0
"""Seconds for a TLS handshake: several round trips of a bad mobile network, little enough against slow floods."""


def _nothing(*_: object) -> None:
    """What a leg calls when nobody listens."""


class Leg:
    """One end of a conversation over ``sock``, a connected (or connecting) stream socket that the leg now owns.

    Its owner sets ``on_data(plain)``, ``on_drained()`` (``queued`` is 0 again) and ``on_change()`` (look at ``ended``,
    ``broken``, ``shut``), then calls :meth:`resume`. ``name`` begins every sentence about the leg: ``client``.

    ``ended``: nothing more comes, ``end_reason`` says why. ``truncated``: it ended without close_notify. ``broken``:
    nothing more can be sent, and why. ``hard``: the connection died, which is passed on as a reset. ``shut``: what was
    written went out, and the end of it too. ``progress`` is the monotonic time when the outbox last moved.
    """

    # fmt: off
    __slots__ = (
        "_cut", "_fd", "_handshake", "_loop", "_mask", "_on_tls", "_out", "_recv", "_shut_wanted", "_size", "_sock",
        "_tunnel", "broken", "closed", "end_reason", "ended", "hard", "name", "on_change", "on_data", "on_drained",
        "progress", "read_max", "reading", "shut", "tap", "tls", "truncated",
    )
    # fmt: on

    def __init__(self, loop: Loop, sock: socket.socket, name: str) -> None:
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):  # a peer that is gone already; the first read tells
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.name = name
        self.tap: Tap | None = None
        self.tls: TlsInfo | None = None
        self.on_data: Callable[[bytes], None] = _nothing
        self.on_drained: Callable[[], None] = _nothing
        self.on_change: Callable[[], None] = _nothing
        self.reading = self.ended = self.truncated = self.hard = self.shut = self.closed = False
        self.end_reason = ""
        self.broken: str | None = None
        self.progress = 0.0
        self.read_max = READ_MAX
        self._loop = loop
        self._sock = sock
        self._fd = sock.fileno()
        self._recv = sock.recv
        self._out = Outbox(sock.send)
        self._size = READ_FIRST
        self._mask = -1
        self._tunnel: TlsTunnel | None = None
        self._handshake: Handshake | None = None
        self._on_tls: Callable[[LegError | None], None] = _nothing
        self._shut_wanted = self._cut = False

    @property
    def queued(self) -> int:
        """Raw bytes not yet accepted by the kernel, and plain ones that wait for the end of the handshake."""
        shake = self._handshake
        return self._out.queued if shake is None else self._out.queued + shake.early_size

    @property
    def undelivered(self) -> int:
        """Plain bytes written to this leg, the last ones, that the kernel has not accepted. Stays valid after close."""
        shake = self._handshake
        return self._out.undelivered if shake is None else self._out.undelivered + shake.early_size

    def unacked(self) -> int:
        """Raw bytes the kernel has accepted and the peer's kernel has not.

        0 where they can't get lost by a close (unix sockets), can't get there any more, or the system can't say.
        """
        if self.hard or self.closed or self._out.error is not None or self._sock.family == socket.AF_UNIX:
            return 0
        try:
            answer = fcntl.ioctl(self._fd, termios.TIOCOUTQ, b"\0\0\0\0")
        except (OSError, ValueError):
            return 0
        return int(struct.unpack("i", answer)[0])

    # -- readiness ----------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Hand over what comes, from now on."""
        if self.reading or self.closed:
            return
        self.reading = True
        tunnel = self._tunnel
        if tunnel is not None and tunnel.pending:
            self._loop.call_soon(self._read_pending)
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
        reading = not self.ended and (self.reading or self._handshake is not None)
        mask = (READ if reading else 0) | (WRITE if self._out.queued else 0)
        if mask == self._mask or (not mask and self._mask < 0):
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
            if events & ~READ and self._out.queued:
                self._flush()
            if events & ~WRITE and not self.closed:
                if self._mask > 0 and self._mask & READ:
                    self._read()
                elif self._mask == 0:
                    self._deafen()
        except Exception as error:
            self._internal(error)

    def _internal(self, error: Exception) -> None:
        """A bug of ours ends this conversation only."""
        self._loop.on_error(error)
        self._fail(f"{self.name}: internal error; please report it with what the log says")

    # -- reading ------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        size = self._size
        try:
            raw = self._recv(size)
        except BlockingIOError:
            return
        except OSError as error:
            self._reset(error)
            return
        got = len(raw)
        if got == size:
            self._size = min(size * 4, self.read_max)
        elif got * 8 < size:
            self._size = READ_FIRST
        if not got:
            self._raw_end()
        elif self._handshake is not None:
            self._handshake.feed(raw)
        elif self._tunnel is not None:
            self._deliver(self._tunnel, self._tunnel.feed(raw))
        else:
            self.on_data(raw)

    def _read_pending(self) -> None:
        """What was decrypted, or could be, while nobody wanted to read: the socket is silent about it."""
        if self._tunnel is None or not self.reading or self.ended:
            return
        try:
            self._deliver(self._tunnel, self._tunnel.feed(b""))
        except Exception as error:
            self._internal(error)

    def _deliver(self, tunnel: TlsTunnel, data: bytes) -> None:
        raw = tunnel.take()
        if raw:  # an answer of the TLS layer itself: a key update, an alert
            self._send(raw, 0)
        if data:
            self.on_data(data)
        if self.closed or self.ended:
            return
        if tunnel.failure is not None:
            self.hard = True
            self._fail(f"{self.name}: {tunnel.failure}")
        elif tunnel.ended:
            self._end(f"{self.name} closed")

    def _raw_end(self) -> None:
        if self._handshake is not None:
            self._handshake.feed_eof()
            return
        tunnel = self._tunnel
        if tunnel is None:
            self._end(f"{self.name} closed")
            return
        if tunnel.pending:
            self._deliver(tunnel, tunnel.feed(b""))
        tunnel.feed_eof()
        self.truncated = tunnel.truncated
        self._end(f"{self.name} closed without a TLS close_notify")

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send ``data``, or queue what can't be sent. Who writes much stops while ``queued`` is not 0."""
        if self._handshake is not None:
            self._handshake.hold(data)
            self.progress = self._loop.monotonic()
        elif self._tunnel is not None:
            self._write_tls(self._tunnel, data)
        elif not self._out.send(data, len(data)):
            self._stalled()
        tap = self.tap
        if tap is not None:
            self.tapped(tap, Direction.OUT, data)

    def tapped(self, tap: Tap, direction: Direction, data: bytes) -> None:
        """Show ``data`` to the tap. A tap that fails is reported and taken off; the conversation goes on."""
        try:
            tap(self._loop.now(), direction, data)
        except Exception as error:
            self.tap = None
            self._loop.on_error(error)

    def _write_tls(self, tunnel: TlsTunnel, data: bytes) -> None:
        self._send(tunnel.write(data), len(data))
        if tunnel.failure is not None:
            self._loop.call_soon(self._report_broken)

    def _send(self, raw: bytes, plain: int) -> None:
        if not self._out.send(raw, plain):
            self._stalled()

    def _stalled(self) -> None:
        if self._out.error is not None:
            self._loop.call_soon(self._report_broken)  # not now: the writer is in the middle of something
            return
        self.progress = self._loop.monotonic()
        self._watch()

    def _report_broken(self) -> None:
        """What failed in the middle of a write, told when the writer is done."""
        tunnel = self._tunnel
        if self._out.error is not None:
            self._break(self._out.error)
        elif tunnel is not None and tunnel.failure is not None:
            self.hard = True
            self._fail(f"{self.name}: {tunnel.failure}")

    def _flush(self) -> None:
        if self._out.flush():
            self.progress = self._loop.monotonic()
        if self._out.error is not None:
            self._break(self._out.error)
        elif not self._out.queued:
            self._emptied()

    def _emptied(self) -> None:
        self._try_shut()
        self._watch()
        if not self.queued:
            self.on_drained()

    def shutdown_write(self, *, cut: bool = False) -> None:
        """Say that nothing more comes, after what is queued: close_notify on TLS, SHUT_WR on plain legs.

        ``cut`` passes on a stream that was cut off: SHUT_WR without close_notify. Reading goes on. ``shut`` is True
        when it is done.
        """
        if not self._shut_wanted:
            self._shut_wanted = True
            self._cut = cut
            self._try_shut()

    def _try_shut(self) -> None:
        tunnel = self._tunnel
        if not self._shut_wanted or self.shut or self.closed or self._out.queued or self._handshake is not None:
            return
        if tunnel is not None and not self._cut:
            raw = tunnel.close()
            if raw and not self._out.send(raw, 0):
                self._stalled()
                return
        else:
            with contextlib.suppress(OSError):  # not connected any more: reading tells
                self._sock.shutdown(socket.SHUT_WR)
        self.shut = True
        self.on_change()

    # -- TLS ----------------------------------------------------------------------------------------------------------

    def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None,
        on_done: Callable[[LegError | None], None],
        early: bytes = b"",
        timeout: float = HANDSHAKE_TIMEOUT,
    ) -> None:
        """Begin TLS here: every later byte from the socket belongs to it.

        ``early`` are raw bytes read before that belong to TLS already, such as a ClientHello behind a PROXY header;
        never give it plain text that came before the upgrade. ``on_done`` is called once, never from inside this call,
        with None or with what failed; a leg closed meanwhile calls nothing. Bytes written meanwhile wait.
        Raises ValueError for a context that can't be used so (name checking without a name), RuntimeError in TLS.
        """
        if self._tunnel is not None:
            raise RuntimeError(f"{self.name}: TLS is active already")
        tunnel = TlsTunnel(context, server_side=server_side, server_hostname=server_hostname)
        self._on_tls = on_done
        self._size = READ_FIRST
        self._handshake = Handshake(self._loop, tunnel, self._send, self._handshake_over, first=early, timeout=timeout)
        self._watch()

    def _handshake_over(self, sentence: str | None) -> None:
        shake = self._handshake
        if self.closed or shake is None:
            return
        if sentence is not None:
            self._handshake_failed(sentence)
            return
        self._handshake = None
        self._tunnel = shake.tunnel
        self.tls = shake.tunnel.info
        for data in shake.early:
            self._write_tls(shake.tunnel, data)
        self._tls_done(None)
        if self.closed:
            return
        if self.reading and shake.tunnel.pending:
            self._read_pending()
        if not self._out.queued:
            self._emptied()
        self._watch()

    def _handshake_failed(self, sentence: str) -> None:
        text = f"{self.name}: {sentence}"
        self._tls_done(LegError(text))
        self._fail(text)

    def _tls_done(self, error: LegError | None) -> None:
        on_done = self._on_tls
        self._on_tls = _nothing
        try:
            on_done(error)
        except Exception as bug:
            self._internal(bug)

    # -- ends ---------------------------------------------------------------------------------------------------------

    def _end(self, reason: str) -> None:
        """Nothing more will be read."""
        if self.ended or self.closed:
            return
        self.ended = True
        self.end_reason = reason
        self._watch()
        self.on_change()

    def _break(self, error: OSError) -> None:
        """Nothing more can be sent. What the peer sent before can still be read."""
        if self.broken is not None or self.closed:
            return
        if error.errno == errno.ECONNRESET:
            self.hard = True
        self.broken = _os_reason(self.name, error)
        self._watch()
        self.on_change()

    def _reset(self, error: OSError) -> None:
        """The connection died under us: nothing more in either direction."""
        self.hard = True
        if self._handshake is not None:
            self._tls_done(LegError(f"{self.name}: {os_sentence(error)}"))
        self._fail(_os_reason(self.name, error))

    def _fail(self, reason: str) -> None:
        """Neither reading nor writing goes on."""
        if self.closed:
            return
        self._give_up_output()
        if self.broken is None:
            self.broken = reason
        if not self.ended:
            self.ended = True
            self.end_reason = reason
        self._watch()
        self.on_change()

    def _give_up_output(self) -> None:
        shake = self._handshake
        if shake is not None:
            self._handshake = None
            self._out.lose(shake.early_size)
            shake.cancel()
        self._out.drop()

    def abort(self) -> None:
        """Close with a reset, so that the peer does not take what it has for the whole."""
        if not self.closed:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close()

    def close(self) -> None:
        """Close; the kernel goes on sending what it has accepted. Nothing is called any more."""
        if self.closed:
            return
        self._deafen()
        self.closed = True
        self._give_up_output()
        self.reading = False
        self._tunnel = self.tap = None
        self.on_data = self.on_drained = self.on_change = self._on_tls = _nothing
        self._sock.close()


def _os_reason(name: str, error: OSError) -> str:
    if error.errno == errno.ECONNRESET:
        return f"{name} reset the connection"
    if error.errno == errno.EPIPE:
        return f"{name} closed"
    return f"{name}: {os_sentence(error)}"
