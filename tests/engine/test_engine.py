"""The parts of the engine together: TLS begun in the middle, bulk, random ends, any bytes in any chunks."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import ssl
import threading
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawlog.engine.bounds import Limits
from rawlog.engine.leg import Leg, LegError
from rawlog.engine.loop import Loop
from rawlog.engine.plain import PlainRelay
from rawlog.engine.poller import SelectorPoller
from rawlog.events import Direction
from tests.engine.peers import Actor, TlsPeer, duplex, read_all, secure, stream
from tests.engine.stage import Certificates, MakeTalk, Stage, Talk

IN, OUT = Direction.IN, Direction.OUT


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
        assert talk.server.recv(11, socket.MSG_WAITALL) == b"meanwhile\r\n"
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


def test_64_mib_both_ways_at_once_with_slow_readers(any_talk: Talk) -> None:
    talk, size = any_talk, 64 << 20
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

    is_plain = isinstance(talk.relay, PlainRelay)
    (talk.relay if is_plain else talk.relay.client).tap = tap
    peers = [talk.stage.peer(duplex, sock, size, full) for sock in (talk.client, talk.server)]
    talk.run()
    want = 0
    for piece in stream(size):
        want = zlib.crc32(piece, want)
    assert [peer.result() for peer in peers] == [want, want]
    assert sizes == {IN: size, OUT: size}
    assert checks == {IN: want, OUT: want}
    assert 0 < min(most.values()) <= max(most.values()) <= 131072 * 1.01


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


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_the_same_of_two_sockets(make_plain_talk: MakeTalk, kind: str, part: int) -> None:
    for seed in range(part * 17, part * 17 + 17):
        check_random_ends(make_plain_talk(kind), seed, None)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_the_same_of_two_sockets_where_there_is_no_epoll(stage: Stage, make_plain_talk: MakeTalk, kind: str) -> None:
    stage.loop.close()
    stage.loop = Loop(SelectorPoller())
    stage.loop.on_error = stage.errors.append
    for seed in range(100, 110):
        check_random_ends(make_plain_talk(kind), seed, None)


@pytest.mark.parametrize("kind", ["tcp", "unix", "tls"])
def test_the_same_where_there_is_no_epoll(
    stage: Stage, make_talk: MakeTalk, certificates: Certificates, kind: str
) -> None:
    stage.loop.close()
    stage.loop = Loop(SelectorPoller())
    stage.loop.on_error = stage.errors.append
    for seed in range(100, 110):
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
def test_any_bytes_in_any_chunks_arrive_unchanged(make_any_talk: MakeTalk, chunks: Chunks) -> None:
    talk = make_any_talk("unix")
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


def test_many_at_once_do_not_disturb_each_other(stage: Stage, make_any_talk: MakeTalk) -> None:
    """Some peers never read; the others get all."""
    talks = [make_any_talk("unix", Limits(read_max=16384)) for _ in range(60)]
    data = os.urandom(400_000)

    def serve(talk: Talk) -> None:
        with contextlib.suppress(OSError):
            talk.server.sendall(data)
            talk.server.close()

    def ask(talk: Talk) -> bytes:
        got = read_all(talk.client)
        talk.client.close()
        return got

    for talk in talks:
        talk.relay.start()
    serving = [stage.peer(serve, talk) for talk in talks]
    asking = [stage.peer(ask, talk) for talk in talks[::2]]
    while not all(talk.reasons for talk in talks[::2]):
        stage.run()
    assert all(peer.result() == data for peer in asking)
    for talk in talks[1::2]:
        assert not talk.reasons
        assert 0 < talk.relay.client.queued <= 16384
        talk.relay.abort("enough")
    for peer in serving:
        peer.result()
