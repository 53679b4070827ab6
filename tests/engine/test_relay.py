from __future__ import annotations

import contextlib
import gc
import os
import random
import select
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawlog.engine.flow import Flow
from rawlog.engine.leg import Leg, LegError
from rawlog.engine.relay import Limits, Relay
from rawlog.engine.wire import Wire
from rawlog.events import Direction
from tests.engine.conftest import TIME_LIMIT, Certificates, Stage, Talk, TlsPeer

IN, OUT = Direction.IN, Direction.OUT
MakeTalk = Callable[..., Talk]
LINGER_RESET = b"\1\0\0\0\0\0\0\0"


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    sock.close()


def receive(sock: socket.socket, size: int = 1 << 18) -> bytes:
    """What comes, b'' at the end: Python says it in another way once both directions of TLS are closed."""
    try:
        return sock.recv(size)
    except ssl.SSLZeroReturnError:
        return b""


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: receive(sock), b""))


def python_tls(sock: socket.socket, context: ssl.SSLContext, *, server_side: bool) -> ssl.SSLSocket:
    name = None if server_side else "localhost"
    return context.wrap_socket(sock, server_side=server_side, server_hostname=name, suppress_ragged_eofs=False)


def secure(talk: Talk, certificates: Certificates, wrap: Callable[..., Any] | None = None) -> None:
    """TLS on both legs: ``talk.client`` and ``talk.server`` become TLS sockets, of Python's or what ``wrap`` makes."""
    done: list[LegError | None] = []
    client, server = talk.relay.client, talk.relay.server
    client.start_tls(certificates.server(), server_side=True, server_hostname=None, on_done=done.append)
    server.start_tls(certificates.client(), server_side=False, server_hostname="localhost", on_done=done.append)
    front, back = certificates.client(), certificates.server()
    back.num_tickets = 0
    wrap = wrap or python_tls
    one = talk.stage.peer(lambda: wrap(talk.client, front, server_side=False))
    two = talk.stage.peer(lambda: wrap(talk.server, back, server_side=True))
    talk.stage.run_until(lambda: len(done) == 2)
    assert done == [None, None]
    talk.client, talk.server = one.result(), two.result()


@pytest.fixture(params=["plain", "unix", "tls"])
def talk(request: pytest.FixtureRequest, make_talk: MakeTalk, certificates: Certificates) -> Talk:
    """A started relay over TCP, over unix sockets, and over TCP with TLS on both legs."""
    made = make_talk("unix" if request.param == "unix" else "tcp")
    if request.param == "tls":
        secure(made, certificates)
    made.relay.start()
    return made


def end_of(sock: socket.socket | TlsPeer) -> None:
    """End our direction only: close_notify in TLS. ``unwrap`` waits for the other side's, so tell it not to."""
    if isinstance(sock, TlsPeer):
        sock.end()
    elif isinstance(sock, ssl.SSLSocket):
        sock.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            sock.unwrap()
        sock.settimeout(TIME_LIMIT)
    else:
        sock.shutdown(socket.SHUT_WR)


# -- a conversation ---------------------------------------------------------------------------------------------------


def test_bytes_go_both_ways_and_are_tapped_in_order(talk: Talk) -> None:
    def play() -> None:
        for n in range(20):
            talk.client.sendall(b"%d NOOP\r\n" % n)
            assert talk.server.recv(100) == b"%d NOOP\r\n" % n
            talk.server.sendall(b"%d OK\r\n" % n)
            assert talk.client.recv(100) == b"%d OK\r\n" % n
        talk.client.close()
        talk.server.close()

    playing = talk.stage.peer(play)
    talk.run()
    playing.result()
    expected = [event for n in range(20) for event in ((IN, b"%d NOOP\r\n" % n), (OUT, b"%d OK\r\n" % n))]
    assert talk.tapped == expected
    assert talk.relay.undelivered == {IN: 0, OUT: 0}
    assert talk.relay.forwarded == {way: len(talk.seen(way)) for way in (IN, OUT)}


@pytest.mark.parametrize("first", ["client", "server"])
def test_after_half_close_the_other_direction_goes_on(talk: Talk, first: str) -> None:
    one, two = (talk.client, talk.server) if first == "client" else (talk.server, talk.client)
    data = os.urandom(3_000_000)

    def play() -> tuple[bytes, bytes]:
        one.sendall(b"the last of mine")
        end_of(one)
        got = read_all(two)
        sending = talk.stage.peer(lambda: (two.sendall(data), end_of(two)))
        answer = read_all(one)
        sending.result()
        return got, answer

    playing = talk.stage.peer(play)
    assert talk.run() == f"{first} closed"
    assert playing.result() == (b"the last of mine", data)
    assert talk.seen(IN if first == "client" else OUT) == b"the last of mine"
    assert talk.seen(OUT if first == "client" else IN) == data


