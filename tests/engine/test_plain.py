"""What the relay of two sockets does in its own way; what it has in common with relay.py is in test_relay.py."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable

import pytest

from rawlog.engine.bounds import READ_AFTER_STALL, READ_MAX, Limits
from rawlog.engine.plain import PlainRelay
from rawlog.engine.plain_end import End
from rawlog.events import Direction
from tests.engine.peers import end_of, read_all, reset
from tests.engine.stage import Stage, Talk

IN, OUT = Direction.IN, Direction.OUT
MakeTalk = Callable[..., Talk]


@pytest.fixture(params=["tcp", "unix"])
def talk(request: pytest.FixtureRequest, make_plain_talk: MakeTalk) -> Talk:
    made = make_plain_talk(request.param)
    made.relay.start()
    return made


def fill(talk: Talk) -> None:
    """The server talks until nothing more goes: the client does not read."""
    talk.server.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            talk.server.send(bytes(1 << 16))
            talk.stage.pause(0.001)


# -- limits -----------------------------------------------------------------------------------------------------------


def test_while_one_side_takes_nothing_the_other_is_read_no_more(make_plain_talk: MakeTalk) -> None:
    talk = make_plain_talk("unix")
    talk.relay.start()
    fill(talk)
    server = talk.relay.server
    assert server.mask == 0
    assert len(talk.relay.client.rest) <= READ_MAX
    talk.relay.client.since -= 1  # it stood still for long
    before = len(talk.tapped)
    talk.stage.peer(lambda: read_all(talk.client))
    talk.stage.run_until(lambda: len(talk.tapped) > before)
    assert len(talk.tapped[before][1]) <= READ_AFTER_STALL
    end_of(talk.server)
    end_of(talk.client)
    talk.run()


def test_large_reads_are_for_those_who_send_much(make_plain_talk: MakeTalk) -> None:
    talk = make_plain_talk("unix", limits=Limits(read_max=1 << 18))
    talk.relay.start()
    playing = talk.stage.peer(lambda: (talk.server.sendall(bytes(1 << 21)), end_of(talk.server)))
    reading = talk.stage.peer(lambda: read_all(talk.client))
    talk.client.shutdown(socket.SHUT_WR)
    talk.run()
    playing.result()
    assert len(reading.result()) == 1 << 21
    assert READ_MAX < max(len(data) for _, data in talk.tapped) <= 1 << 18


# -- holding ----------------------------------------------------------------------------------------------------------


def test_a_pause_holds_bytes_and_ends_until_it_is_over(talk: Talk) -> None:
    talk.relay.pause()
    talk.client.sendall(b"x")
    end_of(talk.client)
    talk.server.setblocking(False)
    talk.stage.pause(0.02)
    with pytest.raises(BlockingIOError):
        talk.server.recv(1)
    talk.relay.resume()
    talk.server.settimeout(10)
    playing = talk.stage.peer(lambda: (read_all(talk.server), end_of(talk.server), talk.server.close()))
    assert talk.run() == "client closed"
    assert playing.result()[0] == b"x"


# -- ends -------------------------------------------------------------------------------------------------------------


def test_a_side_that_can_take_nothing_more_does_not_block_the_other(make_plain_talk: MakeTalk) -> None:
    """What it says is read and dropped, and not recorded: nobody gets it."""
    talk = make_plain_talk("unix")
    talk.relay.start()
    talk.server.shutdown(socket.SHUT_RD)  # writing to it fails, reading from it does not

    def ask() -> bytes:
        for _ in range(20):
            talk.client.sendall(bytes(1 << 16))
        return talk.client.recv(100)

    asking = talk.stage.peer(ask)
    talk.stage.run_until(lambda: talk.relay.undelivered[IN] > 0)
    talk.server.sendall(b"* BYE\r\n")
    talk.stage.run_until(lambda: not asking.is_alive())
    assert asking.result() == b"* BYE\r\n" == talk.seen(OUT)
    talk.client.close()
    talk.server.close()
    assert talk.run() == "server closed"


def test_finish_delivers_what_is_queued_then_ends(make_plain_talk: MakeTalk) -> None:
    talk = make_plain_talk("unix")
    talk.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    talk.relay.start()
    data = os.urandom(100_000)
    talk.server.sendall(data)
    talk.stage.run_until(lambda: talk.relay.client.rest)
    taken = talk.relay.forwarded[OUT]
    talk.relay.finish("shutting down")
    asking = talk.stage.peer(lambda: (read_all(talk.client), talk.client.close()))
    talk.stage.peer(lambda: (read_all(talk.server), talk.server.close()))
    assert talk.run() == "shutting down"
    assert asking.result()[0] == data[:taken] == talk.seen(OUT)


def test_finish_waits_no_longer_than_the_drain_limit(make_plain_talk: MakeTalk) -> None:
    talk = make_plain_talk("unix", limits=Limits(drain=0.05))
    talk.relay.start()
    fill(talk)
    talk.relay.finish("shutting down")
    assert talk.run() == "shutting down; drain limit of 0.05 s reached"
    assert talk.relay.undelivered[OUT] > 0


def test_who_resets_while_it_is_written_to_is_told_as_a_reset(make_plain_talk: MakeTalk) -> None:
    talk = make_plain_talk()
    talk.relay.start()
    reset(talk.client)
    talk.server.sendall(b"x")
    assert talk.run() == "client reset the connection"
    with pytest.raises(ConnectionResetError):
        talk.server.recv(1)


def test_the_end_is_told_once_and_sockets_are_closed_once(talk: Talk) -> None:
    client = talk.relay.client.sock
    for sock in (talk.client, talk.server):
        sock.close()
    talk.run()
    talk.relay.finish("late")
    talk.relay.abort("later")
    talk.relay.pause()
    talk.relay.resume()
    talk.stage.pause(0.02)
    assert len(talk.reasons) == 1
    assert client.fileno() == -1
    assert talk.stage.loop._handlers == {}
    assert talk.stage.errors == []


def test_nothing_of_an_ended_relay_waits_for_the_collector(stage: Stage, make_plain_talk: MakeTalk) -> None:
    talk = make_plain_talk()
    talk.relay.start()
    talk.client.sendall(b"x")
    stage.run_until(lambda: talk.seen(IN) == b"x")
    gc.collect()
    gc.disable()
    try:
        talk.client.close()
        talk.server.close()
        talk.run()
        talk.relay = None
        left = [thing for thing in gc.get_objects() if isinstance(thing, PlainRelay | End)]
        assert [thing for thing in left if getattr(thing, "loop", stage.loop) is stage.loop] == []
    finally:
        gc.enable()


# -- mistakes ---------------------------------------------------------------------------------------------------------


def test_a_failing_tap_ends_nothing(talk: Talk) -> None:
    talk.relay.tap = lambda at, direction, data: [][0]
    talk.client.sendall(b"one")
    talk.stage.run_until(lambda: talk.relay.forwarded[IN] == 3)
    assert talk.server.recv(100) == b"one"
    assert [type(error) for error in talk.stage.errors] == [IndexError]


def test_a_bug_ends_this_conversation_and_is_reported(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(End, "take", lambda *_: [][0])
    talk.client.sendall(b"one")
    assert talk.run() == "client: internal error; please report it with what the log says"
    assert [type(error) for error in talk.stage.errors] == [IndexError]
    assert talk.server.recv(1) == b""
