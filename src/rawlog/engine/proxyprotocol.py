"""The PROXY protocol, versions 1 and 2: who the client behind a proxy is, said before its first byte.

Knows: both headers, reading and writing. Must not know: sockets, and who may be believed: whoever reads a header asks
first whether its peer is a trusted proxy, for anybody can write one. It holds no more than a header, and what came with
it in the same read is given back as ``rest``: that is the client's, perhaps a TLS ClientHello already.

Source: the specification of HAProxy, https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, whose sections are
named below.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from rawlog.errors import RawlogError

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""The first 12 bytes of version 2 (section 2.2)."""
V1_LIMIT = 107
"""Bytes of the longest header of version 1, CR LF included (section 2.1)."""
V2_LIMIT = 4096
"""Bytes of the longest header of version 2 we take: addresses are 216 at most, the rest would be client certificates'
names and the like. The format allows 64 KiB, which nobody needs and anybody could make us hold."""

_V1 = b"PROXY "
_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")
_FIXED = 16  # bytes of version 2 before the addresses
_UNIX_PATH = 108
_INET, _INET6, _UNIX = 0x11, 0x21, 0x31  # family and SOCK_STREAM
_LAYOUT = {_INET: "!4s4sHH", _INET6: "!16s16sHH", _UNIX: f"{_UNIX_PATH}s{_UNIX_PATH}s"}

_MISSING = (
    "sends no PROXY header although it is a trusted proxy; switch it on there (send-proxy), "
    "or take its address out of haproxy_trusted_networks"
)


class ProxyProtocolError(RawlogError):
    """What came is no PROXY header. The message goes behind the name of a leg, as those of LegError do."""


class Address(NamedTuple):
    """One end of a connection: a numeric IP address and a port, or the path of a unix socket (then host is empty)."""

    host: str
    port: int = 0
    path: bytes = b""

    def __str__(self) -> str:
        """``192.0.2.1:143``, ``[2001:db8::1]:143``, ``unix``."""
        if not self.host:
            return "unix"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a header says. Without addresses (UNKNOWN, LOCAL) those of the connection itself count.

    ``rest``: the bytes that came behind the header.
    """

    source: Address | None
    destination: Address | None
    rest: bytes


class ProxyReader:
    """Takes the first bytes of a connection until they are a header."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> ProxyHeader | None:
        """The next bytes; gives the header when it is complete, and is done then.

        Raises ProxyProtocolError as soon as the bytes can't become a header.
        """
        self._data += data
        if _begins_like(self._data, SIGNATURE):
            return self._version_2()
        if _begins_like(self._data, _V1):
            return self._version_1()
        raise ProxyProtocolError(_MISSING)

    def _version_1(self) -> ProxyHeader | None:
        line, end, rest = self._data.partition(b"\r\n")
        if len(line) + len(end) > V1_LIMIT - (not end):
            raise _malformed(1, f"no end of line within {V1_LIMIT} bytes")
        if not end:
            return None
        words = line.split(b" ")
        if words[1:2] == [b"UNKNOWN"]:
            return ProxyHeader(None, None, rest)
        if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
            raise _malformed(1, "neither UNKNOWN, nor TCP4 or TCP6 with two addresses and two ports")
        kind = IPv4Address if words[1] == b"TCP4" else IPv6Address
        hosts = [_text_address(word, kind) for word in words[2:4]]
        ports = [_text_port(word) for word in words[4:]]
        return ProxyHeader(Address(hosts[0], ports[0]), Address(hosts[1], ports[1]), rest)

    def _version_2(self) -> ProxyHeader | None:
        if len(self._data) < _FIXED:
            return None
        command, family, size = struct.unpack_from("!BBH", self._data, len(SIGNATURE))
        end = _FIXED + size
        if end > V2_LIMIT:
            raise _malformed(2, f"longer than {V2_LIMIT} bytes")
        if command not in (0x20, 0x21):
            raise _malformed(2, "neither LOCAL nor PROXY of version 2")
        if len(self._data) < end:
            return None
        body, rest = self._data[_FIXED:end], self._data[end:]
        if command == 0x20 or family == 0:  # LOCAL, or of an unknown family: what is inside is to be ignored
            return ProxyHeader(None, None, rest)
        source, destination = _binary_addresses(family, body)
        return ProxyHeader(source, destination, rest)


