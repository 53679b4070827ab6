"""Takes pcapng files and IP packets apart, the slow and plain way, and sees whether they are right."""

from __future__ import annotations

import struct
from collections.abc import Iterator


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each block; their lengths must agree."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size % 4 == 0
        assert struct.unpack_from("<I", data, at + size - 4) == (size,)
        yield kind, data[at + 8 : at + size - 4]
        at += size
    assert at == len(data)


def tcp(data: bytes) -> tuple[int, int, int, int, int, bytes]:
    """Ports, sequence number, acknowledgement, flags and payload of an IP packet, whose checksums must be right."""
    if data[0] >> 4 == 4:
        assert words(data[:20]) == 0xFFFF
        assert struct.unpack_from("!H", data, 2) == (len(data),)
        addresses, segment = data[12:20], data[20:]
        pseudo = addresses + struct.pack("!BBH", 0, 6, len(segment))
    else:
        assert struct.unpack_from("!H", data, 4) == (len(data) - 40,)
        addresses, segment = data[8:40], data[40:]
        pseudo = addresses + struct.pack("!II", len(segment), 6)
    assert words(pseudo + segment) == 0xFFFF
    source, target, number, acknowledged, offset, flags = struct.unpack_from("!HHIIBB", segment)
    assert offset == 5 << 4
    return source, target, number, acknowledged, flags, segment[20:]


def words(data: bytes) -> int:
    """The sum of 16-bit words with end-around carry, the slow and plain way."""
    total = 0
    for (word,) in struct.iter_unpack("!H", data + bytes(len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total
