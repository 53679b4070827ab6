"""Two legs, joined: what one side says reaches the other, also at the end, and never more is held than one read.

Knows: two legs, the flow in each direction, and when a conversation is over: half-close, reset, stall, drain. Must not
know: TLS, the mail protocol, who records. It is the place where proxies lose data: they close both sides when one has
ended, or close with unread bytes, which makes the kernel throw away what was sent. So an end is passed on as an end,
the other direction goes on, and the last close waits until the peer's kernel has everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping

from rawlog.engine.bounds import DEFAULT_LIMITS, LAST_LOOK, Limits
from rawlog.engine.flow import Filter, Flow
from rawlog.engine.leg import Leg
from rawlog.engine.loop import Loop, Timer
from rawlog.events import Direction


class _Filters(MutableMapping[Direction, Filter | None]):
    """``relay.filters``: setting an entry re-plugs the flow, so that None costs nothing while bytes flow."""

    def __init__(self, flows: dict[Direction, Flow]) -> None:
        self._flows = flows

    def __getitem__(self, direction: Direction) -> Filter | None:
        return self._flows[direction].filter

    def __setitem__(self, direction: Direction, new: Filter | None) -> None:
        self._flows[direction].plug(new)

    def __delitem__(self, direction: Direction) -> None:
        self._flows[direction].plug(None)

    def __iter__(self) -> Iterator[Direction]:
        return iter(self._flows)

    def __len__(self) -> int:
        return len(self._flows)


class Relay:
    """Joins ``client`` and ``server``; owns both from now on, and closes both.

    IN is what is read from the client, OUT what is read from the server. ``on_end(reason)`` is called exactly once,
    when both legs are closed, never from inside a call of the relay; the reason is a plain sentence about what came
    first. ``filters[direction]`` may change what is forwarded while transports are negotiated.
    """

    # fmt: off
    __slots__ = (
        "_closing", "_drain_timer", "_flows", "_hard", "_limits", "_loop", "_moved", "_on_end", "_poll_timer",
        "_stall_timer", "client", "ended", "reason", "server",
    )
    # fmt: on

    def __init__(
        self,
        loop: Loop,
        client: Leg,
        server: Leg,
        *,
        on_end: Callable[[str], None],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.client = client
        self.server = server
        self.reason = ""
        self.ended = False
        self._loop = loop
        self._limits = limits
        self._on_end: Callable[[str], None] | None = on_end
        self._flows = {
            Direction.IN: self._flow(client, server, Direction.IN),
            Direction.OUT: self._flow(server, client, Direction.OUT),
        }
        self._closing = self._hard = False
        self._stall_timer: Timer | None = None
        self._drain_timer: Timer | None = None
        self._poll_timer: Timer | None = None
        self._moved: tuple[int, ...] = ()
        for leg in (client, server):
            leg.read_max = limits.read_max
            leg.on_change = self._review

    def _flow(self, source: Leg, target: Leg, direction: Direction) -> Flow:
        """What moves the bytes of one direction."""
        return Flow(self._loop, source, target, self._stalled)

    @property
    def filters(self) -> MutableMapping[Direction, Filter | None]:
        """What changes the bytes of each direction; None for nothing, as at first."""
        return _Filters(self._flows)

    @property
    def undelivered(self) -> dict[Direction, int]:
        """Plain bytes, the last of those written in each direction, that the kernel did not accept."""
        return {Direction.IN: self.server.undelivered, Direction.OUT: self.client.undelivered}

    @property
    def forwarded(self) -> dict[Direction, int]:
        """Plain bytes read and forwarded (or given to the filter) in each direction."""
        return {direction: flow.forwarded for direction, flow in self._flows.items()}

    @property
    def discarded(self) -> dict[Direction, int]:
        """Plain bytes read when there was nobody left to forward them to; they were not tapped."""
        return {direction: flow.discarded for direction, flow in self._flows.items()}

    def start(self) -> None:
        """Begin to read both legs."""
        for flow in self._flows.values():
            flow.start()
        if any(leg.ended or leg.broken is not None or leg.hard for leg in (self.client, self.server)):
            self._review()

    def pause(self, direction: Direction) -> None:
        """Read no more from the source of that direction."""
        self._flows[direction].hold()

    def resume(self, direction: Direction) -> None:
        """Undo :meth:`pause`."""
        self._flows[direction].release()
        self._review()

    # -- ends ---------------------------------------------------------------------------------------------------------

    def finish(self, reason: str) -> None:
        """Forward nothing more, deliver what is queued on both legs, then close them."""
        self._note(reason)
        self._wind_up()

    def abort(self, reason: str) -> None:
        """Close both legs now, with a reset."""
        self._note(reason)
        self._hard = True
        self._close()

    def _note(self, reason: str) -> None:
        """The first reason is the cause; what follows from it is not told."""
        self.reason = self.reason or reason

    def _review(self) -> None:
        """A leg has changed: pass it on, and see whether the conversation is over."""
        if self.ended:
            return
        for leg in (self.client, self.server):
            if leg.ended or leg.broken is not None:
                self._note((leg.ended and leg.end_reason) or leg.broken or "")
            self._hard = self._hard or leg.hard
        one, other = self._flows.values()
        if not self._hard:
            one.review()
            other.review()
        if self._hard or (one.over and other.over):
            self._wind_up()
        elif one.passed or one.dead or other.passed or other.dead:
            self._drain()

    def _wind_up(self) -> None:
        """Both directions are over: only what is queued still goes out."""
        if not self._closing:
            self._closing = True
            for flow in self._flows.values():
                flow.discard()
            for leg in (self.client, self.server):
                if not self._hard:
                    leg.shutdown_write()
        self._close_if_done()
        self._drain()

    def _close_if_done(self) -> None:
        if self._poll_timer is not None:
            self._poll_timer.cancel()
            self._poll_timer = None
        if self.ended:
            return
        if self._done(self.client) and self._done(self.server):
            self._close()
        else:
            self._poll_timer = self._loop.call_later(LAST_LOOK, self._close_if_done)

    def _done(self, leg: Leg) -> bool:
        """True when closing ``leg`` loses nothing: a reset, or a close with unread bytes, throws away what was sent."""
        if leg.queued or (leg.broken is None and not leg.shut and not self._hard):
            return False
        clean = leg.ended and leg.broken is None and not self._hard
        return clean or not leg.unacked()

    # -- limits -------------------------------------------------------------------------------------------------------

    def _stalled(self) -> None:
        """A leg does not take what is written. One timer serves all stalls, so that bulk does not pay for it."""
        if self._stall_timer is None and not self.ended:
            self._stall_timer = self._loop.call_later(self._limits.stall, self._check_stall)

    def _check_stall(self) -> None:
        self._stall_timer = None
        limit = self._limits.stall
        waiting = [leg for leg in (self.client, self.server) if leg.queued]
        for leg in waiting:
            if self._loop.monotonic() - leg.progress >= limit:
                self._note(f"{leg.name} took no data for {limit:g} s while some waited (output stall limit)")
                leg.abort()
                self._close()
                return
        if waiting:
            oldest = min(leg.progress for leg in waiting)
            again = oldest + limit - self._loop.monotonic()
            self._stall_timer = self._loop.call_later(again, self._check_stall)

    def _drain(self) -> None:
        if self._drain_timer is None and not self.ended:
            self._moved = self._movement()
            self._drain_timer = self._loop.call_later(self._limits.drain, self._check_drain)

    def _check_drain(self) -> None:
        self._drain_timer = None
        if self._movement() != self._moved:
            self._drain()
            return
        self.reason += f"; drain limit of {self._limits.drain:g} s reached"
        self._close()

    def _movement(self) -> tuple[int, ...]:
        """Changes whenever a byte gets nearer to its goal; what is discarded does not count."""
        forwarded = sum(flow.forwarded for flow in self._flows.values())
        return forwarded, *(leg.queued + leg.unacked() for leg in (self.client, self.server))

    # -- the end ------------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        if self.ended:
            return
        self.ended = True
        for timer in (self._stall_timer, self._drain_timer, self._poll_timer):
            if timer is not None:
                timer.cancel()
        for leg in (self.client, self.server):
            if self._hard:
                leg.abort()
            leg.close()
        for flow in self._flows.values():
            flow.forget()
        self._loop.call_soon(self._tell_end)

    def _tell_end(self) -> None:
        on_end = self._on_end
        self._on_end = None
        if on_end is not None:
            on_end(self.reason)
