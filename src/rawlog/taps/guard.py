"""What becomes of a conversation whose recording can't be written: ``rawlog_on_error`` = open, pause or strict.

Knows: the three policies. ``open``: the conversation goes on, the recorder says what is missing. ``pause``: nothing is
read from either side for up to ten seconds, then as ``open``. ``strict``: bytes are recorded first and go on only when
that worked; otherwise the conversation ends with its protocol's temporary error. Must not know: how anything is
written, or moved.

A limit that is reached (size of a recording, free space) counts as a recording that can't be written. In strict, an
unfinished line that may hold a secret is forwarded before it is recorded, since it is recorded masked or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rawlog.engine.leg import Leg
from rawlog.engine.loop import Loop
from rawlog.engine.relay import Relay
from rawlog.events import Direction
from rawlog.taps.observer import Observer

PAUSE_LIMIT = 10.0  # seconds without reading; a client waits longer than that for an answer
PAUSE_STEP = 0.1  # seconds between two looks whether the recording goes again
REASON = "the recording can't be written (rawlog_on_error = strict)"


class Guard:
    """Watches over one conversation. ``refusal`` is what its client is told when it has to end."""

    def __init__(self, loop: Loop, policy: str, refusal: bytes, report: Callable[[str], None]) -> None:
        self._loop = loop
        self._policy = policy
        self._refusal = refusal
        self._report = report
        self._relay: Relay | None = None
        self._observers: Sequence[Observer] = ()
        self._until: float | None = None  # the end of the pause that goes on, or that has been
        self._failed = False

    def watch(self, relay: Relay, observers: Sequence[Observer]) -> None:
        """Begin, before the relay moves its first byte."""
        self._relay, self._observers = relay, observers
        if self._policy == "strict":
            self._gates(self._recorded)
        elif self._policy == "pause":
            self._loop.call_later(PAUSE_STEP, self._look)

    def refused(self, reason: str) -> None:
        """A recording that was asked for could not begin."""
        if self._policy == "strict":
            self._fail(reason)

    def let_go(self) -> None:
        """The conversation is over."""
        if self._relay is not None:
            self._gates(None)
        self._relay, self._observers = None, ()

    # -- strict -------------------------------------------------------------------------------------------------

    def _gates(self, gate: Callable[[], bool] | None) -> None:
        for leg in self._legs():
            leg.gate = gate

    def _recorded(self) -> bool:
        if not self._failed and not all(observer.healthy() for observer in self._observers):
            self._fail(REASON)
        return not self._failed

    def _fail(self, reason: str) -> None:
        if self._failed:
            return
        self._failed = True
        self._report(f"ended: {reason}")
        self._loop.call_soon(lambda: self._end(reason))

    def _end(self, reason: str) -> None:
        """Not from inside the tap: the bytes that are being moved come first."""
        relay = self._relay
        if relay is not None:
            self._gates(None)
            relay.client.write(self._refusal)
            relay.finish(reason)

    # -- pause --------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Ten times a second: hold both sides while the recording does not go, but not for ever."""
        relay = self._relay
        if relay is None:
            return
        self._loop.call_later(PAUSE_STEP, self._look)
        now = self._loop.monotonic()
        healthy = all(observer.healthy() for observer in self._observers)
        if healthy and self._until is None:
            return
        if not healthy and self._until is None:
            self._until = now + PAUSE_LIMIT
            self._report(f"paused for up to {PAUSE_LIMIT:.0f} s: the recording can't be written")
            for direction in Direction:
                relay.pause(direction)
        elif healthy or (self._until is not None and now >= self._until):
            for direction in Direction:
                relay.resume(direction)
            if healthy:
                self._until = None

    def _legs(self) -> Sequence[Leg]:
        return (self._relay.client, self._relay.server) if self._relay is not None else ()
