"""The load generator in Python, for machines where load.c can't be compiled. Same words, same figures; see there.

Knows: as much IMAP as it takes to log in, to fetch and to do nothing. Must not know: what stands between client and
server. It is slower than the C one: with ``fetch`` and with many clients it can be what limits the throughput, so the
clients of ``talk`` are spread over several processes. CPU time of the gateway stays a fair figure.
"""

from __future__ import annotations

import array
import multiprocessing
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

PIECE = 65536  # bytes per write of the server
WARM_UP = 5  # round trips of each connection before the clock starts
WORKERS = 4  # processes of talk
NOOP = b"b NOOP of a usual length \r\n"
NOOP_ANSWER = b"* 23 EXISTS\r\n* 1 RECENT\r\nb OK NOOP completed (0.001 s).\r\n"
LOGIN = b'a LOGIN load "a secret for the load"\r\n'
DONE = b" OK Fetch completed.\r\n"


# -- the server ---------------------------------------------------------------------------------------------------


class Session:
    """One connection of the server. ``answers`` makes what is to be sent, piece by piece."""

    def __init__(self, sock: socket.socket, message: bytes) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._message = memoryview(message)
        self._heard = b""
        self._answers: Iterator[bytes | memoryview] = iter([b"* OK [CAPABILITY IMAP4rev1] ready.\r\n"])
        self._rest = memoryview(b"")

    def ready(self) -> bool:
        """Read or write; True when it waits for room to write. Raises OSError when the client is gone."""
        if not self._rest:
            self._hear()
        return not self._pump()

    def _hear(self) -> None:
        try:
            data = self.sock.recv(4096)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionResetError
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            self._answers = self._answer(line)
            self._pump()

    def _answer(self, line: bytes) -> Iterator[bytes | memoryview]:
        tag, verb, *words = line.split()
        if verb == b"NOOP":
            yield NOOP_ANSWER
        elif verb == b"FETCH":
            for number in range(1, int(words[0].partition(b":")[2]) + 1):
                yield b"* %d FETCH (BODY[] {%d}\r\n" % (number, len(self._message))
                for at in range(0, len(self._message), PIECE):
                    yield self._message[at : at + PIECE]
                yield b")\r\n"
            yield tag + DONE
        else:
            yield tag + b" OK [CAPABILITY IMAP4rev1] " + verb + b" completed.\r\n"

    def _pump(self) -> bool:
        """Send what is to be sent; False when the socket is full."""
        while True:
            while self._rest:
                try:
                    self._rest = self._rest[self.sock.send(self._rest) :]
                except BlockingIOError:
                    return False
            piece = next(self._answers, None)
            if piece is None:
                return True
            self._rest = memoryview(piece)


