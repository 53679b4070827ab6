from __future__ import annotations

import contextlib
import socket

import pytest

from rawlog.engine.bounds import READ_AFTER_STALL, READ_FIRST, READ_MAX
from rawlog.engine.wire import Wire
from tests.engine.stage import Stage


class Ear(Wire):
    """A wire that writes down what it is told."""

    __slots__ = ("fail", "told")

    def __init__(self, stage: Stage, sock: socket.socket) -> None:
        super().__init__(stage.loop, sock)
        self.told: list[object] = []
        self.fail = False

    def _on_raw(self, raw: bytes) -> None:
        if self.fail:
            raise ValueError("bug")
        self.told.append(raw)

    def _on_raw_end(self) -> None:
        self.ended = True
        self._watch()
        self.told.append("end")

    def _on_reset(self, error: OSError) -> None:
        self.ended = True
        self._watch()
        self.told.append(type(error))

    def _on_send_error(self, error: OSError) -> None:
        self.told.append(("send", type(error)))

    def _on_emptied(self) -> None:
        self._watch()
        self.told.append("emptied")

    def _on_bug(self, error: Exception) -> None:
        self.told.append(str(error))
        self.close()


def turns(stage: Stage, seconds: float = 0.03) -> int:
    """Wake-ups of the loop in that time: many mean that it spins."""
    count = 0
    poll = stage.loop._poller.poll

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(stage.loop._poller_before, name)  # type: ignore[attr-defined]

    def counted(timeout: float, most: int) -> list[tuple[int, int]]:
        nonlocal count
        count += 1
        return poll(timeout, most)

    before = stage.loop._poller
    stage.loop._poller_before = before  # type: ignore[attr-defined]
    counting = Counting()
    counting.poll = counted  # type: ignore[attr-defined]
    stage.loop._poller = counting  # type: ignore[assignment]
    stage.pause(seconds)
    stage.loop._poller = before
    return count


