"""A collector for recordings, and a stage on which a sink sends to it.

Knows: numbered lines, so that a missing or doubled one shows; a collector that accepts, refuses, resets, never reads.
Must not know: what a test expects.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

import pytest

from rawlog.engine.connect import resolve
from rawlog.engine.loop import Loop
from rawlog.recorder.tcp import TcpSink

SECONDS = 20.0
"""Longest wait for anything."""


def lines(first: int, last: int, width: int = 80) -> bytes:
    """Numbered lines, ``width`` bytes each."""
    return b"".join(b"%0*d\r\n" % (width - 2, number) for number in range(first, last))


class Collector:
    """What a collector got, by connection. It takes connections while it listens, and bytes while it reads."""

    def __init__(self) -> None:
        self.port = 0
        self.sock = self._bound()
        self.port = self.sock.getsockname()[1]
        self.reading = True
        self.got: list[bytes] = []
        self.ended: list[bool] = []
        self.connections: list[socket.socket] = []

    def _bound(self) -> socket.socket:
        """A socket that has the port, so that connections are refused."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)  # small: so that not reading is soon felt
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port))
        sock.setblocking(False)
        return sock

    def listen(self) -> None:
        self.sock.listen(8)

    def stop_listening(self) -> None:
        self.sock.close()
        self.sock = self._bound()

    def step(self) -> None:
        try:
            connection, _ = self.sock.accept()
            connection.setblocking(False)
            self.connections.append(connection)
            self.got.append(b"")
            self.ended.append(False)
        except OSError:
            pass
        for number in range(len(self.connections)) if self.reading else ():
            self._read(number)

    def _read(self, number: int) -> None:
        try:
            while not self.ended[number] and (data := self.connections[number].recv(65536)):
                self.got[number] += data
            self.ended[number] = True
        except BlockingIOError:
            pass
        except OSError:
            self.ended[number] = True

    def reset(self) -> None:
        """End the last connection with a reset."""
        self.connections[-1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()

    def hang_up(self) -> None:
        """Close the last connection."""
        self.connections[-1].close()
        self.ended[-1] = True

    @property
    def all(self) -> bytes:
        return b"".join(self.got)


class Stage:
    """A loop, a collector, a sink that goes to it, and what the sink reported."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.collector = Collector()
        self.reports: list[str] = []
        self.closed = 0
        self.errors: list[BaseException] = []
        self.loop.on_error = self.errors.append
        self.sink = self.make()

    def make(self) -> TcpSink:
        name = f"tcp:localhost:{self.collector.port}"
        ends = resolve("127.0.0.1", self.collector.port)
        return TcpSink(self.loop, ends, name, report=self.reports.append, on_closed=self._closed)

    def _closed(self) -> None:
        self.closed += 1

    def until(self, condition: Callable[[], object]) -> None:
        """Let the loop run until something is so."""
        deadline = time.monotonic() + SECONDS

        def look() -> None:
            self.collector.step()
            if condition() or time.monotonic() > deadline:
                self.loop.stop()
            else:
                self.loop.call_later(0.002, look)

        self.loop.call_soon(look)
        self.loop.run()
        assert not self.errors
        assert condition(), (self.collector.got, self.reports)

    def until_got(self, size: int) -> None:
        """Until the collector has so many bytes."""
        self.until(lambda: len(self.collector.all) >= size)

    def until_connected(self, count: int) -> None:
        """Until the collector has had so many connections."""
        self.until(lambda: len(self.collector.connections) >= count)

    def pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end)

    def end(self) -> None:
        """Close the sink and wait for it."""
        self.sink.close()
        self.until(lambda: self.closed)
        self.collector.step()

    def fill(self) -> int:
        """Write lines until the sink refuses; how many bytes it took."""
        number = 0
        with pytest.raises(BlockingIOError):
            while True:
                self.sink.write(lines(number, number + 100))
                number += 100
        return self.sink.written
