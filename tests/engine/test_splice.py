"""The relay by pipes, in one process: it does what the ordinary relay does, and goes on from what a pipe holds."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from rawlog.engine.bounds import Limits
from rawlog.engine.ledger import Journal, Ledger
from rawlog.engine.loop import Loop
from rawlog.engine.pipes import Pipe, Pool, open_pipe, why_not
from rawlog.engine.splice import Lane, SpliceRelay
from rawlog.events import Direction

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"no pipes to relay with: {why_not()}")


class Stage:
    """A relay in a loop that runs until something is true."""

    def __init__(self, limits: Limits, *, recorded: bool = True) -> None:
        self.loop = Loop()
        self.errors: list[BaseException] = []
        self.loop.on_error = self.errors.append
        self.ledger = Ledger(2, smalls=2, larges=2)
        self.ledger.clear(1)
        self.pool = Pool([], lambda pipes: self.pipes.extend(pipes))
        self.pipes: list[Pipe] = []
        self.journal = Journal(self.ledger, 1) if recorded else None
        self.client, client = socket.socketpair()
        self.server, server = socket.socketpair()
        self.reasons: list[str] = []
        lane = Lane(self.ledger, self.pool, 1, self.journal, self.flush)
        legs = lane.leg(self.loop, client, "client"), lane.leg(self.loop, server, "mail process")
        self.relay = SpliceRelay(self.loop, *legs, lane, on_end=self.reasons.append, limits=limits)
        self.record = {Direction.IN: b"", Direction.OUT: b""}
        for sock in (self.client, self.server):
            sock.setblocking(False)

    def flush(self) -> None:
        assert self.journal is not None
        for _, direction, data, _ in self.journal.pieces():
            self.record[direction] += bytes(data)
        self.journal.settle(self.journal.end, (0, 0), b"")

    def until(self, done: Callable[[], object]) -> None:
        limit = self.loop.call_later(10, self.loop.stop)

        def look() -> None:
            if done():
                self.loop.stop()
            else:
                self.loop.call_later(0.001, look)

        self.loop.call_soon(look)
        self.loop.run()
        limit.cancel()
        assert done()

    def receive(self, sock: socket.socket, size: int) -> bytes:
        got = bytearray()

        def more() -> bool:
            try:
                got.extend(sock.recv(size - len(got)))
            except BlockingIOError:
                return False
            return len(got) >= size

        self.until(more)
        return bytes(got)

    def close(self) -> None:
        for sock in (self.client, self.server):
            sock.close()
        self.relay.abort("the test is over")
        for pipe in self.pipes:
            os.close(pipe.reader)
            os.close(pipe.writer)
        self.loop.close()


@pytest.fixture
def make() -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def new(limits: Limits | None = None, *, recorded: bool = True) -> Stage:
        made.append(Stage(limits or Limits(), recorded=recorded))
        return made[-1]

    yield new
    for stage in made:
        stage.close()
        assert stage.errors == []


@pytest.mark.parametrize("recorded", [True, False])
def test_bytes_go_both_ways_and_ends_are_passed_on(make: Callable[..., Stage], recorded: bool) -> None:
    stage = make(recorded=recorded)
    stage.relay.start()
    stage.client.send(b"a NOOP\r\n")
    assert stage.receive(stage.server, 8) == b"a NOOP\r\n"
    stage.client.shutdown(socket.SHUT_WR)
    assert stage.receive(stage.server, 0) == b""
    stage.server.send(b"a OK\r\n")
    assert stage.receive(stage.client, 6) == b"a OK\r\n"
    stage.server.close()
    stage.until(lambda: stage.reasons)
    assert stage.reasons == ["client closed"]
    if recorded:
        stage.flush()
        assert stage.record == {Direction.IN: b"a NOOP\r\n", Direction.OUT: b"a OK\r\n"}


def test_a_slow_reader_holds_its_own_direction_only(make: Callable[..., Stage]) -> None:
    stage, data, sent = make(), os.urandom(3_000_000), 0
    stage.relay.start()
    while sent < len(data):
        try:
            sent += stage.client.send(data[sent : sent + 65536])
        except BlockingIOError:
            stage.server.send(b"!")
            assert stage.receive(stage.client, 1) == b"!"
            if stage.relay.undelivered[Direction.IN]:
                break
    assert sent < len(data)
    assert stage.receive(stage.server, sent) == data[:sent]
    stage.flush()
    assert stage.record[Direction.IN] == data[:sent]


@pytest.mark.parametrize("committed", [True, False], ids=["recorded", "not recorded"])
def test_what_a_predecessor_left_in_a_pipe_is_forwarded_and_recorded_once(
    make: Callable[..., Stage], committed: bool
) -> None:
    stage = make()
    assert stage.journal is not None
    pipe = Pipe(0, *open_pipe())
    stage.pipes.append(pipe)
    os.write(pipe.writer, b"left behind")
    room = stage.journal.room()
    assert room is not None
    stage.journal.begin(0)
    room[:11] = b"left behind"
    if committed:
        stage.journal.commit(1, 0, 11)
    stage.relay.adopt(Direction.IN, pipe)
    stage.relay.start()
    stage.client.send(b", and on")
    assert stage.receive(stage.server, 19) == b"left behind, and on"
    stage.flush()
    assert stage.record[Direction.IN] == b"left behind, and on"


def test_a_reset_is_passed_on_and_a_finish_delivers(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.relay.start()
    stage.client.send(b"last words")
    stage.until(lambda: stage.relay.forwarded[Direction.IN])
    stage.relay.finish("enough")
    assert stage.receive(stage.server, 10) == b"last words"
    for sock in (stage.client, stage.server):
        sock.close()
    stage.until(lambda: stage.reasons)
    assert stage.reasons == ["enough"]


def test_who_takes_nothing_is_given_up(make: Callable[..., Stage]) -> None:
    stage = make(Limits(stall=0.05, drain=0.05))
    stage.relay.start()

    def push() -> object:
        try:
            stage.client.send(b"x" * 65536)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return stage.reasons
        return stage.reasons

    stage.until(push)
    assert "mail process took no data for 0.05 s" in stage.reasons[0]


def test_without_room_in_the_journal_bytes_are_counted_and_go_on(make: Callable[..., Stage]) -> None:
    stage = make()
    assert stage.journal is not None
    stage.journal.holed = True
    stage.flush = lambda: None  # type: ignore[method-assign]
    for flow in stage.relay._flows.values():
        flow.on_due = lambda: None  # type: ignore[attr-defined]
    stage.relay.start()
    stage.client.send(b"12345")
    assert stage.receive(stage.server, 5) == b"12345"
    assert stage.journal.lost == (5, 0)
