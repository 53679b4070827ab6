"""What a close can lose, asked of real sockets."""

from __future__ import annotations

import socket
import time

import pytest

from rawlog.engine.closing import is_tcp, reset_on_close, unacked_tcp
from tests.engine.peers import reset
from tests.engine.stage import Stage


def test_only_tcp_can_lose_what_was_sent(stage: Stage) -> None:
    assert is_tcp(stage.pair("tcp")[1])
    assert not is_tcp(stage.pair("unix")[1])


def test_what_the_peers_kernel_has_not_is_counted(stage: Stage) -> None:
    peer, ours = stage.pair()
    assert unacked_tcp(ours) == 0
    ours.setblocking(False)
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            sent += ours.send(bytes(1 << 20))
    assert 0 < unacked_tcp(ours) < sent
    while unacked_tcp(ours):
        peer.recv(1 << 20)


def test_on_a_dead_connection_nothing_can_get_there_any_more(stage: Stage) -> None:
    peer, ours = stage.pair()
    ours.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            ours.send(bytes(1 << 20))
    reset(peer)
    deadline = time.monotonic() + 10
    while unacked_tcp(ours) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert unacked_tcp(ours) == 0


def test_a_close_can_be_a_reset(stage: Stage) -> None:
    peer, ours = stage.pair()
    reset_on_close(ours)
    ours.close()
    with pytest.raises(ConnectionResetError):
        peer.recv(1)


def test_a_closed_socket_has_nothing_on_the_way() -> None:
    sock = socket.socket()
    sock.close()
    assert unacked_tcp(sock) == 0
