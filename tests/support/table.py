"""A model of a relay with two legs that keep what is written to them, and an Upgrade between them.

Knows: what Upgrade sees of a relay: filters, pause and resume, TLS on a leg. Must not know: sockets, a protocol.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from rawlog.engine.leg import LegError
from rawlog.events import Direction
from rawlog.protocols.registry import framer_for
from rawlog.taps.admission import Admission, Bounds, Guest
from rawlog.taps.before_login import Policy
from rawlog.taps.dialects import dialect_for
from rawlog.taps.refusals import Refusals
from rawlog.taps.upgrade import Upgrade

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
IN, OUT = Direction.IN, Direction.OUT
NO_BOUNDS = Bounds()


class ModelTimer:
    """A callback and when it is due; None once it is cancelled."""

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ModelLoop:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 0.0
        self._timers: list[ModelTimer] = []

    def monotonic(self) -> float:
        return self.time

    def call_later(self, seconds: float, callback: Callable[[], None]) -> ModelTimer:
        self._timers.append(ModelTimer(self.time + seconds, callback))
        return self._timers[-1]

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
        for timer in self._timers:
            callback = timer.callback
            if callback is not None and timer.due <= self.time:
                timer.callback = None
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
        self.reading = True

    def pause(self) -> None:
        self.reading = False

    def resume(self) -> None:
        self.reading = True

    def write(self, data: bytes) -> None:
        assert data
        assert self.done is None, "plain text is written in the middle of a handshake"
        self.written += data

    def start_tls(
        self,
        context: object,
        *,
        server_side: bool,
        server_hostname: str | None,
        on_done: Callable,
        timeout: float = 10.0,
        admit: object = None,
    ) -> None:
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

    def __init__(self, protocol: str = "imap", bounds: Bounds = NO_BOUNDS, **policy: object) -> None:
        self.client_leg, self.server_leg = ModelLeg("client"), ModelLeg("backend x")
        self.filters: dict[Direction, Callable[[bytes], bytes] | None] = dict.fromkeys(Direction)
        self.held = False  # the client's end is not passed on
        self.end_passed = False
        self.finished = ""
        self.reviews = 0
        self.told: list[str] = []
        self.tls: list[str] = []
        self.server_leg.on_change = self.client_leg.on_change = self._review
        self.loop = ModelLoop()
        door = Admission(self.loop, bounds, Refusals(self.loop, self.told.append))  # type: ignore[arg-type]
        self.guest = Guest(door, "192.0.2.1")
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
            guest=self.guest,
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
        assert not self.held
        self.held = True
        self.client_leg.pause()

    def resume(self, direction: Direction) -> None:
        assert direction is IN
        assert self.held
        self.held = False
        self.client_leg.resume()
        self._review()

    def abort(self, reason: str) -> None:
        self.finished = self.finished or f"abort: {reason}"

    def finish(self, reason: str) -> None:
        self.finished = self.finished or reason

    def _review(self) -> None:
        self.reviews += 1
        self.end_passed = self.end_passed or (self.client_leg.ended and not self.held)

    # what a test does

    def client_says(self, data: bytes) -> None:
        assert self.client_leg.reading, "nobody reads from the client"
        assert not self.end_passed
        if not self.finished:
            self._flow(IN, data, self.server_leg)

    def client_ends(self, reason: str = "client closed") -> None:
        self.client_leg.ended, self.client_leg.end_reason = True, reason
        self.client_leg.on_change()

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