@pytest.fixture(params=["tcp", "unix"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_reads_when_asked_to(stage: Stage, kind: str) -> None:
    peer, sock = stage.pair(kind)
    wire = Ear(stage, sock)
    peer.sendall(b"hello")
    stage.pause(0.01)
    assert wire.told == []
    wire.resume()
    stage.run_until(lambda: wire.told == [b"hello"])
    wire.pause()
    peer.sendall(b"later")
    stage.pause(0.01)
    assert wire.told == [b"hello"]
    wire.resume()
    peer.shutdown(socket.SHUT_WR)
    stage.run_until(lambda: wire.told == [b"hello", b"later", "end"])
    assert turns(stage) < 10


def test_the_size_of_reads_follows_the_traffic(stage: Stage) -> None:
    peer, sock = stage.pair("unix")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    wire = Ear(stage, sock)
    peer.sendall(bytes(180_000))
    wire.resume()
    stage.run_until(lambda: sum(len(data) for data in wire.told) == 180_000)
    sizes = [len(data) for data in wire.told]
    assert sizes[:3] == [READ_FIRST, 4 * READ_FIRST, 16 * READ_FIRST]
    assert max(sizes) <= READ_MAX
    peer.sendall(b"small")
    stage.run_until(lambda: wire.told[-1] == b"small")
    assert wire._size == READ_FIRST
    wire._size = READ_MAX
    wire.shrink()
    assert wire._size == READ_AFTER_STALL
    wire._size = READ_FIRST
    wire.shrink()
    assert wire._size == READ_FIRST


def test_the_largest_read_can_be_set(stage: Stage) -> None:
    peer, sock = stage.pair("unix")
    wire = Ear(stage, sock)
    wire.read_max = 8192
    peer.sendall(bytes(60_000))
    wire.resume()
    stage.run_until(lambda: sum(len(data) for data in wire.told) == 60_000)
    assert max(len(data) for data in wire.told) == 8192


def test_sends_the_rest_when_there_is_room(stage: Stage, kind: str) -> None:
    peer, sock = stage.pair(kind)
    wire = Ear(stage, sock)
    data = bytes(range(256)) * 40_000
    wire._send(data, len(data))
    assert wire._out.queued
    reading = stage.peer(lambda: b"".join(iter(lambda: peer.recv(1 << 20), b"")))
    stage.run_until(lambda: wire.told == ["emptied"])
    assert turns(stage) < 10
    wire.close()
    assert reading.result() == data


def test_a_dead_peer_of_a_paused_wire_does_not_spin_the_loop(stage: Stage, kind: str) -> None:
    peer, sock = stage.pair(kind)
    wire = Ear(stage, sock)
    wire.resume()
    wire.pause()
    peer.sendall(b"last words")
    if kind == "tcp":
        sock.shutdown(socket.SHUT_WR)
    peer.close()
    assert turns(stage) < 10
    wire.resume()
    stage.run_until(lambda: wire.told == [b"last words", "end"])
    assert turns(stage) < 10


def test_a_reset_is_told_after_what_came_before_it(stage: Stage) -> None:
    peer, sock = stage.pair("tcp")
    wire = Ear(stage, sock)
    peer.sendall(b"last words")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    wire.resume()
    stage.run_until(lambda: wire.told == [b"last words", ConnectionResetError])
    assert wire.hard
    assert turns(stage) < 10


def test_a_send_error_is_told_later_and_reading_goes_on(stage: Stage) -> None:
    peer, sock = stage.pair("unix")
    wire = Ear(stage, sock)
    peer.sendall(b"last words")
    peer.close()
    wire._send(b"hello", 5)
    assert wire.told == []
    wire.resume()
    stage.run_until(lambda: "end" in wire.told)
    assert [what for what in wire.told if what != ("send", BrokenPipeError)] == [b"last words", "end"]
    assert ("send", BrokenPipeError) in wire.told


def test_a_send_error_while_flushing_is_told(stage: Stage) -> None:
    peer, sock = stage.pair("unix")
    wire = Ear(stage, sock)
    wire._send(bytes(1 << 22), 1 << 22)
    peer.close()
    stage.run_until(lambda: bool(wire.told))
    assert wire.told[0] in [("send", BrokenPipeError), ("send", ConnectionResetError)]
    assert turns(stage) < 10
    assert wire._out.queued == 0


def test_unacked_counts_what_the_peer_s_kernel_has_not(stage: Stage) -> None:
    peer, sock = stage.pair("tcp")
    wire = Ear(stage, sock)
    assert wire.unacked() == 0
    wire._send(bytes(1 << 24), 1 << 24)
    assert wire.unacked() > 0
    stage.peer(lambda: b"".join(iter(lambda: peer.recv(1 << 20), b"")))
    stage.run_until(lambda: not wire._out.queued and not wire.unacked())
    wire.close()
    assert wire.unacked() == 0


def test_abort_resets(stage: Stage) -> None:
    peer, sock = stage.pair("tcp")
    wire = Ear(stage, sock)
    wire.abort()
    wire.abort()
    with pytest.raises(ConnectionResetError):
        peer.recv(1)


def test_close_lets_the_kernel_deliver(stage: Stage) -> None:
    peer, sock = stage.pair("tcp")
    wire = Ear(stage, sock)
    wire.resume()
    wire._send(b"good bye", 8)
    wire.close()
    wire.close()
    wire.resume()
    assert peer.recv(100) == b"good bye"
    assert peer.recv(1) == b""
    assert turns(stage) < 10


def test_a_bug_in_what_is_called_stays_on_this_wire(stage: Stage) -> None:
    peer, sock = stage.pair("tcp")
    wire = Ear(stage, sock)
    wire.fail = True
    wire.resume()
    peer.sendall(b"x")
    stage.run_until(lambda: wire.told == ["bug"])
    assert stage.errors == []


def test_small_packets_are_not_delayed(stage: Stage) -> None:
    _, sock = stage.pair("tcp")
    Ear(stage, sock)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert not sock.getblocking()


def test_a_connecting_socket_is_a_wire_too(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = socket.socket()
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect(server.getsockname())
        wire = Ear(stage, sock)
        wire.resume()
        wire._send(b"hello", 5)
        peer = server.accept()[0]
        peer.settimeout(5)
        heard = stage.peer(lambda: peer.recv(100))
        stage.run_until(lambda: not heard.is_alive())
        assert heard.result() == b"hello"
        wire.close()
        peer.close()


def test_what_a_leg_must_say_is_not_forgotten(stage: Stage) -> None:
    _, sock = stage.pair()
    wire = Wire(stage.loop, sock)
    for call in (wire._on_raw_end, wire._on_emptied):
        with pytest.raises(NotImplementedError):
            call()
