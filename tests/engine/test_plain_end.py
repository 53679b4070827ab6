"""One of two joined sockets, against an owner that writes down what it is told."""

from __future__ import annotations

import errno
import socket

import pytest

from rawlog.engine.bounds import READ_AFTER_STALL, READ_FIRST
from rawlog.engine.loop import ERR, HUP, READ, WRITE, Loop
from rawlog.engine.plain_end import End
from rawlog.events import Direction
from tests.engine.peers import reset
from tests.engine.stage import Stage

IN, OUT = Direction.IN, Direction.OUT


class Owner:
    """What joins the two ends; ``told`` has what they said."""

    hard = False
    read_max = 4 * READ_FIRST

    def __init__(self, stage: Stage) -> None:
        self.loop: Loop = stage.loop
        self.told: list[tuple[str, object]] = []
        self.peer, ours = stage.pair("unix")
        self.one = End(self, ours, "one", IN)
        self.far, theirs = stage.pair("unix")
        self.other = End(self, theirs, "other", OUT)
        self.one.peer, self.other.peer = self.other, self.one

    def show(self, direction: Direction, data: bytes) -> None:
        self.told.append((direction.value, data))

    def end(self, end: End) -> None:
        end.ended = True
        self.told.append(("end", end.name))

    def reset(self, end: End, error: OSError) -> None:
        self.told.append(("reset", end.name))

    def cut(self, end: End, error: OSError) -> None:
        self.told.append(("cut", (end.name, error.errno)))

    def stalled(self, end: End) -> None:
        self.told.append(("stalled", end.name))

    def emptied(self, end: End) -> None:
        self.told.append(("emptied", end.name))

    def failed(self, end: End, error: Exception) -> None:
        raise error


@pytest.fixture
def owner(stage: Stage) -> Owner:
    return Owner(stage)


def test_a_read_is_forwarded_and_then_shown(owner: Owner) -> None:
    owner.peer.sendall(b"a NOOP\r\n")
    owner.one.ready(READ)
    assert owner.far.recv(100) == b"a NOOP\r\n"
    assert owner.told == [("in", b"a NOOP\r\n")]
    assert owner.one.moved == 8


def test_an_event_without_anything_to_read_is_no_harm(owner: Owner) -> None:
    owner.one.ready(READ)
    assert owner.told == []


def test_reads_grow_and_shrink(owner: Owner) -> None:
    owner.peer.sendall(bytes(READ_FIRST * 5 + 1))
    sizes = []
    for _ in range(4):
        sizes.append(owner.one.size)
        owner.one.ready(READ)
    assert sizes == [READ_FIRST, 4 * READ_FIRST, 4 * READ_FIRST, READ_FIRST]


def test_reads_are_small_while_the_other_direction_stands_still(owner: Owner) -> None:
    owner.one.size = 1 << 18
    owner.one.rest = memoryview(b"x")
    owner.peer.sendall(bytes(50_000))
    owner.one.ready(READ)
    assert owner.one.moved == READ_AFTER_STALL


def test_what_does_not_go_is_the_rest_and_is_sent_later(owner: Owner) -> None:
    owner.other.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    owner.one.size = 1 << 16
    owner.peer.sendall(bytes(60_000))
    owner.one.ready(READ)
    kept = owner.other.undelivered
    assert owner.told[0] == ("stalled", "other")
    assert 0 < kept < 60_000
    owner.other.watch()
    assert owner.other.mask & WRITE
    got = 0
    while owner.other.rest:
        got += len(owner.far.recv(100_000))
        owner.other.ready(WRITE)
    assert owner.told[-1] == ("emptied", "other")
    assert got + len(owner.far.recv(100_000)) == 60_000


def test_who_is_gone_is_told_with_what_was_lost(owner: Owner) -> None:
    owner.far.close()
    owner.peer.sendall(b"x")
    owner.one.ready(READ)
    assert owner.told == [("in", b"x"), ("cut", ("other", errno.EPIPE))]
    assert owner.other.undelivered == 1


def test_ends_and_resets_are_told_apart(stage: Stage, owner: Owner) -> None:
    owner.one.watch()
    owner.peer.close()
    owner.one.ready(READ | HUP)
    assert owner.told[0] == ("end", "one")
    owner.one.deafen()
    tcp, ours = stage.pair()
    end = End(owner, ours, "tcp", IN)
    end.peer = owner.other
    reset(tcp)
    stage.pause(0.01)
    end.ready(READ)
    assert owner.told[-1] == ("reset", "tcp")


def test_a_paused_socket_that_hangs_up_leaves_the_loop(owner: Owner) -> None:
    owner.one.watch()
    owner.one.held = True
    owner.one.watch()
    assert owner.one.mask == 0
    owner.one.ready(HUP | ERR)
    assert owner.one.mask == -1
    owner.one.held = False
    owner.one.watch()
    assert owner.one.mask == READ
    owner.one.deafen()


def test_nobody_hears_what_is_said_to_a_dead_end(owner: Owner) -> None:
    owner.one.discard()
    owner.peer.sendall(b"x")
    owner.one.ready(READ)
    assert owner.told == []
    assert owner.one.moved == 0
    owner.one.deafen()
