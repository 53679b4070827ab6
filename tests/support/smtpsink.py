"""An SMTP server that keeps what it gets: the relay target of a submission server under test.

Knows: as much SMTP as a relaying client needs. Must not know: what is tested. It has no TLS and asks for no login.
"""

from __future__ import annotations

import socketserver
import threading
from types import TracebackType

IDLE_SECONDS = 30.0


class SmtpSink:
    """``with SmtpSink() as sink``: listens on ``sink.port`` of 127.0.0.1 and appends to ``sink.messages``.

    A message is the bytes between DATA and the final dot, dot-stuffing as it came.
    """

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = IDLE_SECONDS

            def handle(self) -> None:
                sink._serve(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> SmtpSink:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(IDLE_SECONDS)

    def _serve(self, client: socketserver.StreamRequestHandler) -> None:
        client.wfile.write(b"220 sink.example.com ESMTP\r\n")
        for line in client.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                client.wfile.write(b"354 go on\r\n")
                self.messages.append(_block(client))
            if verb == b"EHLO":
                client.wfile.write(b"250-sink.example.com\r\n250-8BITMIME\r\n250 PIPELINING\r\n")
            elif verb == b"QUIT":
                client.wfile.write(b"221 2.0.0 bye\r\n")
                return
            else:
                client.wfile.write(b"250 2.0.0 OK\r\n")


def _block(client: socketserver.StreamRequestHandler) -> bytes:
    lines = []
    for line in client.rfile:
        if line == b".\r\n":
            break
        lines.append(line)
    return b"".join(lines)
