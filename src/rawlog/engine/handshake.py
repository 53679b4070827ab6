"""The time between "TLS begins here" and the first plain byte, on one leg.

Knows: a tunnel, how to send raw bytes, the time limit, and the plain bytes that were written too early and wait. Must
not know: the socket, the relay, the mail protocol. It is a thing of its own so that a leg is either plain, in a
handshake, or in TLS, and the code for each stays short.
"""

from __future__ import annotations

from collections.abc import Callable

from rawlog.engine.loop import Loop
from rawlog.engine.sentences import handshake_timeout_sentence
from rawlog.engine.tunnel import TlsTunnel


class Handshake:
    """Feeds ``tunnel`` until it is done, has failed, or ``timeout`` seconds are over; then calls ``on_over(sentence)``
    once, never from inside the constructor, with None when all went well.

    ``early`` holds plain bytes written meanwhile, ``early_size`` their number. ``admit()`` is asked when the peer's
    first bytes come, for only then it costs anything: it gives nothing, or the sentence with which all is over.
    """

    __slots__ = ("_admit", "_on_over", "_send", "_timeout", "_timer", "early", "early_size", "tunnel")

    def __init__(
        self,
        loop: Loop,
        tunnel: TlsTunnel,
        send: Callable[[bytes, int], None],
        on_over: Callable[[str | None], None],
        *,
        first: bytes,
        timeout: float,
        admit: Callable[[], str] | None = None,
    ) -> None:
        self.tunnel = tunnel
        self.early: list[bytes] = []
        self.early_size = 0
        self._send = send
        self._on_over: Callable[[str | None], None] | None = on_over
        self._admit = admit
        self._timeout = timeout
        self._timer = loop.call_later(timeout, self._late)
        if first or not tunnel.server_side:  # OpenSSL takes 32 KiB to begin with; a client that says nothing gets none
            self._step(first)
        loop.call_soon(self._check)

    def hold(self, data: bytes) -> None:
        """Keep plain ``data`` until the handshake is done."""
        self.early.append(data)
        self.early_size += len(data)

    def feed(self, raw: bytes) -> None:
        """Raw bytes from the peer."""
        admit, self._admit = self._admit, None
        if admit is not None and (refusal := admit()):
            self._over(refusal)
            return
        if self.tunnel.failure is None and self.tunnel.handshaking:
            self._step(raw)
        self._check()

    def feed_eof(self) -> None:
        """The peer's direction ended."""
        self.tunnel.feed_eof()
        self._check()

    def cancel(self) -> None:
        """Forget it: the leg is closed."""
        self._timer.cancel()
        self._on_over = None

    def _step(self, raw: bytes) -> None:
        self.tunnel.handshake(raw)
        answer = self.tunnel.take()
        if answer:
            self._send(answer, 0)

    def _check(self) -> None:
        if self.tunnel.failure is not None:
            self._over(self.tunnel.failure)
        elif not self.tunnel.handshaking:
            self._over(None)

    def _late(self) -> None:
        self._over(handshake_timeout_sentence(self._timeout))

    def _over(self, sentence: str | None) -> None:
        on_over = self._on_over
        self.cancel()
        if on_over is not None:
            on_over(sentence)