def _begins_like(data: bytes, start: bytes) -> bool:
    """Whether ``data`` begins with ``start``, as far as it is there."""
    return start.startswith(data[: len(start)])


def _malformed(version: int, why: str) -> ProxyProtocolError:
    return ProxyProtocolError(f"its PROXY header (version {version}) is malformed: {why}; correct or update that proxy")


def _text_address(word: bytes, kind: type[IPv4Address | IPv6Address]) -> str:
    try:
        if b"%" in word:
            raise ValueError("a zone means nothing on another machine")
        return str(kind(word.decode("ascii")))
    except ValueError:  # of both libraries, UnicodeDecodeError too
        raise _malformed(1, "an address is none of its family") from None


def _text_port(word: bytes) -> int:
    """A port in decimal, without leading zeros (section 2.1)."""
    if not _PORT.fullmatch(word) or int(word) > 65535:
        raise _malformed(1, "a port is no number from 0 to 65535")
    return int(word)


def _binary_addresses(family: int, body: bytes) -> tuple[Address, Address]:
    """The addresses at the beginning of ``body``; what follows them must be whole TLVs."""
    layout = _LAYOUT.get(family)
    if layout is None:
        raise _malformed(2, "neither TCP nor a unix stream")
    size = struct.calcsize(layout)
    if len(body) < size:
        raise _malformed(2, "too short for its addresses")
    _check_tlvs(body, size)
    if family == _UNIX:
        first, second = struct.unpack_from(layout, body)
        return Address("", 0, _path(first)), Address("", 0, _path(second))
    first, second, *ports = struct.unpack_from(layout, body)
    return Address(str(ip_address(first)), ports[0]), Address(str(ip_address(second)), ports[1])


def _path(field: bytes) -> bytes:
    """A path up to its NUL. An abstract one, which begins with NUL, has no end but the padding."""
    return field.rstrip(b"\0") if field.startswith(b"\0") else field.partition(b"\0")[0]


def _check_tlvs(body: bytes, at: int) -> None:
    """What follows the addresses is a chain of type, length (two bytes) and value to the end (section 2.2.1)."""
    while at < len(body):
        if at + 3 > len(body):
            raise _malformed(2, "its last TLV is cut off")
        at += 3 + int.from_bytes(body[at + 1 : at + 3], "big")
    if at > len(body):
        raise _malformed(2, "its last TLV is cut off")


# -- writing --------------------------------------------------------------------------------------------------------


def write_v1(source: Address | None, destination: Address | None) -> bytes:
    """A header of version 1. UNKNOWN without addresses, and for unix sockets, which it can't name."""
    if source is None or destination is None or not (source.host and destination.host):
        return b"PROXY UNKNOWN\r\n"
    first, second = _same_family(source.host, destination.host)
    text = f"PROXY TCP{first.version} {first} {second} {source.port} {destination.port}\r\n"
    return text.encode("ascii")


def write_v2(source: Address | None, destination: Address | None) -> bytes:
    """A header of version 2, without TLVs. LOCAL without addresses, and when only one of them is a unix socket."""
    if source is None or destination is None or bool(source.host) != bool(destination.host):
        return SIGNATURE + b"\x20\x00\x00\x00"
    if source.host:
        first, second = _same_family(source.host, destination.host)
        family = _INET if first.version == 4 else _INET6
        body = struct.pack(_LAYOUT[family], first.packed, second.packed, source.port, destination.port)
    else:
        family = _UNIX
        body = struct.pack(_LAYOUT[family], source.path, destination.path)
    return SIGNATURE + struct.pack("!BBH", 0x21, family, len(body)) + body


def _same_family(*hosts: str) -> list[IPv4Address | IPv6Address]:
    """The addresses in one family: IPv4 when all are, be it mapped into IPv6 (RFC 4291 2.5.5.2), else IPv6."""
    addresses = [ip_address(host.partition("%")[0]) for host in hosts]
    inner = [(a.ipv4_mapped if isinstance(a, IPv6Address) else a) for a in addresses]
    plain = [a for a in inner if a is not None]
    if len(plain) == len(addresses):
        return list(plain)
    return [a if isinstance(a, IPv6Address) else IPv6Address(f"::ffff:{a}") for a in addresses]
