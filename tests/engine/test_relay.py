from __future__ import annotations

import contextlib
import gc
import os
import socket
import ssl
import time
from collections.abc import Callable

import pytest

from rawlog.engine.bounds import Limits
from rawlog.engine.flow import Flow
from rawlog.engine.leg import Leg
from rawlog.engine.relay import Relay
from rawlog.engine.wire import Wire
from rawlog.events import Direction
from tests.engine.peers import end_of, read_all, reset, secure
from tests.engine.stage import Certificates, Stage, Talk

IN, OUT = Direction.IN, Direction.OUT
MakeTalk = Callable[..., Talk]
# -- a conversation ---------------------------------------------------------------------------------------------------


def test_bytes_go_both_ways_and_are_tapped_in_order(any_talk: Talk) -> None:
    def play() -> None:
        for n in range(20):
            any_talk.client.sendall(b"%d NOOP\r\n" % n)
            assert any_talk.server.recv(100) == b"%d NOOP\r\n" % n
            any_talk.server.sendall(b"%d OK\r\n" % n)
            assert any_talk.client.recv(100) == b"%d OK\r\n" % n
        any_talk.client.close()
        any_talk.server.close()

    playing = any_talk.stage.peer(play)
    any_talk.run()
    playing.result()
    expected = [event for n in range(20) for event in ((IN, b"%d NOOP\r\n" % n), (OUT, b"%d OK\r\n" % n))]
    assert any_talk.tapped == expected
    assert any_talk.relay.undelivered == {IN: 0, OUT: 0}
    assert any_talk.relay.forwarded == {way: len(any_talk.seen(way)) for way in (IN, OUT)}


@pytest.mark.parametrize("first", ["client", "server"])
def test_after_half_close_the_other_direction_goes_on(any_talk: Talk, first: str) -> None:
    one, two = (any_talk.client, any_talk.server) if first == "client" else (any_talk.server, any_talk.client)
    data = os.urandom(3_000_000)

    def play() -> tuple[bytes, bytes]:
        one.sendall(b"the last of mine")
        end_of(one)
        got = read_all(two)
        sending = any_talk.stage.peer(lambda: (two.sendall(data), end_of(two)))
        answer = read_all(one)
        sending.result()
        return got, answer

    playing = any_talk.stage.peer(play)
    assert any_talk.run() == f"{first} closed"
    assert playing.result() == (b"the last of mine", data)
    assert any_talk.seen(IN if first == "client" else OUT) == b"the last of mine"
    assert any_talk.seen(OUT if first == "client" else IN) == data


@pytest.mark.parametrize("closer", ["client", "server"])
def test_a_slow_reader_gets_all_after_the_other_side_closed(any_talk: Talk, closer: str) -> None:
    """Dovecot's own relay drops the unsent tail here."""
    one, two = (any_talk.client, any_talk.server) if closer == "client" else (any_talk.server, any_talk.client)
    data = os.urandom(8_000_000)

    def send() -> None:
        one.sendall(data)
        end_of(one)
        if not isinstance(one, ssl.SSLSocket):
            one.close()

    def read() -> bytes:
        time.sleep(0.2)
        got = read_all(two)
        two.close()
        return got

    sending, reading = any_talk.stage.peer(send), any_talk.stage.peer(read)
    assert any_talk.run() == f"{closer} closed"
    assert reading.result() == data
    sending.result()
    assert any_talk.relay.undelivered == {IN: 0, OUT: 0}


def test_what_came_before_a_reset_arrives_though_writing_fails(make_any_talk: MakeTalk) -> None:
    """The server answers and closes with bytes unread, which resets; the client is slow, and still talks."""
    talk = make_any_talk()
    talk.relay.start()
    answer = os.urandom(300_000)
    watch = Wire(talk.stage.loop, talk.server.dup())
    talk.server.setblocking(True)

    def serve() -> None:
        talk.server.recv(10)
        talk.server.sendall(answer)
        while watch.unacked():
            time.sleep(0.001)
        watch.close()
        talk.server.close()

    def ask() -> bytes:
        got = b""
        while len(got) < len(answer):
            with contextlib.suppress(OSError):
                talk.client.sendall(b"more questions\r\n" * 10)
            time.sleep(0.001)
            got += talk.client.recv(20_000)
        talk.client.close()
        return got

    asking, serving = talk.stage.peer(ask), talk.stage.peer(serve)
    assert talk.run() in ("server reset the connection", "server closed")
    serving.result()
    assert asking.result() == answer


