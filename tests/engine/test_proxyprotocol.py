"""PROXY headers: read whole or in pieces, written, refused; and the proxy-protocol package as the oracle."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from socket import SOCK_STREAM

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlog.engine.proxyprotocol import (
    SIGNATURE,
    V1_LIMIT,
    V2_LIMIT,
    Address,
    ProxyHeader,
    ProxyProtocolError,
    ProxyReader,
    write_v1,
    write_v2,
)

FOUR, FOUR_TO = Address("192.0.2.1", 56324), Address("198.51.100.7", 143)
SIX, SIX_TO = Address("2001:db8::1", 65535), Address("2001:db8::2", 0)
UNIX, UNIX_TO = Address("", 0, b"/run/client"), Address("", 0, b"\0abstract")
PAIRS = [(FOUR, FOUR_TO), (SIX, SIX_TO), (UNIX, UNIX_TO), (None, None)]

ports = st.integers(0, 65535)
four = st.builds(lambda host, port: Address(host, port), st.ip_addresses(v=4).map(str), ports)
hosts6 = st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None).map(str)
six = st.builds(lambda host, port: Address(host, port), hosts6, ports)
paths = st.builds(lambda path: Address("", 0, path), st.from_regex(rb"/[a-z/]{0,106}", fullmatch=True))


def v2(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


INET = write_v2(FOUR, FOUR_TO)[16:]
LONGEST_V1 = b"PROXY UNKNOWN " + b"f" * (V1_LIMIT - 16) + b"\r\n"

GOOD = {
    b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 143\r\n": (FOUR, FOUR_TO),
    b"PROXY TCP6 2001:db8::1 2001:0db8:0:0::2 65535 0\r\n": (SIX, SIX_TO),
    b"PROXY UNKNOWN\r\n": (None, None),
    b"PROXY UNKNOWN ffff:f...f:ffff what a proxy likes\r\n": (None, None),
    LONGEST_V1: (None, None),
    v2(0x21, 0x11, INET): (FOUR, FOUR_TO),
    v2(0x21, 0x11, INET + tlv(1, b"imap") + tlv(4, b"")): (FOUR, FOUR_TO),
    v2(0x21, 0x11, INET + tlv(4, bytes(V2_LIMIT - 16 - 12 - 3))): (FOUR, FOUR_TO),
    v2(0x21, 0x31, b"/run/client".ljust(108, b"\0") + b"\0abstract".ljust(108, b"\0")): (UNIX, UNIX_TO),
    v2(0x21, 0x31, b"/run/client\0rubbish".ljust(108, b"\0") + b"\0abstract".ljust(108, b"\0")): (UNIX, UNIX_TO),
    v2(0x20, 0x00, b""): (None, None),
    v2(0x20, 0x11, b"LOCAL: what is in it does not count"): (None, None),
    v2(0x21, 0x00, b"unknown family"): (None, None),
}

BAD = {
    b"a LOGIN alice secret\r\n": "sends no PROXY header",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": "sends no PROXY header",
    b"PROXY\r\n": "sends no PROXY header",
    b"proxy TCP4 192.0.2.1 198.51.100.7 56324 143\r\n": "sends no PROXY header",
    SIGNATURE[:-1] + b"X": "sends no PROXY header",
    LONGEST_V1.replace(b"\r\n", b"f\r\n"): "no end of line within 107",
    b"PROXY TCP4 " + b"1" * 5000: "no end of line within 107",
    b"PROXY  TCP4 192.0.2.1 198.51.100.7 56324 143\r\n": "neither UNKNOWN",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n": "neither UNKNOWN",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 143 \r\n": "neither UNKNOWN",
    b"PROXY UDP4 192.0.2.1 198.51.100.7 56324 143\r\n": "neither UNKNOWN",
    b"PROXY TCP4 192.0.2.1\t198.51.100.7 56324 143 1\r\n": "an address",
    b"PROXY TCP4 192.0.2.01 198.51.100.7 56324 143\r\n": "an address",
    b"PROXY TCP4 192.0.2.1 2001:db8::1 56324 143\r\n": "an address",
    b"PROXY TCP6 192.0.2.1 2001:db8::1 56324 143\r\n": "an address",
    b"PROXY TCP6 fe80::1%eth0 2001:db8::1 56324 143\r\n": "an address",
    b"PROXY TCP4 \xd9\xa1.0.2.1 198.51.100.7 56324 143\r\n": "an address",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 65536 143\r\n": "a port",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 0143\r\n": "a port",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 -1 143\r\n": "a port",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 1_0 143\r\n": "a port",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 143\r\r\n": "a port",
    v2(0x11, 0x11, INET): "neither LOCAL nor PROXY",
    v2(0x22, 0x11, INET): "neither LOCAL nor PROXY",
    v2(0x21, 0x12, INET): "neither TCP nor",
    v2(0x21, 0x41, INET): "neither TCP nor",
    v2(0x21, 0x11, INET[:-1]): "too short",
    v2(0x21, 0x21, INET): "too short",
    v2(0x21, 0x31, bytes(215)): "too short",
    v2(0x21, 0x11, INET + b"\x04\x00"): "TLV is cut off",
    v2(0x21, 0x11, INET + tlv(4, b"four")[:-1]): "TLV is cut off",
    v2(0x21, 0x11, INET + tlv(4, bytes(V2_LIMIT - 16 - 12 - 2))): "longer than 4096",
    v2(0x20, 0x00, bytes(65535)): "longer than 4096",
}


def splits(data: bytes) -> Iterator[list[bytes]]:
    """The data whole, byte by byte, and in two pieces of every size (of long ones, many sizes)."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(0, len(data), max(1, len(data) // 300)):
        yield [data[:at], data[at:]]


