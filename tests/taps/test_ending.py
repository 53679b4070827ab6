"""How gateways end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from rawlog.engine.loop import Loop
from rawlog.taps.ending import drain, end_on_signals


class FakeGateway:
    """A gateway with one conversation, which ends when it is aborted or when the test says so."""

    def __init__(self) -> None:
        self.on_idle: Callable[[], None] = lambda: None
        self.aborted = ""

    def drain(self, on_idle: Callable[[], None]) -> None:
        self.on_idle = on_idle

    def abort(self, reason: str) -> None:
        self.aborted = reason
        self.on_idle()


def test_the_loop_stops_with_the_last_conversation() -> None:
    loop, gateways = Loop(), [FakeGateway(), FakeGateway()]
    seen: list[str] = []
    loop.call_soon(lambda: drain(loop, gateways))  # type: ignore[arg-type]
    loop.call_later(0.01, lambda: (seen.append("first"), gateways[0].on_idle())[0])
    loop.call_later(0.03, lambda: (seen.append("second"), gateways[1].on_idle())[0])
    loop.call_later(10, lambda: seen.append("late"))
    loop.run()
    assert seen == ["first", "second"]
    loop.close()


def test_a_second_sigterm_ends_the_conversations() -> None:
    loop, gateway, said = Loop(), FakeGateway(), list[str]()
    end_on_signals(loop, [gateway], said.append)  # type: ignore[list-item]
    loop.call_later(0.01, lambda: os.kill(os.getpid(), signal.SIGTERM))
    loop.call_later(0.05, lambda: said.append(gateway.aborted or "still there"))
    loop.call_later(0.06, lambda: os.kill(os.getpid(), signal.SIGTERM))
    loop.run()
    assert "waiting for those that are there" in said[0]
    assert said[1] == "still there"
    assert gateway.aborted == "the gateway was ended"
    loop.close()


def test_sigint_ends_at_once() -> None:
    loop, gateway = Loop(), FakeGateway()
    end_on_signals(loop, [gateway], print)  # type: ignore[list-item]
    loop.call_later(0.01, lambda: os.kill(os.getpid(), signal.SIGINT))
    loop.run()
    assert gateway.aborted
    loop.close()
