"""One direction by itself; the two together are in test_relay."""

from __future__ import annotations

import socket

import pytest

from rawlog.engine.flow import Flow
from rawlog.engine.leg import Leg
from rawlog.events import Direction
from tests.engine.stage import Stage


class Way:
    """A flow between two unix sockets, and the order of what happened."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.stalls = 0
        self.order: list[str] = []
        self.sender, self.source = stage.leg("unix", "source")
        self.receiver, self.target = stage.leg("unix", "target")
        self.flow = Flow(stage.loop, self.source, self.target, self._stalled)
        self.source.tap = lambda at, direction, data: self.order.append(f"read {data.decode()}")
        self.target.tap = lambda at, direction, data: self.order.append(f"wrote {data.decode()}")

    def _stalled(self) -> None:
        self.stalls += 1

    def send(self, data: bytes) -> None:
        """Send, and wait until it was seen."""
        before = self.flow.forwarded + self.flow.discarded
        self.sender.sendall(data)
        self.stage.run_until(lambda: self.flow.forwarded + self.flow.discarded > before)


@pytest.fixture
def way(stage: Stage) -> Way:
    return Way(stage)


def test_forwards_first_and_taps_after(way: Way) -> None:
    way.flow.start()
    way.send(b"hello")
    assert way.receiver.recv(100) == b"hello"
    assert way.order == ["wrote hello", "read hello"]
    assert way.flow.forwarded == 5


def test_a_filter_changes_what_is_forwarded_not_what_was_read(way: Way) -> None:
    def answer(data: bytes) -> bytes:
        way.order.append("filter")
        return data.upper() if data != b"quiet" else b""

    way.flow.plug(answer)
    way.flow.start()
    way.send(b"hello")
    way.send(b"quiet")
    way.flow.plug(None)
    way.send(b"plain")
    assert way.receiver.recv(100) == b"HELLOplain"
    assert way.order == ["read hello", "filter", "wrote HELLO", "read quiet", "filter", "wrote plain", "read plain"]


def test_a_filter_may_take_itself_out(way: Way) -> None:
    def once(data: bytes) -> bytes:
        way.flow.plug(None)
        return b"<" + data + b">"

    way.flow.plug(once)
    way.flow.start()
    way.send(b"one")
    way.send(b"two")
    assert way.receiver.recv(100) == b"<one>two"


def test_held_bytes_stay_in_the_kernel(way: Way) -> None:
    way.flow.hold()
    way.flow.start()
    way.sender.sendall(b"hello")
    way.stage.pause(0.01)
    assert way.flow.forwarded == 0
    way.flow.release()
    way.stage.run_until(lambda: way.flow.forwarded == 5)


def test_a_full_target_stops_the_source(way: Way) -> None:
    way.flow.start()
    sending = way.stage.peer(way.sender.sendall, bytes(1 << 22))
    way.stage.run_until(lambda: way.flow.stalled)
    assert way.stalls >= 1
    assert 0 < way.target.queued <= way.source.read_max
    forwarded = way.flow.forwarded
    way.stage.pause(0.02)
    assert way.flow.forwarded == forwarded
    reading = way.stage.peer(lambda: sum(len(data) for data in iter(lambda: way.receiver.recv(1 << 20), b"")))
    way.stage.run_until(lambda: way.flow.forwarded == 1 << 22 and not way.target.queued)
    sending.result()
    way.target.close()
    assert reading.result() == 1 << 22


@pytest.mark.parametrize(("seconds", "size"), [(0.0, 131072), (1.0, 16384)])
def test_only_a_long_stall_makes_the_reads_small(way: Way, seconds: float, size: int) -> None:
    way.source._size = 131072
    way.flow._stall()
    way.flow._stalled_at -= seconds
    way.target.on_drained = way.flow._drained
    way.target._on_emptied()
    assert not way.flow.stalled
    assert way.source.reading
    assert way.source._size == size


def test_the_end_is_passed_on_unless_held(way: Way) -> None:
    way.source.on_change = way.flow.review
    way.flow.start()
    way.flow.hold()
    way.flow.release()
    way.sender.shutdown(socket.SHUT_WR)
    way.stage.run_until(lambda: way.flow.passed)
    assert way.flow.over
    assert way.receiver.recv(1) == b""


def test_an_end_behind_a_hold_waits(way: Way) -> None:
    way.source.ended = True
    way.flow.hold()
    way.flow.review()
    assert not way.flow.passed
    way.flow.release()
    way.flow.review()
    assert way.flow.passed


def test_a_broken_target_means_read_and_drop(way: Way) -> None:
    way.target.on_change = way.flow.review
    way.flow.start()
    way.receiver.close()
    way.send(b"lost")
    way.stage.run_until(lambda: way.flow.dead)
    assert way.flow.over
    assert way.target.undelivered == 4
    way.send(b"dropped")
    assert way.flow.discarded == 7
    assert way.order == ["wrote lost", "read lost"]
    way.flow.plug(lambda data: data)
    way.flow.hold()
    way.send(b"too late")
    assert way.flow.discarded == 15


def test_a_filter_that_ends_it_all_forwards_nothing(way: Way) -> None:
    def end(data: bytes) -> bytes:
        way.flow.discard()
        return data

    way.flow.plug(end)
    way.flow.start()
    way.send(b"hello")
    way.stage.pause(0.005)
    assert way.order == ["read hello"]


def test_forgetting_breaks_the_circle(way: Way) -> None:
    way.flow.plug(lambda data: data)
    way.flow.forget()
    assert way.flow.filter is None
    way.flow._on_stall()
    assert way.stalls == 0


def test_the_direction_of_the_tap_is_seen_from_the_leg(way: Way) -> None:
    seen: list[tuple[str, Direction]] = []

    def tap(leg: Leg) -> None:
        leg.tap = lambda at, direction, data: seen.append((leg.name, direction))

    tap(way.source)
    tap(way.target)
    way.flow.start()
    way.send(b"x")
    assert seen == [("target", Direction.OUT), ("source", Direction.IN)]
