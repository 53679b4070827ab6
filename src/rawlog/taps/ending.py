"""How gateways end: a first signal lets conversations finish, a second one ends them.

Knows: signals, and places where conversations are taken. Must not know: what is recorded.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from rawlog.engine.loop import Loop


class Place(Protocol):
    """Where conversations are taken: a gateway, a post-login socket."""

    def drain(self, on_idle: Callable[[], None]) -> None:
        """Take no more, and call ``on_idle`` when the last one has ended; more than once does no harm."""

    def abort(self, reason: str) -> None:
        """End all of them now."""


Last = Callable[[Callable[[], None]], None]


def at_once(then: Callable[[], None]) -> None:
    """Nothing else is to be waited for."""
    then()


def drain(loop: Loop, gateways: Sequence[Place], last: Last = at_once) -> None:
    """Take no more connections, and stop the loop when the last conversation is over, and then ``last`` is through."""
    waiting = set(gateways)

    def ended(gateway: Place) -> None:
        waiting.discard(gateway)
        if not waiting:
            last(loop.stop)

    for gateway in gateways:
        gateway.drain(partial(ended, gateway))


def end_on_signals(
    loop: Loop,
    gateways: Sequence[Place],
    say: Callable[[str], None],
    *,
    twice_is_now: bool = True,
    last: Last = at_once,
) -> None:
    """SIGTERM: drain; SIGINT: end the conversations too; so does a second SIGTERM, with ``twice_is_now``."""

    def first() -> None:
        say("ending: no more connections; waiting for those that are there" + (" (again: end now)" * twice_is_now))
        loop.add_signal(signal.SIGTERM, now if twice_is_now else lambda: None)
        drain(loop, gateways, last)

    def now() -> None:
        drain(loop, gateways, last)
        for gateway in gateways:
            gateway.abort("the gateway was ended")

    loop.add_signal(signal.SIGTERM, first)
    loop.add_signal(signal.SIGINT, now)