@pytest.mark.parametrize("closer", ["client", "server"])
def test_a_slow_reader_gets_all_after_the_other_side_closed(talk: Talk, closer: str) -> None:
    """Dovecot's own relay drops the unsent tail here."""
    one, two = (talk.client, talk.server) if closer == "client" else (talk.server, talk.client)
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

    sending, reading = talk.stage.peer(send), talk.stage.peer(read)
    assert talk.run() == f"{closer} closed"
    assert reading.result() == data
    sending.result()
    assert talk.relay.undelivered == {IN: 0, OUT: 0}


def test_what_came_before_a_reset_arrives_though_writing_fails(make_talk: MakeTalk) -> None:
    """The server answers and closes with bytes unread, which resets; the client is slow, and still talks."""
    talk = make_talk()
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


def test_a_reset_is_passed_on_behind_what_came_before_it(make_talk: MakeTalk) -> None:
    talk = make_talk()
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


def test_after_a_half_close_the_drain_limit_ends_a_silent_side(make_talk: MakeTalk) -> None:
    talk = make_talk(limits=Limits(drain=0.05))
    talk.relay.start()
    talk.client.shutdown(socket.SHUT_WR)
    assert talk.run() == "client closed; drain limit of 0.05 s reached"
    assert talk.server.recv(1) == b""
    assert talk.client.recv(1) == b""


def test_the_drain_limit_counts_from_the_last_byte(make_talk: MakeTalk) -> None:
    talk = make_talk(limits=Limits(drain=0.1))
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


@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_a_peer_that_never_reads_is_given_up(make_talk: MakeTalk, certificates: Certificates, kind: str) -> None:
    talk = make_talk(limits=Limits(stall=0.1))
    if kind == "tls":
        secure(talk, certificates)
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


def test_a_peer_that_reads_slowly_is_not_given_up(make_talk: MakeTalk) -> None:
    talk = make_talk("unix", limits=Limits(stall=0.15))
    talk.relay.client._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
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


def test_abort_resets_both(make_talk: MakeTalk) -> None:
    talk = make_talk()
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


def test_a_leg_that_failed_before_the_start_ends_the_relay(make_talk: MakeTalk) -> None:
    talk = make_talk()
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


def test_starttls_led_by_a_filter(make_talk: MakeTalk, certificates: Certificates) -> None:
    """The client leg changes to TLS in the middle of the stream; what the server says meanwhile waits for it."""
    talk = make_talk()
    relay = talk.relay
    marks: list[int] = []

    def upgrade(data: bytes) -> bytes:
        if data != b"a STARTTLS\r\n":
            return data
        relay.pause(IN)
        relay.client.write(b"a OK begin\r\n")
        relay.client.start_tls(certificates.server(), server_side=True, server_hostname=None, on_done=done)
        relay.server.write(b"meanwhile\r\n")
        return b""

    def done(error: LegError | None) -> None:
        assert error is None
        marks.append(len(talk.tapped))
        relay.filters[IN] = None
        relay.resume(IN)

    relay.filters[IN] = upgrade
    relay.start()

    def ask() -> bytes:
        talk.client.sendall(b"a NOOP\r\n")
        assert talk.client.recv(100) == b"a OK\r\n"
        talk.client.sendall(b"a STARTTLS\r\n")
        assert talk.client.recv(100) == b"a OK begin\r\n"
        tls = certificates.client().wrap_socket(talk.client, server_hostname="localhost")
        tls.sendall(b"b LOGIN\r\n")
        got = b""
        while b"b OK" not in got:
            got += tls.recv(100)
        tls.unwrap()
        return got

    def serve() -> bytes:
        assert talk.server.recv(100) == b"a NOOP\r\n"
        talk.server.sendall(b"a OK\r\n")
        assert talk.server.recv(100) == b"meanwhile\r\n"
        talk.server.sendall(b"* unasked\r\n")
        assert talk.server.recv(100) == b"b LOGIN\r\n"
        talk.server.sendall(b"b OK\r\n")
        assert talk.server.recv(100) == b""
        talk.server.close()

    asking, serving = talk.stage.peer(ask), talk.stage.peer(serve)
    assert talk.run() == "client closed"
    serving.result()
    assert asking.result() == b"* unasked\r\nb OK\r\n"
    assert talk.seen(IN) == b"a NOOP\r\na STARTTLS\r\nb LOGIN\r\n"
    assert talk.seen(OUT) == b"a OK\r\na OK begin\r\n* unasked\r\nb OK\r\n"
    assert len(marks) == 1


