"""A model of a relay with two legs that keep what is written to them, and an Upgrade between them.

Knows: what Upgrade sees of a relay: filters, pause and resume, TLS on a leg. Must not know: sockets, a protocol.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from rawlog.engine.leg import LegError
from rawlog.events import Direction
from rawlog.protocols.registry import framer_for
from rawlog.taps.dialects import dialect_for
from rawlog.taps.upgrade import Policy, Upgrade

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
IN, OUT = Direction.IN, Direction.OUT


class ModelLoop:
    """A clock that is moved by hand, with one timer."""

    def __init__(self) -> None:
        self.time = 0.0
        self._due: tuple[float, Callable[[], None]] | None = None

    def call_later(self, seconds: float, callback: Callable[[], None]) -> ModelLoop:
        assert self._due is None
        self._due = (self.time + seconds, callback)
        return self

    def cancel(self) -> None:
        self._due = None

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
        if self._due is not None and self._due[0] <= self.time:
            (_, callback), self._due = self._due, None
            callback()


class ModelLeg:
    """What Upgrade does with a leg."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.written = b""
        self.tls: object = None
        self.ended = False
        self.end_reason = ""
        self.on_change: Callable[[], None] = lambda: None
        self.done: Callable[[LegError | None], None] | None = None
        self.hostname: str | None = None

    def write(self, data: bytes) -> None:
        assert data
        assert self.done is None, "plain text is written in the middle of a handshake"
        self.written += data

    def start_tls(self, context: object, *, server_side: bool, server_hostname: str | None, on_done: Callable) -> None:
        assert context is CONTEXT
        self.written += b"<TLS>"
        self.hostname = server_hostname
        self.done = on_done

    def finish_tls(self, error: LegError | None = None) -> None:
        done, self.done = self.done, None
        assert done is not None
        self.tls = None if error else "on"
        done(error)


class Table:
    """Both sides, and Upgrade between them. What one side says is ``client(data)`` or ``server(data)``."""

    def __init__(self, protocol: str = "imap", **policy: object) -> None:
        self.client_leg, self.server_leg = ModelLeg("client"), ModelLeg("backend x")
        self.filters: dict[Direction, Callable[[bytes], bytes] | None] = dict.fromkeys(Direction)
        self.paused: list[bytes] | None = None
        self.finished = ""
        self.reviews = 0
        self.told: list[str] = []
        self.tls: list[str] = []
        self.server_leg.on_change = self._review
        self.loop = ModelLoop()
        words: dict[str, object] = {"client_tls": CONTEXT, "plaintext_login": True, "backend_tls": "none"}
        words |= {"backend_context": CONTEXT, "backend_name": "mail.example.com"} | policy
        self.upgrade = Upgrade(
            self.loop,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            framer_for(protocol),
            dialect_for(protocol),
            Policy(**words),  # type: ignore[arg-type]
            report=self.told.append,
            on_tls=self.tls.append,
        )
        self.upgrade.begin()

    # what Upgrade sees of a relay

    @property
    def client(self) -> ModelLeg:
        return self.client_leg

    @property
    def server(self) -> ModelLeg:
        return self.server_leg

    def pause(self, direction: Direction) -> None:
        assert direction is IN
        assert self.paused is None
        self.paused = []

    def resume(self, direction: Direction) -> None:
        assert direction is IN
        waiting, self.paused = self.paused, None
        for data in waiting or []:
            self.client_says(data)

    def finish(self, reason: str) -> None:
        self.finished = self.finished or reason

    def _review(self) -> None:
        self.reviews += 1

    # what a test does

    def client_says(self, data: bytes) -> None:
        if self.paused is not None:
            self.paused.append(data)
        elif not self.finished:
            self._flow(IN, data, self.server_leg)

    def server_says(self, data: bytes) -> None:
        if not self.finished:
            self._flow(OUT, data, self.client_leg)

    def server_ends(self, reason: str = "backend x closed") -> None:
        self.server_leg.ended, self.server_leg.end_reason = True, reason
        self.server_leg.on_change()

    def _flow(self, direction: Direction, data: bytes, target: ModelLeg) -> None:
        through = self.filters[direction]
        out = data if through is None else through(data)
        if out:
            target.write(out)

    def took(self, leg: str) -> bytes:
        """What was written to a leg since the last call."""
        of = self.client_leg if leg == "client" else self.server_leg
        data, of.written = of.written, b""
        return data

    @property
    def stepped_out(self) -> bool:
        return self.filters == dict.fromkeys(Direction) and not self.finished
