"""The dialogue with a backend that is reached by STARTTLS, up to the greeting that the client will see.

The theory. Nothing that the server said before TLS counts in it (CVE-2021-38371 and its class): its answer to STARTTLS
must be the last thing it sends before the handshake, and its capabilities are asked for inside.

Knows: one leg, a dialect's dialogue, how the backend's certificate is verified. Must not know: the client, the relay.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

import rawlog.engine.handshake  # noqa: F401 - legs load it when TLS begins; by then the package may be out of reach
from rawlog.engine.leg import Leg, LegError
from rawlog.protocols.framing import LINE_LIMIT
from rawlog.taps.dialects.base import BackendError, Greeting, Step


class Opening:
    """Leads ``dialogue`` on ``leg``, whose certificate must be for ``host``; ``on_tls()`` tells that TLS is on.

    At its end ``on_done(greeting)`` is called, with whatever the server sent behind the greeting, or
    ``on_failure(sentence)``; neither after :meth:`cancel`.
    """

    def __init__(
        self,
        leg: Leg,
        dialogue: Greeting,
        context: ssl.SSLContext,
        host: str | None,
        *,
        on_tls: Callable[[], None],
        on_done: Callable[[bytes], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._leg = leg
        self._dialogue = dialogue
        self._context = context
        self._host = host
        self._on_tls = on_tls
        self._on_done = on_done
        self._on_failure = on_failure
        self._said = b""  # by the server, not understood yet
        self._step: bytes | Step = next(dialogue)
        self._over = False

    def feed(self, data: bytes) -> None:
        """What the server says."""
        self._said += data
        while not self._over and self._step is Step.READ_LINE and (end := self._said.find(b"\n") + 1):
            line, self._said = self._said[:end], self._said[end:]
            self._advance(line)
        if not self._over and len(self._said) > LINE_LIMIT:
            self._fail(f"its greeting has a line of more than {LINE_LIMIT} bytes; check host and port")

    def cancel(self) -> None:
        """It is of no interest any more."""
        self._over = True

    def _advance(self, line: bytes | None) -> None:
        dialogue = self._dialogue
        try:
            self._step = next(dialogue) if line is None else dialogue.send(line)
            while isinstance(self._step, bytes):
                self._leg.write(self._step)
                self._step = next(dialogue)
        except StopIteration as done:
            self._over = True
            self._on_done(done.value + self._said)
        except BackendError as error:
            self._fail(str(error))
        else:
            if self._step is Step.START_TLS:
                self._start_tls()

    def _start_tls(self) -> None:
        if self._said:
            count = len(self._said)
            self._fail(f"it sent {count} bytes behind its answer to STARTTLS (response injection); don't trust it")
            return
        self._leg.start_tls(self._context, server_side=False, server_hostname=self._host, on_done=self._tls_done)

    def _tls_done(self, error: LegError | None) -> None:
        if self._over:
            return
        if error is not None:
            self._fail(str(error))
            return
        self._on_tls()
        self._advance(None)
        self.feed(b"")

    def _fail(self, sentence: str) -> None:
        self._over = True
        self._on_failure(sentence)