def read(pieces: list[bytes]) -> ProxyHeader | None:
    reader = ProxyReader()
    for number, piece in enumerate(pieces):
        if header := reader.feed(piece):
            return ProxyHeader(header.source, header.destination, header.rest + b"".join(pieces[number + 1 :]))
    return None


@pytest.mark.parametrize("data", GOOD, ids=lambda data: repr(data[:40]))
@pytest.mark.parametrize("rest", [b"", b"\r\n", b"\x16\x03\x01 ClientHello", b"PROXY TCP4 again\r\n", SIGNATURE])
def test_a_header_is_read_whole_and_in_pieces(data: bytes, rest: bytes) -> None:
    for pieces in splits(data + rest):
        assert read(pieces) == ProxyHeader(*GOOD[data], rest)


@pytest.mark.parametrize("data", GOOD, ids=lambda data: repr(data[:40]))
def test_a_header_is_waited_for(data: bytes) -> None:
    reader = ProxyReader()
    assert [reader.feed(data[at : at + 1]) for at in range(len(data) - 1)] == [None] * (len(data) - 1)
    assert reader.feed(data[-1:]) is not None


@pytest.mark.parametrize("data", BAD, ids=lambda data: repr(data[:60]))
def test_what_is_no_header_is_refused_whole_and_in_pieces(data: bytes) -> None:
    sentences = set()
    for pieces in splits(data):
        with pytest.raises(ProxyProtocolError) as caught:
            read(pieces)
        sentences.add(str(caught.value))
    (sentence,) = sentences
    assert BAD[data] in sentence
    assert ";" in sentence and "\n" not in sentence  # what happened; what to do
    assert "secret" not in sentence


@pytest.mark.parametrize(("data", "at"), [(b"a LOGIN", 1), (b"PRO FETCH", 4), (b"\x16\x03", 1), (b"\r\n\r\nQUIT", 5)])
def test_a_wrong_byte_is_refused_at_once(data: bytes, at: int) -> None:
    reader = ProxyReader()
    for byte in range(at - 1):
        assert reader.feed(data[byte : byte + 1]) is None
    with pytest.raises(ProxyProtocolError, match="no PROXY header"):
        reader.feed(data[at - 1 : at])


def test_a_length_over_the_limit_is_refused_before_its_bytes_come() -> None:
    with pytest.raises(ProxyProtocolError, match="longer than"):
        ProxyReader().feed(v2(0x21, 0x11, bytes(V2_LIMIT))[:16])
    with pytest.raises(ProxyProtocolError, match="no end of line"):
        ProxyReader().feed(b"PROXY " + b"x" * (V1_LIMIT - 6))


