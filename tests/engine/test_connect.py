from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from rawlog.engine import connect as module
from rawlog.engine.connect import Connecting, Endpoint, connect, resolve, unix
from rawlog.engine.leg import LegError
from tests.engine.stage import Stage

Result = tuple[socket.socket | None, LegError | None]


def attempt(stage: Stage, *ends: Endpoint, timeout: float = 5.0) -> Result:
    results: list[Result] = []
    connect(
        stage.loop, ends, on_done=lambda sock, error: results.append((sock, error)), timeout=timeout, name="backend"
    )
    assert results == [], "called from inside connect"
    stage.run_until(lambda: bool(results))
    stage.pause(0.005)
    (result,) = results
    return result


def closed_port() -> Endpoint:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return resolve(*server.getsockname())[0]


@pytest.fixture
def hanging() -> Endpoint:
    """A listener whose queue is full: the kernel drops what comes, as a firewall does."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    end = resolve(*server.getsockname())[0]
    full = [socket.socket() for _ in range(3)]
    for sock in full:
        sock.setblocking(False)
        sock.connect_ex(server.getsockname())
    time.sleep(0.02)
    yield end
    for sock in [*full, server]:
        sock.close()


def test_connects_over_tcp(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock, error = attempt(stage, *resolve(*server.getsockname()))
        assert error is None
        assert sock is not None
        peer = server.accept()[0]
        peer.sendall(b"x")
        sock.settimeout(5)
        assert sock.recv(1) == b"x"
        peer.close()
        sock.close()


def test_connects_over_a_unix_socket(stage: Stage, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        sock, error = attempt(stage, *unix(path))
        assert error is None
        assert sock is not None
        assert sock.getpeername() == path
        assert not sock.getblocking()
        sock.close()


def test_a_refused_connection_has_its_sentence(stage: Stage) -> None:
    end = closed_port()
    sock, error = attempt(stage, end)
    assert sock is None
    assert str(error) == (
        f"backend {end.text}: connection refused, nothing listens there; start that server or correct the address"
    )


def test_the_next_address_is_tried(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock, error = attempt(stage, closed_port(), closed_port(), *resolve(*server.getsockname()))
        assert error is None
        assert sock is not None
        assert sock.getpeername() == server.getsockname()
        sock.close()


def test_the_last_error_is_told(stage: Stage, tmp_path: Path) -> None:
    path = str(tmp_path / "none")
    _, error = attempt(stage, closed_port(), *unix(path))
    assert str(error) == f"backend {path}: there is no such socket; start that server or correct the path"


def test_a_hanging_server_has_its_sentence(stage: Stage, hanging: Endpoint) -> None:
    sock, error = attempt(stage, hanging, timeout=0.1)
    assert sock is None
    assert str(error).startswith(f"backend {hanging.text}: timed out; check that the host is up")


def test_a_hanging_address_leaves_time_for_the_next(stage: Stage, hanging: Endpoint) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock, error = attempt(stage, hanging, *resolve(*server.getsockname()), timeout=0.2)
        assert error is None
        assert sock is not None
        sock.close()


def test_a_busy_unix_socket_is_tried_again(stage: Stage, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(path)
        server.settimeout(5)
        accepted: list[socket.socket] = []
        stage.loop.call_later(0.05, lambda: accepted.extend(server.accept()[0] for _ in range(1)))
        sock, error = attempt(stage, *unix(path))
        assert error is None
        assert sock is not None
        for end in [*waiting, *accepted, sock]:
            end.close()


def test_a_busy_unix_socket_does_not_last_for_ever(stage: Stage, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(path)
        _, error = attempt(stage, *unix(path), timeout=0.1)
        assert "does not accept connections; check that its process is alive" in str(error)
        for end in waiting:
            end.close()


def test_a_cancelled_attempt_calls_nothing(stage: Stage, hanging: Endpoint) -> None:
    called: list[Result] = []
    tries = [
        Connecting(stage.loop, [end], 5.0, lambda sock, error: called.append((sock, error)), "backend")
        for end in (hanging, closed_port())
    ]
    tries[1].cancel()
    stage.pause(0.01)
    assert tries[0]._sock is not None
    tries[0].cancel()
    stage.pause(0.01)
    assert called == []
    assert tries[0]._sock is tries[0]._timer is None
    assert stage.loop._handlers == {}


def test_cancelled_at_once_nothing_is_tried(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect(stage.loop, resolve(*server.getsockname()), on_done=lambda sock, error: None).cancel()
        stage.pause(0.01)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_no_address_is_an_error(stage: Stage) -> None:
    assert "no address to connect to" in str(attempt(stage)[1])


def test_a_path_that_is_too_long_is_an_error(stage: Stage) -> None:
    assert "no such socket" in str(attempt(stage, *unix("/" + "x" * 300))[1])


def test_no_descriptor_left_is_an_error(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    end = closed_port()

    def none_left(*args: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(module.socket, "socket", none_left)
    assert "raise the limit" in str(attempt(stage, end)[1])


def test_names_and_numbers_are_resolved() -> None:
    (end,) = resolve("127.0.0.1", 143)
    assert (end.family, end.address, end.text) == (socket.AF_INET, ("127.0.0.1", 143), "127.0.0.1:143")
    assert resolve("::1", 993)[0].text == "[::1]:993"
    assert {end.text for end in resolve("localhost", 25)} <= {"127.0.0.1:25", "[::1]:25"}


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 300, "a..b"])
def test_an_unknown_name_is_an_error(host: str) -> None:
    with pytest.raises(LegError, match=r"check the name, and the name servers of this machine"):
        resolve(host, 143)
