"""One end of a conversation: a plain byte stream over a socket, in which TLS may begin at any moment.

Knows: one wire, its tunnel, its tap, and how it ends: half-closed, reset, cut off. Must not know: the other leg, what
the bytes mean, who records. It is a thing of its own so that everything above sees plain bytes only, whether the wire
is TLS or not, and so that each leg's bytes can be tapped in the clear in one place.

A leg never reads ahead: what it has read was handed over, and after ``start_tls`` every byte from the socket goes to
the TLS layer. An idle leg holds no buffer.
"""

from __future__ import annotations

import errno
from _socket import SocketType
from collections.abc import Callable
from typing import TYPE_CHECKING

from rawlog.engine.bounds import READ_FIRST
from rawlog.engine.loop import Loop
from rawlog.engine.sentences import LegError, os_reason, os_sentence
from rawlog.engine.wire import Wire
from rawlog.events import Direction

if TYPE_CHECKING:
    import ssl

    from rawlog.engine.handshake import Handshake
    from rawlog.engine.tunnel import TlsInfo, TlsTunnel

__all__ = ["Leg", "LegError", "Tap"]

Tap = Callable[[int, Direction, bytes], None]
"""Called with (microseconds since the epoch, IN or OUT as seen on this leg, plain bytes)."""

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for a TLS handshake: several round trips of a bad mobile network, little enough against slow floods."""
OWN_OUTPUT_MAX = 524288
"""Bytes waiting to be sent beyond which the TLS layer's own answers (to key updates) end the leg: a flood of requests
could else grow the outbox, as it stops no reading on this leg."""


def _nothing(*_: object) -> None:
    """What a leg calls when nobody listens."""


class Leg(Wire):
    """One end of a conversation over ``sock``, a connected (or connecting) stream socket that the leg now owns.

    Its owner sets ``on_data(plain)``, ``on_drained()`` (``queued`` is 0 again) and ``on_change()`` (look at ``ended``,
    ``broken``, ``shut``), then calls :meth:`resume`. ``name`` begins every sentence about the leg: ``client``.

    ``ended``: nothing more comes, ``end_reason`` says why. ``truncated``: it ended without close_notify. ``broken``:
    nothing more can be sent, and why. ``hard``: the connection died, which is passed on as a reset. ``shut``: what was
    written went out, and the end of it too. ``tls`` says what a finished handshake agreed on.

    ``gate`` turns the order of sending and recording round, for who must not lose a record: the tap sees bytes first,
    and they go on only if the gate is open (True) then; None for everybody else.
    """

    # fmt: off
    __slots__ = (
        "_cut", "_handshake", "_on_tls", "_shut_wanted", "_tunnel", "broken", "end_reason", "gate", "name",
        "on_change", "on_data", "on_drained", "shut", "tap", "tls", "truncated",
    )
    # fmt: on

    def __init__(self, loop: Loop, sock: SocketType, name: str) -> None:
        super().__init__(loop, sock)
        self.name = name
        self.tap: Tap | None = None
        self.gate: Callable[[], bool] | None = None
        self.tls: TlsInfo | None = None
        self.on_data: Callable[[bytes], None] = _nothing
        self.on_drained: Callable[[], None] = _nothing
        self.on_change: Callable[[], None] = _nothing
        self.truncated = self.shut = False
        self.end_reason = ""
        self.broken: str | None = None
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

    # -- reading ------------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Hand over what comes, from now on, and what TLS has decrypted meanwhile."""
        super().resume()
        if self._tunnel is not None and self._tunnel.pending:
            self._loop.call_soon(self._read_pending)

    def _read_pending(self) -> None:
        """What came with the end of the handshake while nobody wanted to read: the socket is silent about it."""
        if self._tunnel is None or not self.reading or self.ended:
            return
        try:
            self._deliver(self._tunnel, self._tunnel.feed(b""))
        except Exception as error:
            self._on_bug(error)

    def _on_raw(self, raw: bytes) -> None:
        if self._handshake is not None:
            self._size = READ_FIRST  # what a buffer of the TLS layer once held it keeps
            self._handshake.feed(raw)
        elif self._tunnel is not None:
            self._deliver(self._tunnel, self._tunnel.feed(raw))
        else:
            self.on_data(raw)

    def _deliver(self, tunnel: TlsTunnel, data: bytes) -> None:
        raw = tunnel.take()
        if raw:  # an answer of the TLS layer itself: a key update, an alert
            self._send(raw, 0)
            if self._out.queued > OWN_OUTPUT_MAX:
                self._on_tls_error("asks for TLS answers without reading them")
        if data:
            self.on_data(data)
        if tunnel.failure is not None:
            self._on_tls_error(tunnel.failure)
        elif tunnel.ended:
            self._end(f"{self.name} closed")

    def _on_raw_end(self) -> None:
        tunnel = self._tunnel
        if self._handshake is not None:
            self._handshake.feed_eof()
        elif tunnel is None:
            self._end(f"{self.name} closed")
        else:
            if tunnel.pending:
                self._deliver(tunnel, tunnel.feed(b""))
            tunnel.feed_eof()
            self.truncated = tunnel.truncated
            self._end(f"{self.name} closed without a TLS close_notify")

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> bool:
        """Send ``data``, or queue what can't be sent; True when nothing is queued. Who writes much stops at False."""
        gate, tap = self.gate, self.tap
        if gate is not None:
            if tap is not None:
                self._tap_written(tap, data)
            return self._put(data) if gate() else not self.queued
        gone = self._put(data)
        if tap is not None:
            self._tap_written(tap, data)
        return gone

    def _put(self, data: bytes) -> bool:
        if self._tunnel is not None or self._handshake is not None:
            return self._write_secure(data)
        gone = self._out.send(data, len(data))
        if not gone:
            self._kept()
        return gone

    def _tap_written(self, tap: Tap, data: bytes) -> None:
        try:
            tap(self._loop.now(), Direction.OUT, data)
        except Exception as error:
            self.tap_failed(error)

    def _write_secure(self, data: bytes) -> bool:
        if self._handshake is not None:
            self._handshake.hold(data)
            self.progress = self._loop.monotonic()
            return False
        if self._tunnel is not None:
            self._write_tls(self._tunnel, data)
        return not self._out.queued

    def _write_tls(self, tunnel: TlsTunnel, data: bytes) -> None:
        self._send(tunnel.write(data), len(data))
        if tunnel.failure is not None:
            sentence = tunnel.failure
            self._loop.call_soon(lambda: self._on_tls_error(sentence))

    def tap_failed(self, error: Exception) -> None:
        """A tap that raises is taken off and reported; the conversation goes on."""
        self.tap = None
        self._loop.on_error(error)

    def _on_emptied(self) -> None:
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
        if not self._shut_wanted or self.shut or self.closed or self.queued or self._handshake is not None:
            return
        if tunnel is None or self._cut:
            self._shut_socket()
        else:
            raw = tunnel.close()
            if raw:
                self._send(raw, 0)
            if self._out.queued:
                return
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
        admit: Callable[[], str] | None = None,
    ) -> None:
        """Begin TLS here: every later byte from the socket belongs to it.

        ``early`` are raw bytes read before that belong to TLS already, such as a ClientHello behind a PROXY header;
        never give it plain text that came before the upgrade. ``admit()`` is asked at the peer's first bytes, and says
        why it may not begin, or nothing. ``on_done`` is called once, never from inside this call, with None or with
        what failed (``timeout`` is in seconds); a leg closed meanwhile calls nothing. Bytes written meanwhile wait.
        Raises ValueError for a context that can't be used so (name checking without a name), and RuntimeError when TLS
        is active already.
        """
        from rawlog.engine.handshake import Handshake  # with ssl, which conversations without TLS do without
        from rawlog.engine.tunnel import TlsTunnel

        if self._tunnel is not None or self._handshake is not None:
            raise RuntimeError(f"{self.name}: TLS is active already")
        tunnel = TlsTunnel(context, server_side=server_side, server_hostname=server_hostname)
        self._on_tls = on_done
        self._size = READ_FIRST
        self._urgent = True
        self._handshake = Handshake(
            self._loop, tunnel, self._send, self._on_handshake, first=early, timeout=timeout, admit=admit
        )
        if self.ended:
            tunnel.feed_eof()
        self._watch()

    def _on_handshake(self, sentence: str | None) -> None:
        shake = self._handshake
        if self.closed or shake is None:
            return
        if sentence is not None:
            self._tls_done(LegError(f"{self.name}: {sentence}"))
            self._fail(f"{self.name}: {sentence}")
            return
        self._handshake = None
        self._urgent = False
        self._tunnel = shake.tunnel
        self.tls = shake.tunnel.info
        for data in shake.early:
            self._write_tls(shake.tunnel, data)
        self._tls_done(None)
        self._read_pending()
        if not self._out.queued:
            self._on_emptied()
        self._watch()

    def _tls_done(self, error: LegError | None) -> None:
        on_done = self._on_tls
        self._on_tls = _nothing
        try:
            on_done(error)
        except Exception as bug:
            self._on_bug(bug)

    # -- ends ---------------------------------------------------------------------------------------------------------

    def _end(self, reason: str) -> None:
        """Nothing more will be read."""
        if self.ended or self.closed:
            return
        self.ended = True
        self.end_reason = reason
        if self._out.error is not None and self._out.error.errno == errno.ECONNRESET:
            self.hard = True  # sending met the reset first, and reading then only sees an end
        self._watch()
        self.on_change()

    def _fail(self, reason: str) -> None:
        """Neither reading nor writing goes on."""
        if self.closed:
            return
        self._give_up_output()
        self.broken = self.broken or reason
        if not self.ended:
            self.ended = True
            self.end_reason = reason
        self._watch()
        self.on_change()

    def _on_reset(self, error: OSError) -> None:
        if self._handshake is not None:
            self._tls_done(LegError(f"{self.name}: {os_sentence(error)}"))
        self._fail(os_reason(self.name, error))

    def _on_send_error(self, error: OSError) -> None:
        if self.broken is None:
            self.broken = os_reason(self.name, error)
            self.on_change()

    def _on_tls_error(self, sentence: str) -> None:
        """TLS failed after the handshake: no byte after this can be trusted."""
        self.hard = True
        self._fail(f"{self.name}: {sentence}")

    def _on_bug(self, error: Exception) -> None:
        """A bug of ours, or of a callback, ends this conversation only."""
        self._loop.on_error(error)
        self._fail(f"{self.name}: internal error; please report it with what the log says")

    def _give_up_output(self) -> None:
        shake = self._handshake
        if shake is not None:
            self._handshake = None
            self._out.lose(shake.early_size)
            shake.cancel()
        self._out.drop()

    def close(self) -> None:
        """Close; the kernel goes on sending what it has accepted. Nothing is called any more."""
        if not self.closed:
            self._give_up_output()
            super().close()
            self._tunnel = self.tap = None
            self.on_data = self.on_drained = self.on_change = self._on_tls = _nothing