def test_a_reset_is_passed_on_behind_what_came_before_it(make_any_talk: MakeTalk) -> None:
    talk = make_any_talk()
    talk.relay.start()
    talk.client.sendall(b"last words")
    reset(talk.client)

    def serve() -> bytes:
        got = talk.server.recv(10, socket.MSG_WAITALL)
        with pytest.raises(ConnectionResetError):
            talk.server.recv(1)
        return got

    serving = talk.stage.peer(serve)
    assert talk.run() == "client reset the connection"
    assert serving.result() == b"last words"
    assert talk.seen(IN) == b"last words"


def test_tls_that_is_cut_off_is_told_and_passed_on_as_cut(make_talk: MakeTalk, certificates: Certificates) -> None:
    talk = make_talk()
    secure(talk, certificates)
    talk.relay.start()

    def serve() -> bytes:
        talk.server.sendall(b"x")
        got = talk.server.recv(100)
        with pytest.raises(ssl.SSLEOFError):
            talk.server.recv(1)
        talk.server.close()
        return got

    def ask() -> None:
        talk.client.recv(1)
        talk.client.sendall(b"half a mess")
        talk.client.close()

    serving, asking = talk.stage.peer(serve), talk.stage.peer(ask)
    assert talk.run() == "client closed without a TLS close_notify"
    assert serving.result() == b"half a mess"
    asking.result()


# -- limits -----------------------------------------------------------------------------------------------------------


def test_after_a_half_close_the_drain_limit_ends_a_silent_side(make_any_talk: MakeTalk) -> None:
    talk = make_any_talk(limits=Limits(drain=0.05))
    talk.relay.start()
    talk.client.shutdown(socket.SHUT_WR)
    assert talk.run() == "client closed; drain limit of 0.05 s reached"
    assert talk.server.recv(1) == b""
    assert talk.client.recv(1) == b""


def test_the_drain_limit_counts_from_the_last_byte(make_any_talk: MakeTalk) -> None:
    talk = make_any_talk(limits=Limits(drain=0.1))
    talk.relay.start()

    def serve() -> None:
        assert talk.server.recv(1) == b""
        for _ in range(5):
            time.sleep(0.04)
            talk.server.sendall(b".")
        talk.server.close()

    talk.client.shutdown(socket.SHUT_WR)
    serving = talk.stage.peer(serve)
    assert talk.run() == "client closed"
    assert read_all(talk.client) == b"....."
    serving.result()


def test_the_stall_limit_counts_from_the_last_stall(make_talk: MakeTalk) -> None:
    """One timer serves all stalls: what it finds waiting may have begun to wait a moment ago."""
    talk = make_talk("unix", limits=Limits(stall=100.0))
    talk.relay.start()
    talk.relay._check_stall()
    assert talk.relay._stall_timer is None
    talk.relay.client.write(bytes(1 << 22))
    talk.relay._check_stall()
    assert not talk.relay.ended
    assert talk.relay._stall_timer is not None
    talk.relay.client.progress -= 200
    talk.relay._check_stall()
    assert "output stall limit" in talk.run()


# -- finish and abort -------------------------------------------------------------------------------------------------


def test_finish_delivers_what_is_queued_then_ends(talk: Talk) -> None:
    data = os.urandom(300_000)
    talk.relay.client.write(data)
    talk.relay.finish("shutting down")

    def ask() -> bytes:
        got = read_all(talk.client)
        talk.client.close()
        return got

    asking = talk.stage.peer(ask)
    talk.stage.peer(lambda: (read_all(talk.server), talk.server.close()))
    assert talk.run() == "shutting down"
    assert asking.result() == data


def test_finish_is_not_overtaken_by_a_reset_because_of_unread_bytes(make_talk: MakeTalk) -> None:
    """A client that floods gets the refusal all the same; what it sends meanwhile is dropped, not recorded."""
    talk = make_talk()
    talk.relay.start()

    def flood() -> bytes:
        with contextlib.suppress(OSError):
            talk.client.sendall(bytes(1 << 20))
        return talk.client.recv(100)

    talk.relay.client.write(b"* BYE no\r\n")
    talk.relay.finish("refused")
    flooding = talk.stage.peer(flood)
    talk.stage.peer(lambda: (read_all(talk.server), talk.server.close()))
    assert talk.run() == "refused"
    assert flooding.result() == b"* BYE no\r\n"
    assert talk.seen(IN) == b""


