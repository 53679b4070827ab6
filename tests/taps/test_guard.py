"""Policies for a recording that can't be written: what happens to the conversation."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from rawlog.engine.leg import Leg
from rawlog.engine.loop import Loop
from rawlog.engine.relay import Relay
from rawlog.events import Direction
from rawlog.taps import guard as guard_module
from rawlog.taps.guard import Guard


class Record:
    """Stands for an observer: sees what a leg does, and fails when it is told to."""

    def __init__(self) -> None:
        self.works = True
        self.seen: list[tuple[Direction, bytes]] = []

    def healthy(self) -> bool:
        return self.works

    def tap(self, at: int, direction: Direction, data: bytes) -> None:
        self.seen.append((direction, data))


class Stage:
    """A relay between two socket pairs, with a guard."""

    def __init__(self, policy: str) -> None:
        self.loop = Loop()
        self.client, ours = socket.socketpair()
        self.server, theirs = socket.socketpair()
        for end in (self.client, self.server):
            end.settimeout(5)
        self.record, self.said, self.ended = Record(), list[str](), list[str]()
        leg = Leg(self.loop, ours, "client")
        leg.tap = self.record.tap
        self.relay = Relay(self.loop, leg, Leg(self.loop, theirs, "server"), on_end=self.ended.append)
        self.guard = Guard(self.loop, policy, b"* BYE later\r\n", self.said.append)
        self.guard.watch(self.relay, [self.record])  # type: ignore[list-item]
        self.relay.start()

    def turn(self, *steps: Callable[[], object]) -> None:
        """Run the loop for a moment around each step."""
        for step in (*steps, lambda: None):
            step()
            self.loop.call_later(0.03, self.loop.stop)
            self.loop.run()

    def close(self) -> None:
        self.guard.let_go()
        self.relay.abort("the test is over")
        self.turn()
        self.client.close()
        self.server.close()
        self.loop.close()


def received(sock: socket.socket) -> bytes:
    sock.setblocking(False)
    try:
        return sock.recv(65536)
    except BlockingIOError:
        return b""


def test_open_lets_everything_pass() -> None:
    stage = Stage("open")
    stage.record.works = False
    stage.turn(lambda: stage.client.sendall(b"a NOOP\r\n"))
    assert received(stage.server) == b"a NOOP\r\n"
    assert stage.said == []
    stage.close()


def test_strict_records_first() -> None:
    stage = Stage("strict")
    stage.turn(lambda: stage.client.sendall(b"a NOOP\r\n"), lambda: stage.server.sendall(b"a OK\r\n"))
    assert received(stage.server) == b"a NOOP\r\n"
    assert received(stage.client) == b"a OK\r\n"
    assert stage.record.seen == [(Direction.IN, b"a NOOP\r\n"), (Direction.OUT, b"a OK\r\n")]
    stage.close()


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("side", ["client", "server"])
def test_strict_lets_nothing_pass_that_is_not_recorded(side: str, filtered: bool) -> None:
    stage = Stage("strict")
    if filtered:
        for direction in Direction:
            stage.relay.filters[direction] = lambda data: data
    stage.record.works = False
    stage.turn(lambda: getattr(stage, side).sendall(b"secret words\r\n"))
    assert received(stage.server) == b""
    assert received(stage.client) == b"* BYE later\r\n"
    assert stage.ended == [guard_module.REASON]
    assert len(stage.said) == 1
    stage.close()


def test_strict_ends_when_a_recording_can_not_begin() -> None:
    stage = Stage("strict")
    stage.turn(lambda: stage.guard.refused("/rec is not writable"))
    assert received(stage.client) == b"* BYE later\r\n"
    assert stage.ended == ["/rec is not writable"]
    stage.close()


def test_pause_waits_and_goes_on_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "PAUSE_STEP", 0.005)
    stage = Stage("pause")
    stage.record.works = False
    stage.turn(lambda: None, lambda: stage.client.sendall(b"a NOOP\r\n"))
    assert received(stage.server) == b""
    assert "paused" in stage.said[0]

    def repair() -> None:
        stage.record.works = True

    stage.turn(repair)
    assert received(stage.server) == b"a NOOP\r\n"
    stage.close()


def test_pause_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "PAUSE_STEP", 0.005)
    monkeypatch.setattr(guard_module, "PAUSE_LIMIT", 0.05)
    stage = Stage("pause")
    stage.record.works = False
    stage.turn(lambda: stage.client.sendall(b"a NOOP\r\n"), lambda: None, lambda: None)
    assert received(stage.server) == b"a NOOP\r\n"
    assert len(stage.said) == 1
    stage.close()
