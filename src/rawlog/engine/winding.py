"""How two joined sides come to their end, and when one of them is given up.

Knows: two sides, what waits at each, and the limits of time. Must not know: how bytes go from one to the other; the
relays that build on it do (relay.py for legs, plain.py for bare sockets). It is the place where proxies lose data: they
close both sides when one has ended, or close with unread bytes, which makes the kernel throw away what was sent. So the
last close waits until the peer's kernel has everything, and a side that takes or gives nothing is waited for only so
long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rawlog.engine.bounds import LAST_LOOK, Limits
from rawlog.engine.loop import Loop, Timer


class Side(Protocol):
    """One of the two. ``ended``: nothing more comes from it; ``broken``: why nothing more can be sent there; ``shut``:
    what was sent there went out, and the end of it too; ``progress``: when some of what waits for it last went."""

    name: str
    ended: bool
    shut: bool
    progress: float

    @property
    def broken(self) -> str | None: ...
    @property
    def queued(self) -> int:
        """Bytes that it has yet to take."""

    def unacked(self) -> int:
        """Bytes that the kernel has accepted for it and the peer's kernel has not, where a close could lose them."""

    def shutdown_write(self) -> None:
        """Say that nothing more comes, once all has gone."""

    def abort(self) -> None:
        """Close it with a reset."""

    def close(self) -> None:
        """Close it; the kernel goes on sending what it has accepted. Nothing happens the second time."""


class Winding:
    """What relays have in common. ``on_end(reason)`` is called exactly once, when both sides are closed, never from
    inside a call; the reason is a plain sentence about what came first. ``hard``: a side died, which is passed on as a
    reset.
    """

    # fmt: off
    __slots__ = (
        "_closing", "_drain_timer", "_limits", "_look_timer", "_moved", "_on_end", "_stall_timer", "client", "ended",
        "hard", "loop", "reason", "server",
    )
    # fmt: on

    def __init__(
        self, loop: Loop, client: Side, server: Side, *, on_end: Callable[[str], None], limits: Limits
    ) -> None:
        self.loop = loop
        self.client = client
        self.server = server
        self.reason = ""
        self.ended = self.hard = self._closing = False
        self._limits = limits
        self._on_end: Callable[[str], None] | None = on_end
        self._stall_timer: Timer | None = None
        self._drain_timer: Timer | None = None
        self._look_timer: Timer | None = None
        self._moved: tuple[int, ...] = ()

    # -- what a relay says --------------------------------------------------------------------------------------------

    def _advance(self) -> int:
        """Bytes that were forwarded so far, in both directions together."""
        raise NotImplementedError

    def _discard(self) -> None:
        """Forward nothing more: read and drop what comes, so that each side comes to its end."""
        raise NotImplementedError

    def _forget(self) -> None:
        """Break the circles of references, now that both sides are closed; the collector may be off."""
        raise NotImplementedError

    # -- limits -------------------------------------------------------------------------------------------------------

    def _stalled(self) -> None:
        """A side does not take what is sent. One timer serves all stalls, so that bulk does not pay for it."""
        if self._stall_timer is None and not self.ended:
            self._stall_timer = self.loop.call_later(self._limits.stall, self._check_stall)

    def _check_stall(self) -> None:
        self._stall_timer = None
        limit = self._limits.stall
        waiting = [side for side in (self.client, self.server) if side.queued]
        for side in waiting:
            if self.loop.monotonic() - side.progress >= limit:
                self._note(f"{side.name} took no data for {limit:g} s while some waited (output stall limit)")
                side.abort()
                self._close()
                return
        if waiting:
            again = min(side.progress for side in waiting) + limit - self.loop.monotonic()
            self._stall_timer = self.loop.call_later(again, self._check_stall)

    def _drain(self) -> None:
        """One side is over: the other one may take its time, but not for ever."""
        if self._drain_timer is None and not self.ended:
            self._moved = self._movement()
            self._drain_timer = self.loop.call_later(self._limits.drain, self._check_drain)

    def _check_drain(self) -> None:
        self._drain_timer = None
        if self._movement() != self._moved:
            self._drain()
            return
        self.reason += f"; drain limit of {self._limits.drain:g} s reached"
        self._close()

    def _movement(self) -> tuple[int, ...]:
        """Changes whenever a byte gets nearer to its goal; what is discarded does not count."""
        client, server = self.client, self.server
        return self._advance(), client.queued + client.unacked(), server.queued + server.unacked()

    # -- the end ------------------------------------------------------------------------------------------------------

    def finish(self, reason: str) -> None:
        """Forward nothing more, deliver what is queued on both sides, then close them."""
        self._note(reason)
        self._wind_up()

    def abort(self, reason: str) -> None:
        """Close both now, with a reset."""
        self._note(reason)
        self.hard = True
        self._close()

    def _note(self, reason: str) -> None:
        """The first reason is the cause; what follows from it is not told."""
        self.reason = self.reason or reason

    def _wind_up(self) -> None:
        """Both directions are over: only what is queued still goes out."""
        if self._close_if_done() or self._closing:
            return
        self._closing = True
        self._discard()
        if not self.hard:
            self.client.shutdown_write()
            self.server.shutdown_write()
        self._look()
        self._drain()

    def _close_if_done(self) -> bool:
        """Close when that loses nothing, and tell whether it is closed."""
        if not self.ended and self._done(self.client) and self._done(self.server):
            self._close()
        return self.ended

    def _done(self, side: Side) -> bool:
        """Whether closing it loses nothing: a reset, or a close with unread bytes, throws away what was sent."""
        if side.queued or not (side.broken or side.shut or self.hard):
            return False
        return (side.ended and not side.broken and not self.hard) or not side.unacked()

    def _look(self) -> None:
        """Close as soon as that loses nothing."""
        if not self._close_if_done():
            self._look_timer = self.loop.call_later(LAST_LOOK, self._look)

    def _close(self) -> None:
        if self.ended:
            return
        self.ended = True
        for timer in (self._stall_timer, self._drain_timer, self._look_timer):
            if timer is not None:
                timer.cancel()
        for side in (self.client, self.server):
            if self.hard:
                side.abort()
            side.close()
        self.loop.call_soon(self._tell_end)

    def _tell_end(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self.reason)
        self._forget()
