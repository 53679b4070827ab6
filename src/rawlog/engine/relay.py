"""Two legs, joined: what one side says reaches the other, also at the end, and never more is held than one read.

Knows: two legs, the flow in each direction, and what of an end is passed on. Must not know: TLS, the mail protocol, who
records, how it all ends (winding.py). An end is passed on as an end, and the other direction goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping

from rawlog.engine.bounds import DEFAULT_LIMITS, Limits
from rawlog.engine.flow import Filter, Flow
from rawlog.engine.leg import Leg
from rawlog.engine.loop import Loop
from rawlog.engine.winding import Winding
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


class Relay(Winding):
    """Joins ``client`` and ``server``; owns both from now on, and closes both.

    IN is what is read from the client, OUT what is read from the server. ``on_end(reason)`` is called exactly once,
    when both legs are closed, never from inside a call of the relay; the reason is a plain sentence about what came
    first. ``filters[direction]`` may change what is forwarded while transports are negotiated.
    """

    __slots__ = ("_flows",)
    client: Leg
    server: Leg

    def __init__(
        self,
        loop: Loop,
        client: Leg,
        server: Leg,
        *,
        on_end: Callable[[str], None],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(loop, client, server, on_end=on_end, limits=limits)
        self._flows = {
            Direction.IN: self._flow(client, server, Direction.IN),
            Direction.OUT: self._flow(server, client, Direction.OUT),
        }
        for leg in (client, server):
            leg.read_max = limits.read_max
            leg.on_change = self._review

    def _flow(self, source: Leg, target: Leg, direction: Direction) -> Flow:
        """What moves the bytes of one direction."""
        return Flow(self.loop, source, target, self._stalled)

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

    # -- the end ------------------------------------------------------------------------------------------------------

    def _review(self) -> None:
        """A leg has changed: pass it on, and see whether the conversation is over."""
        if self.ended:
            return
        for leg in (self.client, self.server):
            if leg.ended or leg.broken is not None:
                self._note((leg.ended and leg.end_reason) or leg.broken or "")
            self.hard = self.hard or leg.hard
        one, other = self._flows.values()
        if not self.hard:
            one.review()
            other.review()
        if self.hard or (one.over and other.over):
            self._wind_up()
        elif one.passed or one.dead or other.passed or other.dead:
            self._drain()

    def _advance(self) -> int:
        return sum(flow.forwarded for flow in self._flows.values())

    def _discard(self) -> None:
        for flow in self._flows.values():
            flow.discard()

    def _forget(self) -> None:
        for flow in self._flows.values():
            flow.forget()
