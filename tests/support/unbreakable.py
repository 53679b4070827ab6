"""A holder with conversations for tests, without a mail server: peers on both ends, and kills of its worker.

Knows: how the holder is asked, and how to find its worker. Must not know: Dovecot. Only workers of holders that were
started here are killed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rawlog.engine.bounds import Limits
from rawlog.events import Direction
from rawlog.taps.holder_process import start_holder
from rawlog.taps.unbreakable_place import Card

PATIENCE = 20.0


def workers(holder: int) -> list[int]:
    """Children of a holder that were not waited for yet; without code that is only tried out."""
    found = []
    with contextlib.suppress(OSError):
        for word in Path(f"/proc/{holder}/task/{holder}/children").read_text().split():
            try:
                rehearses = "rawlog-rehearsal" in str(Path(f"/proc/{word}/fd/2").readlink())
            except OSError:  # it is dead
                rehearses = False
            if not rehearses:
                found.append(int(word))
    return found


class Held:
    """One conversation: the peers' ends of its sockets, and its files."""

    def __init__(self, client: socket.socket, server: socket.socket, path: Path, number: int) -> None:
        self.client = client
        self.server = server
        self.path = path
        self.number = number

    def recorded(self, direction: Direction) -> bytes:
        """What its file says."""
        return self.path.with_suffix(f".{direction.value}").read_bytes()


class House:
    """A holder. ``reports``: what it and its workers said so far."""

    def __init__(self, directory: Path, places: int = 16, limits: Limits | None = None) -> None:
        self.directory = directory
        self._log = directory / "reports"
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.set_inheritable(log, True)

        def report(sentence: str) -> None:
            os.write(2, f"{sentence}\n".encode())

        # holder and worker keep descriptors 0, 1 and 2 only: their reports must go to 2
        saved = os.dup(2)
        os.dup2(log, 2)
        try:
            self.pid, self.front = start_holder(places, limits=limits or Limits(), report=report)
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(log)
        self.front.settimeout(PATIENCE)
        self._count = 0
        self._closed = False
        self.ended: list[int] = []

    @property
    def reports(self) -> str:
        return self._log.read_text()

    def open(
        self,
        *,
        stamps: bool = False,
        boundaries: bool = False,
        keep: bool = True,
        directions: Sequence[Direction] = tuple(Direction),
        tcp: bool = False,
    ) -> Held:
        """A new conversation."""
        path = self.directory / f"conversation-{self._count}"
        client, theirs = tcp_pair() if tcp else socket.socketpair()
        server, ours = socket.socketpair()
        files = [(direction, f"{path}.{direction.value}") for direction in directions]
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        fds = [os.open(name, flags, 0o600) for _, name in files]
        card = Card(f"rawlog(user{self._count})", stamps, boundaries, keep, files)
        for sock in (theirs, ours):
            sock.setblocking(False)
        reader, writer = os.pipe()
        socket.send_fds(self.front, [b"C" + card.encode()], [reader, theirs.fileno(), ours.fileno(), *fds])
        os.close(reader)
        self._expect(b"A")
        os.close(writer)
        theirs.close()
        ours.close()
        for fd in fds:
            os.close(fd)
        for sock in (client, server):
            sock.settimeout(PATIENCE)
        self._count += 1
        return Held(client, server, path, self._count - 1)

    def _expect(self, wanted: bytes) -> None:
        while (message := self.front.recv(64)) != wanted:
            assert message.startswith(b"E"), message
            self.ended.append(int(message[1:]))

    def wait_ended(self, held: Held) -> None:
        """Until the holder says that it is over."""
        while held.number not in self.ended:
            message = self.front.recv(64)
            assert message.startswith(b"E"), message
            self.ended.append(int(message[1:]))

    @property
    def worker(self) -> int | None:
        """The worker of this moment."""
        return next(iter(workers(self.pid)), None)

    def close(self) -> None:
        """End the service's side; the holder follows when all conversations are over. Kills what does not."""
        if self._closed:
            return
        self._closed = True
        self.front.close()
        deadline = time.monotonic() + PATIENCE
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                worker = self.worker
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                if worker is not None:
                    os.kill(worker, signal.SIGKILL)
                raise AssertionError("the holder did not end")
            time.sleep(0.005)


class Killer(threading.Thread):
    """Kills the worker of ``house`` at random, every 0 to ``pause`` seconds, until it is told to stop or had enough."""

    def __init__(self, house: House, *, enough: int = 10**9, pause: float = 0.02, seed: int = 0) -> None:
        super().__init__(daemon=True)
        self.kills = 0
        self._house = house
        self._enough = enough
        self._pause = pause
        self._random = random.Random(seed)
        self._over = threading.Event()

    def run(self) -> None:
        last = None
        while self.kills < self._enough and not self._over.wait(self._random.uniform(0, self._pause)):
            worker = self._house.worker
            if worker is not None and worker != last:
                last = worker
                with contextlib.suppress(ProcessLookupError):  # code that was tried out, and has ended
                    os.kill(worker, signal.SIGKILL)
                    self.kills += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets on the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        two = server.accept()[0]
    return one, two


class Stream(threading.Thread):
    """Sends ``data`` into one socket in pieces of random size, and reads what comes out of the other end."""

    def __init__(
        self, source: socket.socket, target: socket.socket, data: bytes, *, seed: int, slow: bool = False
    ) -> None:
        super().__init__(daemon=True)
        self.got = b""
        self._source = source
        self._target = target
        self._data = data
        self._random = random.Random(seed)
        self._slow = slow
        self._sender = threading.Thread(target=self._send, daemon=True)

    def _send(self) -> None:
        at = 0
        while at < len(self._data):
            size = self._random.choice((1, 30, 500, 4096, 70000, 200000))
            self._source.sendall(self._data[at : at + size])
            at += size
            if self._slow:
                time.sleep(0.001)
        self._source.shutdown(socket.SHUT_WR)

    def run(self) -> None:
        self._sender.start()
        pieces = []
        while piece := self._target.recv(self._random.choice((100, 5000, 65536, 262144))):
            pieces.append(piece)
        self.got = b"".join(pieces)
        self._sender.join()


def lines(size: int, seed: int) -> bytes:
    """About ``size`` bytes in lines of many lengths, each different, so that nothing can be lost or doubled unseen."""
    maker = random.Random(seed)
    made, total, number = [], 0, 0
    while total < size:
        line = b"%08x " % number + b"abcdefghijklmnopqrstuvwxyz0123456789" * maker.randrange(0, 60) + b"\r\n"
        made.append(line)
        total += len(line)
        number += 1
    return b"".join(made)
