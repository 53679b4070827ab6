"""How a relay ends: two sides that are nothing but what the end asks of them, and real ones that stand still."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from rawlog.engine.bounds import Limits
from rawlog.engine.winding import Winding
from rawlog.events import Direction
from tests.engine.peers import secure
from tests.engine.stage import Certificates, MakeTalk, Stage, Talk

IN, OUT = Direction.IN, Direction.OUT


class FakeSide:
    def __init__(self, name: str) -> None:
        self.name = name
        self.ended = self.shut = False
        self.broken: str | None = None
        self.progress = 0.0
        self.queued = self.on_the_way = 0
        self.did: list[str] = []

    def unacked(self) -> int:
        return self.on_the_way

    def shutdown_write(self) -> None:
        self.shut = True
        self.did.append("shut")

    def abort(self) -> None:
        self.did.append("reset")

    def close(self) -> None:
        self.did.append("closed")


class Ending(Winding):
    client: FakeSide
    server: FakeSide

    def __init__(self, stage: Stage, limits: Limits | None = None) -> None:
        self.told: list[str] = []
        self.advanced = 0
        self.did: list[str] = []
        sides = FakeSide("client"), FakeSide("server")
        super().__init__(stage.loop, *sides, on_end=self.told.append, limits=limits or Limits())
        self.stage = stage

    def _advance(self) -> int:
        return self.advanced

    def _discard(self) -> None:
        self.did.append("discard")

    def _forget(self) -> None:
        self.did.append("forget")


@pytest.fixture
def ending(stage: Stage) -> Ending:
    return Ending(stage)


def test_who_finishes_delivers_what_is_queued(ending: Ending) -> None:
    ending.client.queued = 1
    ending.finish("enough")
    ending.finish("again")
    ending.stage.pause(0.06)
    assert (ending.told, ending.did) == ([], ["discard"])
    ending.client.queued = 0
    ending.stage.run_until(lambda: ending.told)
    assert ending.told == ["enough"]
    assert ending.client.did == ending.server.did == ["shut", "closed"]
    assert ending.did == ["discard", "forget"]


def test_nothing_is_closed_that_the_peers_kernel_has_not(ending: Ending) -> None:
    ending.server.on_the_way = 1
    ending.finish("enough")
    ending.stage.pause(0.06)
    assert ending.told == []
    ending.server.ended = True  # it has closed itself, behind everything: nothing can get lost
    ending.stage.run_until(lambda: ending.told)


def test_two_ends_need_no_waiting(ending: Ending) -> None:
    for side in (ending.client, ending.server):
        side.ended = side.shut = True
    ending.finish("client closed")
    ending.stage.run_until(lambda: ending.told)
    assert ending.did == ["forget"]


def test_an_abort_is_a_reset_told_later_and_once(ending: Ending) -> None:
    ending.abort("no")
    ending.abort("again")
    ending.finish("and again")
    assert ending.told == []
    ending.stage.run_until(lambda: ending.told)
    assert ending.told == ["no"]
    assert ending.client.did == ["reset", "closed"]


def test_a_byte_that_moves_puts_the_drain_limit_off(stage: Stage) -> None:
    ending = Ending(stage, Limits(drain=0.03))
    ending.client.queued = 10
    ending.finish("enough")
    for _ in range(3):
        stage.pause(0.02)
        ending.advanced += 1
    assert ending.told == []
    stage.run_until(lambda: ending.told)
    assert ending.told == ["enough; drain limit of 0.03 s reached"]


def test_a_side_that_takes_nothing_is_reset_and_the_other_one_closed(stage: Stage) -> None:
    ending = Ending(stage, Limits(stall=0.02))
    ending.client.queued = 1
    ending.client.progress = stage.loop.monotonic()
    ending._stalled()
    ending._stalled()
    stage.run_until(lambda: ending.told)
    assert ending.told == ["client took no data for 0.02 s while some waited (output stall limit)"]
    assert (ending.client.did, ending.server.did) == (["reset", "closed"], ["closed"])


# -- real sides -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_peer_that_never_reads_is_given_up(make_any_talk: MakeTalk, kind: str) -> None:
    never_reads(make_any_talk(kind, limits=Limits(stall=0.1)))


def test_a_peer_that_never_reads_is_given_up_with_tls(make_talk: MakeTalk, certificates: Certificates) -> None:
    talk = make_talk(limits=Limits(stall=0.1))
    secure(talk, certificates)
    never_reads(talk)


def never_reads(talk: Talk) -> None:
    talk.relay.start()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                talk.server.sendall(bytes(1 << 16))

    serving = talk.stage.peer(serve)
    assert talk.run() == "client took no data for 0.1 s while some waited (output stall limit)"
    lost = talk.relay.undelivered
    assert lost[IN] == 0
    assert 0 < lost[OUT] <= 131072
    serving.result()


def test_a_peer_that_reads_slowly_is_not_given_up(make_any_talk: MakeTalk) -> None:
    talk = make_any_talk("unix", limits=Limits(stall=0.15))
    talk.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    talk.relay.start()
    size = 150_000

    def read() -> int:
        got = 0
        while got < size:
            time.sleep(0.01)
            got += len(talk.client.recv(8192))
        talk.client.close()
        return got

    def serve() -> None:
        talk.server.sendall(bytes(size))
        talk.server.shutdown(socket.SHUT_WR)

    reading, serving = talk.stage.peer(read), talk.stage.peer(serve)
    talk.run()
    assert reading.result() == size
    serving.result()
