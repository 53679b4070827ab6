"""Recordings as packets, so that Wireshark and its relatives read them.

Knows: which addresses and ports a recording stands for, and where a dissector would lose its way. Must not know: how
packets are written (pcap.py).

Ports are those of the protocols, whatever the listener's was, so that a dissector knows what it sees: imap 143, pop3
110, smtp 587, lmtp 24, managesieve 4190. Addresses that are not known are taken from the ranges for documentation
(RFC 5737, RFC 3849). Behind STARTTLS a dissector expects TLS, but the recording goes on in the clear: what follows gets
a connection of its own. Marks are comments of the packet that follows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import pairwise
from pathlib import Path

from rawlog import __version__
from rawlog.dialogue.exchange_pieces import HELD_LIMIT, who_is_client
from rawlog.dialogue.merge import in_order
from rawlog.events import Chunk, Direction, Mark, Recording
from rawlog.protocols.framing import Framer
from rawlog.protocols.registry import FRAMERS, framer_for
from rawlog.reading.names import parse_name
from rawlog.views.pcap import Address, Connection, file_header, packet

PORTS = {"imap": 143, "pop3": 110, "smtp": 587, "lmtp": 24, "managesieve": 4190}

STEP = 1000
"""Microseconds between the packets of a recording without times."""

_FIRST_PORT = 49152
_PORTS = 16384
_TLS = (0x15, 0x16)  # how the records of a handshake begin
_CLIENTS = (IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1"))
_SERVERS = (IPv4Address("198.51.100.1"), IPv6Address("2001:db8:1::1"))


def pcapng(recordings: Iterable[Recording]) -> Iterator[bytes]:
    """The recordings as one pcapng file, in pieces: each a TCP connection."""
    yield file_header(f"Rawlog {__version__}")
    for number, recording in enumerate(recordings):
        yield from _Packets(recording, number).all()


@dataclass(slots=True)
class _Ends:
    """Where client and server were, as far as that is known."""

    client: Address | None = None
    client_port: int | None = None
    server: Address | None = None

    def learn(self, detail: dict[str, str]) -> None:
        """What the mark ``opened`` says."""
        self.client, self.client_port = _endpoint(detail.get("client", "")) or (self.client, self.client_port)
        listener = _endpoint(detail.get("listener", ""))
        self.server = listener[0] if listener else self.server

    def both(self) -> tuple[Address, Address]:
        """Both addresses, of one family."""
        known = self.client or self.server
        family = 1 if isinstance(known, IPv6Address) else 0
        client, server = self.client or _CLIENTS[family], self.server or _SERVERS[family]
        return client, server if client.version == server.version else _SERVERS[client.version == 6]


@dataclass(slots=True)
class _Packets:
    """The packets of one recording."""

    recording: Recording
    number: int
    ends: _Ends = field(default_factory=_Ends)
    comments: list[str] = field(default_factory=list)
    connection: Connection | None = None
    connections: int = 0
    at: int = 0
    client: Direction = Direction.IN
    taken: dict[Direction, int] = field(default_factory=lambda: dict.fromkeys(Direction, 0))
    last_from_client: bool = True
    behind_tls: bool = False

    def all(self) -> Iterator[bytes]:
        recording = self.recording
        name = parse_name(f"{Path(recording.name).name}.in")
        if name is not None and name.ip:
            self.ends.client = _address(name.ip)
        self.comments.append(f"recording {recording.name}")
        self.client, events = who_is_client(in_order(recording).events)
        framer = None
        if recording.protocol in FRAMERS:
            framer = framer_for(recording.protocol, client=self.client, hold_limit=None)
        for event in events:
            self.at = event.at if event.at is not None else self.at + STEP
            if isinstance(event, Mark):
                self._mark(event)
            else:
                yield from self._chunk(event, framer)
        yield from self._close()

    def _mark(self, mark: Mark) -> None:
        if mark.name == "opened":
            self.ends.learn(dict(mark.detail))
        self.comments.append(" ".join(["mark", mark.name, *(f"{name}={value}" for name, value in mark.detail.items())]))

    def _chunk(self, chunk: Chunk, framer: Framer | None) -> Iterator[bytes]:
        """The packets of a chunk, cut where TLS begins and behind BDAT, where dissectors want it."""
        start, tls_at = self.taken[chunk.direction], None
        end = self.taken[chunk.direction] = start + len(chunk.data)
        cuts = {start, end}
        if framer is not None:
            fragments = framer.feed(chunk.direction, chunk.data)
            cuts |= {f.end for f in fragments if f.direction is chunk.direction and f.data[:5].upper() == b"BDAT "}
            if framer.client.held and framer.client.tape.size > HELD_LIMIT:
                framer.end(framer.server.direction)
            tls_at = framer.tls_at.get(chunk.direction)
        if tls_at is not None and not self.behind_tls:
            cuts.add(max(tls_at, start))
        for a, b in pairwise(sorted(cut for cut in cuts if start <= cut <= end)):
            if tls_at is not None and a >= tls_at and not self.behind_tls:
                yield from self._goes_behind_tls(chunk.data[a - start])
            yield from self._say(chunk.data[a - start : b - start], chunk.direction)

    def _goes_behind_tls(self, byte: int) -> Iterator[bytes]:
        """The first byte behind STARTTLS: a handshake, or what was said inside."""
        self.behind_tls = True
        if byte not in _TLS:
            yield from self._close()
            self.comments.append(f"recording {self.recording.name}, behind STARTTLS")

    def _say(self, data: bytes, direction: Direction) -> Iterator[bytes]:
        if self.connection is None:
            yield from self._open()
        assert self.connection is not None
        self.last_from_client = direction is self.client
        yield from self._stamped(self.connection.say(data, from_client=self.last_from_client))

    def _open(self) -> Iterator[bytes]:
        client, server = self.ends.both()
        port = self.ends.client_port if self.ends.client_port and not self.connections else None
        number = self.number + self.connections * 7919  # so that a second connection has another port
        self.connections += 1
        server_port = PORTS.get(self.recording.protocol or "", 1)
        self.connection = Connection((client, port or _FIRST_PORT + number % _PORTS), (server, server_port))
        yield from self._stamped(self.connection.open())

    def _close(self) -> Iterator[bytes]:
        if self.connection is not None:
            connection, self.connection = self.connection, None
            yield from self._stamped(connection.close(from_client=self.last_from_client))

    def _stamped(self, packets: Iterator[bytes]) -> Iterator[bytes]:
        for data in packets:
            comment, self.comments = "\n".join(self.comments), []
            yield packet(self.at, data, comment)


def _endpoint(text: str) -> tuple[Address, int] | None:
    """``host:port`` or ``[host]:port``; None when it is neither."""
    host, _, port = text.rpartition(":")
    address = _address(host.strip("[]"))
    return (address, int(port)) if address is not None and port.isdecimal() and int(port) < 65536 else None


def _address(text: str) -> Address | None:
    with suppress(ValueError):
        return ip_address(text)
    return None