def test_a_failed_handshake_tells_the_alert_and_ends(make_talk: MakeTalk, certificates: Certificates) -> None:
    talk = make_talk()
    talk.relay.start()
    context = certificates.server()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    talk.relay.client.start_tls(context, server_side=True, server_hostname=None, on_done=lambda error: None)

    def ask() -> str:
        old = certificates.client()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError) as caught:
            old.wrap_socket(talk.client, server_hostname="localhost")
        return str(caught.value.reason)

    asking = talk.stage.peer(ask)
    talk.stage.peer(lambda: (read_all(talk.server), talk.server.close()))
    assert talk.run().startswith("client: no TLS version in common")
    assert "PROTOCOL_VERSION" in asking.result()


# -- bulk -------------------------------------------------------------------------------------------------------------


PATTERN = os.urandom((1 << 20) + 7)


def stream(size: int) -> Iterator[bytes]:
    """``size`` bytes that do not repeat in any round step."""
    left = size
    while left:
        yield (piece := PATTERN[:left])
        left -= len(piece)


RETRY = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def duplex(sock: socket.socket, size: int, full: threading.Event) -> int:
    """Send ``size`` bytes and read as many at the same time, with pauses, then end; the checksum of what came.

    Reading does not begin before the relay is full in both directions.
    """
    sock.setblocking(False)
    pieces = stream(size)
    out = memoryview(next(pieces))
    got = check = 0
    while out or got < size:
        with contextlib.suppress(*RETRY):
            while out:
                out = out[sock.send(out[:65536]) :] or memoryview(next(pieces, b""))
        with contextlib.suppress(*RETRY):
            while full.is_set() and (data := sock.recv(65536)):
                got += len(data)
                check = zlib.crc32(data, check)
                if got >> 23 != (got - len(data)) >> 23:
                    time.sleep(0.05)
        reading = got < size and full.is_set()
        select.select([sock] if reading else [], [sock] if out else [], [], 0.02)
    end_of(sock)
    return check


def test_64_mib_both_ways_at_once_with_slow_readers(talk: Talk) -> None:
    size = 64 << 20
    most = {IN: 0, OUT: 0}
    checks = {IN: 0, OUT: 0}
    sizes = {IN: 0, OUT: 0}
    full = threading.Event()

    def tap(at: int, direction: Direction, data: bytes) -> None:
        sizes[direction] += len(data)
        checks[direction] = zlib.crc32(data, checks[direction])
        most[IN] = max(most[IN], talk.relay.server.queued)
        most[OUT] = max(most[OUT], talk.relay.client.queued)
        if most[IN] and most[OUT]:
            full.set()

    talk.relay.client.tap = tap
    peers = [talk.stage.peer(duplex, sock, size, full) for sock in (talk.client, talk.server)]
    talk.run()
    want = 0
    for piece in stream(size):
        want = zlib.crc32(piece, want)
    assert [peer.result() for peer in peers] == [want, want]
    assert sizes == {IN: size, OUT: size}
    assert checks == {IN: want, OUT: want}
    assert 0 < min(most.values()) <= max(most.values()) <= 131072 * 1.01


# -- random ends ------------------------------------------------------------------------------------------------------


class Actor:
    """One side of a random conversation: sends, reads, and ends in some way at some point."""

    def __init__(self, dice: random.Random) -> None:
        self.sends = [dice.randbytes(dice.choice([1, 50, 5000, 70_000])) for _ in range(dice.randrange(6))]
        self.end = dice.choice(["half", "half", "close", "reset"])
        self.reads_before = dice.randrange(3)
        self.got = b""
        self.sent = b""

    def play(self, sock: socket.socket | TlsPeer) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._play(sock)
        if self.end == "reset":
            reset(sock.sock if isinstance(sock, TlsPeer) else sock)
        sock.close()

    def _play(self, sock: socket.socket | TlsPeer) -> None:
        for data in self.sends:
            self.sent += data
            sock.sendall(data)
        sock.settimeout(0.02)
        for _ in range(self.reads_before):
            with contextlib.suppress(TimeoutError):
                self.got += sock.recv(10_000)
        sock.settimeout(TIME_LIMIT)
        if self.end == "half":
            end_of(sock)
            while data := sock.recv(1 << 18):
                self.got += data