def test_nothing_is_needed_of_an_empty_read() -> None:
    assert ProxyReader().feed(b"") is None


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", b"PROXY TCP6 ", SIGNATURE, SIGNATURE + b"\x21\x11"]))
def test_garbage_is_waited_for_or_refused(garbage: bytes, start: bytes) -> None:
    try:
        header = read([start + garbage])
    except ProxyProtocolError as error:
        assert str(error)
    else:
        assert header is None or (start + garbage).endswith(header.rest)


# -- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "destination"), PAIRS)
def test_what_was_written_is_read(source: Address | None, destination: Address | None) -> None:
    assert read([write_v2(source, destination) + b"rest"]) == ProxyHeader(source, destination, b"rest")
    expected = (None, None) if source is UNIX else (source, destination)
    assert read([write_v1(source, destination) + b"rest"]) == ProxyHeader(*expected, b"rest")


@given(st.one_of(st.tuples(four, four), st.tuples(six, six), st.tuples(paths, paths)), st.binary(max_size=20))
def test_any_addresses_come_back(pair: tuple[Address, Address], rest: bytes) -> None:
    assert read([write_v2(*pair) + rest]) == ProxyHeader(*pair, rest)
    if pair[0].host:
        header = write_v1(*pair)
        assert len(header) <= V1_LIMIT
        assert read([header + rest]) == ProxyHeader(*pair, rest)


def test_addresses_of_two_families_become_ipv6() -> None:
    expected = ProxyHeader(Address("::ffff:192.0.2.1", 56324), SIX_TO, b"")
    for write in (write_v1, write_v2):
        header = read([write(FOUR, SIX_TO)])
        assert header is not None and header.source is not None
        assert IPv6Address(header.source.host) == IPv6Address("::ffff:192.0.2.1")
        assert header.destination == expected.destination


def test_mapped_ipv4_is_written_as_ipv4_and_a_zone_is_left_out() -> None:
    mapped = Address("::ffff:192.0.2.1", 56324)
    assert write_v1(mapped, FOUR_TO) == b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 143\r\n"
    assert write_v2(mapped, FOUR_TO) == write_v2(FOUR, FOUR_TO)
    assert write_v1(Address("fe80::1%eth0", 1), SIX_TO) == b"PROXY TCP6 fe80::1 2001:db8::2 1 0\r\n"


@pytest.mark.parametrize("pair", [(None, FOUR), (FOUR, None), (UNIX, FOUR), (FOUR, UNIX)])
def test_half_of_an_answer_is_none(pair: tuple[Address | None, Address | None]) -> None:
    assert write_v1(*pair) == b"PROXY UNKNOWN\r\n"
    assert write_v2(*pair) == v2(0x20, 0, b"")


def test_addresses_have_a_form_for_people() -> None:
    assert [str(a) for a in (FOUR, SIX, UNIX)] == ["192.0.2.1:56324", "[2001:db8::1]:65535", "unix"]


# -- against the proxy-protocol package -----------------------------------------------------------------------------


@given(st.one_of(st.tuples(four, four), st.tuples(six, six)))
def test_the_other_implementation_agrees(pair: tuple[Address, Address]) -> None:
    pytest.importorskip("proxyprotocol", reason="proxy-protocol is not installed; it comes with pymap ([demo])")
    from proxyprotocol.result import ProxyResultIPv4, ProxyResultIPv6
    from proxyprotocol.v1 import ProxyProtocolV1
    from proxyprotocol.v2 import ProxyProtocolV2

    version_1, version_2 = ProxyProtocolV1(), ProxyProtocolV2()
    for theirs in (version_1.unpack(write_v1(*pair)), version_2.unpack(write_v2(*pair))):
        assert [(str(end[0]), end[1]) for end in (theirs.source, theirs.dest)] == [tuple(end[:2]) for end in pair]
    is_four = ":" not in pair[0].host
    kind, result = (IPv4Address, ProxyResultIPv4) if is_four else (IPv6Address, ProxyResultIPv6)
    ends = [(kind(end.host), end.port) for end in pair]
    assert read([version_2.pack(result(*ends, protocol=SOCK_STREAM))]) == ProxyHeader(
        *pair, b""
    )  # with its checksum, a TLV
