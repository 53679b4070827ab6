"""A recorded socket behaves as the one it wraps, and everything that goes through it is recorded."""

from __future__ import annotations

import io
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rawlog.events import Mark
from rawlog.reading.opener import open_recording
from rawlog.taps.stream_socket import RecordedSocket, record_socket
from tests.support.certificates import certificates
from tests.support.gateway import Record, records


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Any, socket.socket]]:
    """A recorded POP3 client, and its server."""
    ours, theirs = socket.socketpair()
    recorded = record_socket(ours, tmp_path, protocol="pop3")
    with recorded, theirs:
        yield recorded, theirs


def record(directory: Path) -> Record:
    (found,) = records(directory)
    return found


def test_where_the_directory_is_missing_it_is_the_socket_itself(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert record_socket(ours, tmp_path / "gone", protocol="imap") is ours


READS: list[Callable[[Any], bytes]] = [
    lambda sock: sock.recv(100),
    lambda sock: _into(lambda buffer: sock.recv_into(buffer)),
    lambda sock: _into(lambda buffer: sock.recv_into(buffer, 100)),
    lambda sock: sock.recvfrom(100)[0],
    lambda sock: sock.makefile("rb").readline(),
    lambda sock: sock.makefile("rb", buffering=0).read(100),
    lambda sock: sock.makefile("rwb").readline(),
    lambda sock: sock.makefile("r", newline="").readline().encode(),
]


def _into(read: Callable[[bytearray], int]) -> bytes:
    buffer = bytearray(100)
    return bytes(buffer[: read(buffer)])


@pytest.mark.parametrize("read", READS)
def test_every_way_to_read(pair: tuple[Any, socket.socket], tmp_path: Path, read: Callable[[Any], bytes]) -> None:
    ours, theirs = pair
    theirs.sendall(b"+OK ready\r\n")
    assert ours.recv(3, socket.MSG_PEEK) == b"+OK"
    assert read(ours) == b"+OK ready\r\n"
    assert record(tmp_path).in_ == b"+OK ready\r\n"


def _write(file: Any, data: Any) -> None:
    file.write(data)
    file.flush()


WRITES: list[Callable[[Any], object]] = [
    lambda sock: sock.send(b"NOOP\r\n"),
    lambda sock: sock.sendall(memoryview(b"NOOP\r\n")),
    lambda sock: sock.sendall(bytearray(b"NOOP\r\n")),
    lambda sock: sock.sendfile(io.BytesIO(b"NOOP\r\n")),
    lambda sock: sock.sendfile(io.BytesIO(b"xxNOOP\r\nxx"), 2, 6),
    lambda sock: _write(sock.makefile("wb"), b"NOOP\r\n"),
    lambda sock: _write(sock.makefile("rwb"), b"NOOP\r\n"),
    lambda sock: _write(sock.makefile("w", newline=""), "NOOP\r\n"),
]


@pytest.mark.parametrize("write", WRITES)
def test_every_way_to_write(pair: tuple[Any, socket.socket], tmp_path: Path, write: Callable[[Any], object]) -> None:
    ours, theirs = pair
    theirs.sendall(b"+OK ready\r\n")
    ours.recv(100)
    write(ours)
    assert theirs.recv(100) == b"NOOP\r\n"
    assert record(tmp_path).out == b"NOOP\r\n"


def test_the_rest_is_the_socket_s_own(pair: tuple[Any, socket.socket]) -> None:
    ours, theirs = pair
    ours.settimeout(5)
    assert ours.gettimeout() == 5
    assert ours.family is socket.AF_UNIX
    theirs.sendall(b"x")
    assert select.select([ours], [], [], 5)[0] == [ours]
    ours.shutdown(socket.SHUT_WR)
    assert theirs.recv(1) == b""


def test_errors_are_the_socket_s_own(pair: tuple[Any, socket.socket]) -> None:
    ours, theirs = pair
    ours.setblocking(False)
    with pytest.raises(BlockingIOError):
        ours.recv(1)
    with pytest.raises(AttributeError):
        ours.read()  # of an SSLSocket only
    theirs.close()
    with pytest.raises(BrokenPipeError):
        ours.sendall(b"x" * 100)


def test_the_socket_stays_open_while_there_is_a_file(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    sock = record_socket(ours, tmp_path, protocol="pop3", native=True)
    file = sock.makefile("rb")
    sock.close()
    theirs.sendall(b"+OK late\r\n")
    assert file.readline() == b"+OK late\r\n"
    file.close()
    assert theirs.recv(1) == b""
    theirs.close()
    (path,) = tmp_path.iterdir()
    events = list(open_recording(path).events)
    assert [e.detail for e in events if isinstance(e, Mark) and e.name == "closed"] == [{"reason": "closed"}]


def test_what_it_can_not_see_is_a_gap(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with record_socket(ours, tmp_path, protocol="pop3", native=True) as sock, theirs:
        theirs.sendall(b"+OK ready\r\n")
        sock.recv(100)
        assert sock.sendmsg([b"NO", b"OP\r\n"]) == 6
    (path,) = tmp_path.iterdir()
    marks = [e.detail for e in open_recording(path).events if isinstance(e, Mark) and e.name == "gap"]
    assert marks == [{"cause": "what went through sendmsg() is not recorded"}]


def test_tls_in_the_middle_of_a_recording(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    server = certificates().server()

    def serve() -> None:
        theirs.sendall(b"+OK ready\r\n")
        assert theirs.recv(100) == b"STLS\r\n"
        theirs.sendall(b"+OK go\r\n")
        with server.wrap_socket(theirs, server_side=True) as tls:
            tls.sendall(b"+OK inside " + tls.recv(100))

    thread = threading.Thread(target=serve)
    thread.start()
    sock: Any = record_socket(ours, tmp_path, protocol="pop3")
    assert sock.recv(100) == b"+OK ready\r\n"
    sock.sendall(b"STLS\r\n")
    assert sock.recv(100) == b"+OK go\r\n"
    assert isinstance(sock, RecordedSocket)
    tls: Any = sock.upgraded(certificates().client().wrap_socket(sock, server_hostname="localhost"))  # type: ignore[arg-type]
    with tls:
        tls.write(b"NOOP\r\n")
        assert tls.read(100) == b"+OK inside NOOP\r\n"
        assert tls.version() == "TLSv1.3"
    thread.join(10)
    found = record(tmp_path)
    assert found.in_ == b"+OK ready\r\n+OK go\r\n+OK inside NOOP\r\n"
    assert found.out == b"STLS\r\nNOOP\r\n"
