"""A connection that begins with a PROXY header: who brings it, and whom it brings.

The theory. Anybody can write a header, so the peer is asked for its address first, and only a trusted one is read
from. The header comes before everything, TLS too. Its bytes, and no others, are taken from the socket: what follows
stays there for the conversation, so that TLS or a greeting need not know that there was a header.

Knows: the socket before its conversation, trusted networks, a deadline. Must not know: what is spoken then.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from rawlog.engine.loop import READ, Loop
from rawlog.engine.proxyprotocol import V2_LIMIT, ProxyProtocolError, ProxyReader
from rawlog.settings.values import Network
from rawlog.taps.ends import Ends, ends_of, introduced, ip_of, shown


class Arrival:
    """Waits for the header on ``sock``, ``timeout`` seconds at most.

    ``on_done(arrival, ends, refusal)`` is called once, never from inside this call: with the ends that the header
    tells, or with None and a sentence; an empty one for a proxy that only looked whether somebody listens. The socket
    is the caller's all the time.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        trusted: Sequence[Network],
        timeout: float,
        on_done: Callable[[Arrival, Ends | None, str], None],
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._loop = loop
        self._on_done = on_done
        self._ends = ends_of(sock)
        self._reader = ProxyReader()
        self._begun = self._over = False
        self._who = f"proxy {shown(self._ends.client)}"
        if not _trusts(trusted, self._ends):
            sentence = (
                "is not in haproxy_trusted_networks; refused: add it there, or let it use a listener without haproxy"
            )
            self._over = True
            loop.call_soon(lambda: on_done(self, None, f"{self._who} {sentence}"))
            return
        self._timer = loop.call_later(
            timeout, lambda: self._refuse(f"sent no PROXY header within {timeout:g} s; refused")
        )
        loop.register(sock.fileno(), self._ready, READ)

    def cancel(self) -> None:
        """Wait no more; nothing is called."""
        if not self._over:
            self._let_go()

    def _ready(self, events: int) -> None:
        try:
            data = self.sock.recv(V2_LIMIT, socket.MSG_PEEK)
            header = self._reader.feed(data) if data else None
        except BlockingIOError:
            return
        except OSError as error:
            self._refuse(f"is gone: {error.strerror}")
            return
        except ProxyProtocolError as error:
            self._refuse(str(error))
            return
        if not data:
            self._refuse("closed the connection in the middle of its PROXY header" if self._begun else "")
            return
        self._begun = True
        self.sock.recv(len(data) - (len(header.rest) if header else 0))
        if header is not None:
            self._let_go()
            self._on_done(self, introduced(self._ends, header), "")

    def _refuse(self, sentence: str) -> None:
        self._let_go()
        self._on_done(self, None, sentence and f"{self._who} {sentence}")

    def _let_go(self) -> None:
        self._over = True
        self._timer.cancel()
        self._loop.unregister(self.sock.fileno())


def _trusts(trusted: Sequence[Network], ends: Ends) -> bool:
    ip = ip_of(ends.client)
    return ip is not None and any(ip.version == network.version and ip in network for network in trusted)
