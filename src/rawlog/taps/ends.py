"""Who is at the ends of a client's connection: by the socket, or by the PROXY header that a trusted proxy sent.

Knows: addresses, and which of them never leave this machine. Must not know: who may be believed (arrival.py), mail.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass

from rawlog.engine.proxyprotocol import Address, ProxyHeader


@dataclass(frozen=True, slots=True)
class Ends:
    """``client``: whose connection it is; ``listener``: where it came in; None where that is not known any more.

    ``proxy``: who brought it with a PROXY header; None when the client came by itself.
    """

    client: Address | None
    listener: Address | None
    proxy: Address | None = None

    @property
    def is_local(self) -> bool:
        """Whether what the client says never leaves this machine: then its password may come without TLS.

        With a proxy both parts of the way count. A header without addresses says nothing about the first one.
        """
        if self.proxy is not None:
            return self.proxy != self.client and is_loopback(self.proxy) and is_loopback(self.client)
        return is_loopback(self.client)


def ends_of(sock: socket.socket) -> Ends:
    """The ends of an accepted connection."""
    return Ends(_address(sock.getpeername), _address(sock.getsockname))


def introduced(ends: Ends, header: ProxyHeader) -> Ends:
    """The ends that a proxy at ``ends.client`` speaks of; without addresses its own connection counts."""
    if header.source is None or header.destination is None:
        return Ends(ends.client, ends.listener, ends.client)
    return Ends(header.source, header.destination, ends.client)


def is_loopback(address: Address | None) -> bool:
    """Whether it is an address of this machine that nobody else can use, or a unix socket."""
    ip = ip_of(address)
    return ip.is_loopback if ip is not None else address is not None


def ip_of(address: Address | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address, IPv4 where it is mapped into IPv6 (a listener for both); None for unix sockets."""
    if address is None or not address.host:
        return None
    ip = ipaddress.ip_address(address.host)
    return getattr(ip, "ipv4_mapped", None) or ip


def shown(address: Address | None) -> str:
    """``192.0.2.1:143``, ``[2001:db8::1]:143``, ``unix``; empty when it is not known."""
    return "" if address is None else str(address)


def _address(ask: Callable[[], object]) -> Address | None:
    try:
        name = ask()
    except OSError:
        return None
    if not isinstance(name, tuple):
        return Address("", 0, name if isinstance(name, bytes) else str(name).encode(errors="surrogateescape"))
    return Address(str(name[0]).partition("%")[0], int(name[1]))
