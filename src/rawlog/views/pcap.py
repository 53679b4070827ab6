"""Packets as files of pcapng (draft-ietf-opsawg-pcapng), with a TCP connection made up around recorded bytes.

Knows: blocks of pcapng, headers of IPv4, IPv6 and TCP, checksums. Must not know: recordings, protocols; those are
pcap_export.py's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

SEGMENT = 16 * 1024
"""Bytes of one segment. There is no real link whose limit would matter; it must fit an IP packet."""

LINKTYPE_RAW = 101  # packets begin with the IP header

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_END_OF_OPTIONS, _COMMENT, _USER_APPLICATION = 0, 1, 4
_TCP = 6
_FIN, _SYN, _PSH, _ACK = 1, 2, 8, 16
_MASK = 0xFFFFFFFF
_WINDOW = 0xFFFF

Address = IPv4Address | IPv6Address


def file_header(application: str) -> bytes:
    """What a file begins with: a section, and one interface whose packets begin with the IP header."""
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _option(_USER_APPLICATION, application.encode())
    return _block(_SECTION, section) + _block(_INTERFACE, struct.pack("<HHI", LINKTYPE_RAW, 0, 0))


def packet(at: int, data: bytes, comment: str = "") -> bytes:
    """One packet, seen at ``at`` (microseconds since the epoch), with a comment."""
    head = struct.pack("<IIIII", 0, at >> 32 & _MASK, at & _MASK, len(data), len(data))
    options = _option(_COMMENT, comment.encode("utf-8", "replace")[:60_000]) if comment else b""
    return _block(_PACKET, head + data + bytes(-len(data) % 4) + options)


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _option(code: int, value: bytes) -> bytes:
    padded = value + bytes(-len(value) % 4)
    return struct.pack("<HH", code, len(value)) + padded + struct.pack("<HH", _END_OF_OPTIONS, 0)


@dataclass(slots=True)
class _End:
    """One end of a connection: where it is, and the number of its next byte."""

    address: Address
    port: int
    next: int


class Connection:
    """One TCP connection: gives the packets that carry what each side says."""

    def __init__(self, client: tuple[Address, int], server: tuple[Address, int]) -> None:
        self._client = _End(*client, 1_000)
        self._server = _End(*server, 2_000)

    def open(self) -> Iterator[bytes]:
        """The three packets that begin it."""
        yield self._segment(self._client, self._server, _SYN, acknowledge=False)
        self._client.next += 1
        yield self._segment(self._server, self._client, _SYN | _ACK)
        self._server.next += 1
        yield self._segment(self._client, self._server, _ACK)

    def say(self, data: bytes, *, from_client: bool) -> Iterator[bytes]:
        """The packets that carry ``data``."""
        source, target = self._ends(from_client)
        for start in range(0, len(data), SEGMENT):
            part = data[start : start + SEGMENT]
            yield self._segment(source, target, _PSH | _ACK, part)
            source.next = source.next + len(part) & _MASK

    def close(self, *, from_client: bool) -> Iterator[bytes]:
        """The packets that end it; one side begins."""
        source, target = self._ends(from_client)
        for one, other in ((source, target), (target, source)):
            yield self._segment(one, other, _FIN | _ACK)
            one.next = one.next + 1 & _MASK
        yield self._segment(source, target, _ACK)

    def _ends(self, from_client: bool) -> tuple[_End, _End]:
        return (self._client, self._server) if from_client else (self._server, self._client)

    def _segment(self, source: _End, target: _End, flags: int, data: bytes = b"", *, acknowledge: bool = True) -> bytes:
        acknowledged = target.next if acknowledge else 0
        fields = (source.port, target.port, source.next, acknowledged, 5 << 4, flags, _WINDOW)
        addresses = source.address.packed + target.address.packed
        size = 20 + len(data)
        if isinstance(source.address, IPv4Address):
            pseudo = addresses + struct.pack("!BBH", 0, _TCP, size)
        else:
            pseudo = addresses + struct.pack("!IBBBB", size, 0, 0, 0, _TCP)
        head = struct.pack("!HHIIBBHHH", *fields, 0, 0)
        tcp = struct.pack("!HHIIBBHHH", *fields, checksum(pseudo + head + data), 0)
        return _ip_header(source.address, addresses, size) + tcp + data


def _ip_header(source: Address, addresses: bytes, size: int) -> bytes:
    """The header before ``size`` bytes of TCP."""
    if isinstance(source, IPv6Address):
        return struct.pack("!IHBB", 6 << 28, size, _TCP, 64) + addresses
    fields = (0x45, 0, 20 + size, 0, 0x4000, 64, _TCP)
    head = struct.pack("!BBHHHBBH", *fields, 0) + addresses
    return struct.pack("!BBHHHBBH", *fields, checksum(head)) + addresses


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071). The sum of 16-bit words with end-around carry is the number modulo 65535."""
    number = int.from_bytes(data + bytes(len(data) % 2), "big")
    total = number % 0xFFFF or (0xFFFF if number else 0)
    return ~total & 0xFFFF
