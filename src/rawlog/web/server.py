"""The viewer's server: one port, one address to open, until it is ended.

Knows: uvicorn, and that nothing may listen to a network in the clear. Must not know: recordings, the page.
"""

from __future__ import annotations

import logging
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import uvicorn

from rawlog.errors import ConfigError, RawlogError
from rawlog.web.app import make_app
from rawlog.web.catalog import Catalog
from rawlog.web.desk import Desk
from rawlog.web.guard import LOOPBACK, Keys

CONNECTIONS_LIMIT = 200
"""Connections at a time: a page needs six."""

FAREWELL = 1
"""Seconds that open connections have at the end."""

BACKLOG = 64

TURN = 0.001
"""Seconds for which one thread keeps the others waiting: who reads a recording, those who show its beginning."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a name or address, and a port (0: any free one); certificate and key for TLS."""

    host: str
    port: int
    cert: str | None = None
    key: str | None = None

    @property
    def scheme(self) -> str:
        """``http``, or ``https`` with a certificate."""
        return "https" if self.cert else "http"


@contextmanager
def bound(address: Address) -> Iterator[socket.socket]:
    """A socket that listens there. Raises ConfigError where that is not safe, RawlogError where it can't be done."""
    if address.host not in LOOPBACK and not address.cert:
        raise ConfigError(
            f"{address.host}: others could read along: give --cert and --key, or listen on 127.0.0.1 and use ssh -L"
        )
    if address.host in ("0.0.0.0", "::", ""):
        raise ConfigError(f"{address.host}: name the address that browsers will use, not all of them")
    try:
        family, *_, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        with listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(BACKLOG)
            yield listening
    except OSError as error:
        raise RawlogError(
            f"{address.host}:{address.port}: can't listen there: {error.strerror}; choose another with --listen"
        ) from None


class _Server(uvicorn.Server):
    """Ends what lasts when it is told to end, and does not complain of what it cut short itself."""

    def __init__(self, config: uvicorn.Config, desk: Desk) -> None:
        super().__init__(config)
        self._desk = desk

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.end()
        super().handle_exit(sig, frame)

    def end(self) -> None:
        """Serve no more."""
        self._desk.stopped = True
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        self.should_exit = True


class Viewer:
    """The viewer of a catalog at a socket that listens. ``url`` is the address to open."""

    def __init__(self, catalog: Catalog, listening: socket.socket, address: Address) -> None:
        desk = Desk(catalog)
        keys = Keys(secure=address.scheme == "https")
        hosts = LOOPBACK | {address.host.lower()}
        port = listening.getsockname()[1]
        host = f"[{address.host}]" if ":" in address.host else address.host
        self.url = f"{address.scheme}://{host}:{port}/#token={keys.token}"
        self._listening = listening
        config = uvicorn.Config(
            make_app(desk, keys, hosts=hosts, scheme=address.scheme),
            access_log=False,
            http="h11",
            limit_concurrency=CONNECTIONS_LIMIT,
            log_level="error",
            loop="asyncio",
            proxy_headers=False,
            server_header=False,
            ssl_certfile=address.cert,
            ssl_keyfile=address.key,
            timeout_graceful_shutdown=FAREWELL,
            ws="none",
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{address.cert}: no certificate with its key: {error}; both in PEM") from None
        self._server = _Server(config, desk)

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        sys.setswitchinterval(TURN)
        self._server.run(sockets=[self._listening])

    def stop(self) -> None:
        """End it, from another thread."""
        self._server.end()