def test_finish_waits_no_longer_than_the_drain_limit(make_talk: MakeTalk) -> None:
    talk = make_talk("unix", limits=Limits(drain=0.05))
    talk.relay.start()
    talk.relay.client.write(bytes(1 << 22))
    talk.relay.finish("shutting down")
    assert talk.run() == "shutting down; drain limit of 0.05 s reached"
    assert talk.relay.undelivered[OUT] > 0


def test_abort_resets_both(make_any_talk: MakeTalk) -> None:
    talk = make_any_talk()
    talk.relay.start()
    talk.relay.abort("enough")
    talk.relay.abort("again")
    talk.relay.finish("and again")
    assert talk.reasons == [], "on_end came from inside abort"
    assert talk.run() == "enough"
    for sock in (talk.client, talk.server):
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_the_end_is_told_once_and_legs_are_closed_once(talk: Talk) -> None:
    for sock in (talk.client, talk.server):
        sock.close()
    talk.run()
    talk.relay.finish("late")
    talk.relay.abort("later")
    talk.stage.pause(0.02)
    assert len(talk.reasons) == 1
    assert talk.relay.client.closed
    assert talk.relay.server.closed
    assert talk.stage.loop._handlers == {}
    assert talk.stage.errors == []


def test_a_leg_that_failed_before_the_start_ends_the_relay(make_any_talk: MakeTalk) -> None:
    talk = make_any_talk()
    reset(talk.client)
    talk.stage.pause(0.005)
    talk.relay.start()
    assert talk.run() == "client reset the connection"


def test_nothing_of_an_ended_relay_waits_for_the_collector(stage: Stage, make_talk: MakeTalk) -> None:
    talk = make_talk()
    talk.relay.filters[IN] = lambda data: data
    talk.relay.start()
    talk.client.sendall(b"x")
    stage.run_until(lambda: talk.seen(IN) == b"x")
    gc.collect()
    gc.disable()
    try:
        talk.client.close()
        talk.server.close()
        talk.run()
        talk.relay = None  # type: ignore[assignment]
        left = [thing for thing in gc.get_objects() if isinstance(thing, Relay | Flow | Leg)]
        left = [thing for thing in left if getattr(thing, "_loop", None) is stage.loop]
        assert left == []
    finally:
        gc.enable()


# -- negotiation ------------------------------------------------------------------------------------------------------


def test_a_filter_answers_in_the_record_behind_what_it_answers(make_talk: MakeTalk) -> None:
    talk = make_talk()

    def answer(data: bytes) -> bytes:
        talk.relay.client.write(b"a BAD\r\n")
        return b""

    talk.relay.filters[IN] = answer
    talk.relay.start()
    talk.client.sendall(b"a FOO\r\n")
    talk.stage.run_until(lambda: len(talk.tapped) == 2)
    assert talk.tapped == [(IN, b"a FOO\r\n"), (OUT, b"a BAD\r\n")]
    assert talk.client.recv(100) == b"a BAD\r\n"


def test_filters_are_a_mapping_of_both_directions(make_talk: MakeTalk) -> None:
    filters = make_talk().relay.filters
    assert dict(filters) == {IN: None, OUT: None}
    assert len(filters) == 2
    filters[IN] = bytes.upper
    assert filters[IN] is not None
    del filters[IN]
    assert filters[IN] is None


def test_a_failing_filter_ends_the_conversation_and_is_reported(make_talk: MakeTalk) -> None:
    talk = make_talk()
    talk.relay.filters[IN] = lambda data: [][0]
    talk.relay.start()
    talk.client.sendall(b"a FOO\r\n")
    assert "internal error" in talk.run()
    assert [type(error) for error in talk.stage.errors] == [IndexError]
    assert talk.server.recv(1) == b""


def test_a_failing_tap_ends_nothing(talk: Talk) -> None:
    talk.relay.client.tap = lambda at, direction, data: [][0]
    talk.client.sendall(b"one")
    assert talk.stage.peer(lambda: talk.server.recv(100)) is not None
    talk.stage.run_until(lambda: talk.relay.forwarded[IN] == 3)
    assert [type(error) for error in talk.stage.errors] == [IndexError]