def serve(file: str) -> None:
    """Serve until standard input ends."""
    message = Path(file).read_bytes()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    poll, sessions = select.epoll(), dict[int, Session]()
    for fd in (0, listener.fileno()):
        poll.register(fd, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == 0:
                return
            if fd == listener.fileno():
                sock, _ = listener.accept()
                sessions[sock.fileno()] = session = Session(sock, message)
                poll.register(sock.fileno(), select.EPOLLIN)
                session.ready()
                continue
            try:
                waits = sessions[fd].ready()
                poll.modify(fd, select.EPOLLOUT if waits else select.EPOLLIN)
            except OSError:
                poll.unregister(fd)
                sessions.pop(fd).sock.close()


# -- the clients --------------------------------------------------------------------------------------------------


def enter(port: int, tls: bool, save: Callable[[bytes], object] = len) -> socket.socket:
    """A connection that has logged in."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20.0)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        sock = context.wrap_socket(sock)
    expect(sock, b"* O", save)
    sock.sendall(LOGIN)
    expect(sock, b"a O", save)
    return sock


def expect(sock: socket.socket, mark: bytes, save: Callable[[bytes], object]) -> None:
    """Read until a line begins with ``mark``."""
    line = b""
    while not line.startswith(mark) or not line.endswith(b"\n"):
        line = b"" if line.endswith(b"\n") else line
        byte = sock.recv(1)
        if not byte:
            raise ConnectionResetError("the connection ended")
        line += byte
        save(byte)


def fetch(port: int, tls: bool, count: int, file: str | None) -> None:
    """One client fetches."""
    out = open(file, "wb") if file else None  # noqa: SIM115
    sock = enter(port, tls, out.write if out else len)
    ready_go()
    begin = time.perf_counter()
    sock.sendall(b"c FETCH 1:%d (BODY[])\r\n" % count)
    total, tail, room = 0, b"", bytearray(262144)
    view = memoryview(room)
    while not tail.endswith(DONE):
        got = sock.recv_into(room)
        if not got:
            raise ConnectionResetError("the connection ended")
        total += got
        tail = (tail + bytes(view[max(0, got - len(DONE)) : got]))[-len(DONE) :]
        if out:
            out.write(view[:got])
    if out:
        out.close()
    print(total, f"{time.perf_counter() - begin:.6f}", flush=True)
    stay()


def ready_go() -> None:
    """Say that all is ready, and wait for the word."""
    print("ready", flush=True)
    if not sys.stdin.readline():
        raise SystemExit(1)


def stay() -> None:
    """Keep the connections until standard input ends."""
    sys.stdin.read()


def received(sock: socket.socket, wanted: int) -> int:
    """How many of the ``wanted`` bytes have come."""
    got = 0
    try:
        while got < wanted:
            data = sock.recv(wanted - got)
            if not data:
                raise ConnectionResetError("the connection ended")
            got += len(data)
    except (BlockingIOError, ssl.SSLWantReadError):
        pass
    return got


def chat(socks: list[socket.socket], enough: Callable[[int], bool]) -> array.array[float]:
    """Every client talks until it is enough; the microseconds of each round trip."""
    poll, times, busy = select.epoll(), array.array("d"), len(socks)
    since, got, by_fd = dict[int, float](), dict[int, int](), {sock.fileno(): sock for sock in socks}
    for fd, sock in by_fd.items():
        poll.register(fd, select.EPOLLIN)
        since[fd], got[fd] = time.perf_counter(), 0
        sock.sendall(NOOP)
    while busy:
        for fd, _ in poll.poll():
            sock = by_fd[fd]
            got[fd] += received(sock, len(NOOP_ANSWER) - got[fd])
            if got[fd] < len(NOOP_ANSWER):
                continue
            at = time.perf_counter()
            times.append((at - since[fd]) * 1e6)
            if enough(len(times)):
                busy -= 1
                continue
            since[fd], got[fd] = at, 0
            sock.sendall(NOOP)
    poll.close()
    return times


def worker(port: int, tls: bool, count: int, seconds: float, parent: Connection) -> None:
    """A process with ``count`` of the clients."""
    socks = [enter(port, tls) for _ in range(count)]
    for sock in socks:
        sock.setblocking(False)
    chat(socks, lambda done: done + count > WARM_UP * count)
    parent.send(None)
    parent.recv()
    end = time.perf_counter() + seconds
    parent.send(chat(socks, lambda _: time.perf_counter() >= end).tobytes())
    parent.recv()


def talk(port: int, tls: bool, count: int, seconds: float) -> None:
    """``count`` clients in several processes."""
    ways = []
    for number in range(min(WORKERS, count)):
        ours, theirs = multiprocessing.Pipe()
        share = len(range(number, count, WORKERS))
        multiprocessing.Process(target=worker, args=(port, tls, share, seconds, theirs), daemon=True).start()
        theirs.close()
        ours.recv()
        ways.append(ours)
    ready_go()
    begin = time.perf_counter()
    for way in ways:
        way.send(None)
    times = array.array("d")
    for way in ways:
        times.frombytes(way.recv())
    taken, ordered = time.perf_counter() - begin, sorted(times)
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) - 1 - len(ordered) // 100]
    print(len(ordered), f"{taken:.6f} {p50:.2f} {p99:.2f}", flush=True)
    stay()


def main(kind: str, first: str, way: str = "", amount: str = "", last: str = "") -> None:
    """The words of the command line."""
    if kind == "serve":
        serve(first)
    elif kind == "fetch":
        fetch(int(first), way == "tls", int(amount), last or None)
    else:
        talk(int(first), way == "tls", int(amount), float(last))


if __name__ == "__main__":
    main(*sys.argv[1:])
