"""A collector of ``rawlog_dir = tcp:HOST:PORT``: takes streams and keeps them."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

from rawlog.events import Chunk, Direction
from rawlog.formats.combined import CombinedDecoder
from tests.support.gateway import eventually
from tests.support.peer import SECONDS


class Collector:
    """``with Collector() as collector``: listens on ``collector.port`` of 127.0.0.1. ``streams`` is what came, by
    connection; with ``reading`` False connections are taken and never read from."""

    def __init__(self, *, reading: bool = True, port: int = 0) -> None:
        self.streams: list[bytearray] = []
        self.ended = 0
        self._reading = reading
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def finished(self, count: int) -> list[bytes]:
        """The streams, when ``count`` of them have ended."""
        eventually(lambda: self.ended >= count)
        return [bytes(stream) for stream in self.streams]

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(SECONDS)
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            if self._reading:
                self.streams.append(stream := bytearray())
                threading.Thread(target=self._read, args=(connection, stream), daemon=True).start()

    def _read(self, connection: socket.socket, stream: bytearray) -> None:
        try:
            while data := connection.recv(65536):
                stream += data
        except OSError:
            pass
        self.ended += 1


def side(stream: bytes, direction: Direction) -> bytes:
    """What went in one direction, from a combined stream."""
    decoder = CombinedDecoder()
    events = [*decoder.feed(stream), *decoder.end()]
    return b"".join(e.data for e in events if isinstance(e, Chunk) and e.direction is direction)