def check_random_ends(talk: Talk, seed: int, certificates: Certificates | None) -> None:
    dice = random.Random(seed)
    client, server = Actor(dice), Actor(dice)
    if certificates is not None:
        secure(talk, certificates, TlsPeer)
    talk.relay.start()
    playing = [talk.stage.peer(actor.play, sock) for actor, sock in ((client, talk.client), (server, talk.server))]
    talk.run()
    for peer in playing:
        peer.result()
    ways = ((IN, client, server), (OUT, server, client))
    for way, sender, receiver in ways:
        tapped = talk.seen(way)
        assert tapped.startswith(receiver.got), f"seed {seed}: {way} received what was not tapped"
        assert sender.sent.startswith(tapped), f"seed {seed}: {way} tapped what was not sent"
        assert len(receiver.got) <= len(tapped) - talk.relay.undelivered[way] or not talk.relay.undelivered[way]
        if sender.end == receiver.end == "half":
            assert receiver.got == sender.sent, f"seed {seed}: {way} lost bytes"
    assert talk.stage.loop._handlers == {}
    assert talk.stage.errors == []


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("kind", ["tcp", "unix", "tls"])
def test_whatever_the_end_what_was_received_was_tapped(
    make_talk: MakeTalk, certificates: Certificates, kind: str, part: int
) -> None:
    for seed in range(part * 17, part * 17 + 17):
        talk = make_talk("unix" if kind == "unix" else "tcp")
        check_random_ends(talk, seed, certificates if kind == "tls" else None)


# -- transparency -----------------------------------------------------------------------------------------------------


Chunks = list[tuple[bool, bytes]]
CHUNKS: Any = st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=3000)), max_size=12)
QUIET = [HealthCheck.function_scoped_fixture]


def step_by_step(stage: Stage, writes: list[Callable[[], None]]) -> None:
    """Each write in a wake-up of its own."""

    def next_one() -> None:
        if writes:
            writes.pop(0)()
            stage.loop.call_soon(next_one)

    next_one()


@settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
@given(chunks=CHUNKS)
def test_any_bytes_in_any_chunks_arrive_unchanged(make_talk: MakeTalk, chunks: Chunks) -> None:
    talk = make_talk("unix")
    talk.relay.start()
    sides = {True: talk.client, False: talk.server}
    writes = [lambda way=way, data=data: sides[way].sendall(data) for way, data in chunks]
    writes += [lambda: talk.client.shutdown(socket.SHUT_WR), lambda: talk.server.shutdown(socket.SHUT_WR)]
    step_by_step(talk.stage, writes)
    assert talk.run() == "client closed"
    for way, direction, receiver in ((True, IN, talk.server), (False, OUT, talk.client)):
        sent = b"".join(data for side, data in chunks if side is way)
        assert read_all(receiver) == talk.seen(direction) == sent
        assert talk.relay.undelivered[direction] == 0


@settings(max_examples=25, deadline=None, suppress_health_check=QUIET)
@given(chunks=CHUNKS)
def test_any_bytes_in_any_chunks_arrive_unchanged_in_tls(
    make_talk: MakeTalk, certificates: Certificates, chunks: Chunks
) -> None:
    """The peers are legs as well, in the same loop."""
    talk = make_talk("unix")
    stage = talk.stage
    relay = talk.relay
    front, back = Leg(stage.loop, talk.client, "front"), Leg(stage.loop, talk.server, "back")
    got = {IN: b"", OUT: b""}
    done: list[LegError | None] = []

    def heard(way: Direction) -> Callable[[bytes], None]:
        def add(data: bytes) -> None:
            got[way] += data

        return add

    front.on_data, back.on_data = heard(OUT), heard(IN)
    for leg, is_server in ((front, False), (relay.client, True), (relay.server, False), (back, True)):
        leg.start_tls(
            certificates.server() if is_server else certificates.client(),
            server_side=is_server,
            server_hostname=None if is_server else "localhost",
            on_done=done.append,
        )
    for leg in (front, back):
        leg.resume()
    relay.start()
    writes = [lambda way=way, data=data: (front if way else back).write(data) for way, data in chunks]
    step_by_step(stage, [*writes, front.shutdown_write, back.shutdown_write])
    talk.run()
    stage.run_until(lambda: front.ended and back.ended)
    assert done == [None] * 4
    for way, direction in ((True, IN), (False, OUT)):
        sent = b"".join(data for side, data in chunks if side is way)
        assert got[direction] == talk.seen(direction) == sent
    for leg in (front, back):
        leg.close()
