"""Blocks of pcapng, packets with right numbers and checksums."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlog.views.pcap import SEGMENT, Address, Connection, checksum, file_header, packet
from tests.support.packets import blocks, tcp, words

FOUR = (IPv4Address("192.0.2.1"), IPv4Address("198.51.100.1"))
SIX = (IPv6Address("2001:db8::1"), IPv6Address("2001:db8:1::1"))


@given(st.binary(max_size=300))
def test_the_checksum_makes_the_sum_of_all_words_full(data: bytes) -> None:
    data += bytes(len(data) % 2)
    assert words(data + struct.pack("!H", checksum(data))) == 0xFFFF


def test_a_file_begins_with_a_section_and_an_interface() -> None:
    (section, body), (interface, link) = blocks(file_header("Rawlog"))
    assert (section, interface) == (0x0A0D0D0A, 1)
    assert struct.unpack_from("<IHH", body) == (0x1A2B3C4D, 1, 0)
    assert b"Rawlog" in body
    assert struct.unpack_from("<H", link) == (101,)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 1000])
@pytest.mark.parametrize("comment", ["", "x", "hällo", "y" * 100_000])
def test_a_packet_has_its_time_and_comment(size: int, comment: str) -> None:
    at = 1795385217_426464
    ((kind, body),) = blocks(packet(at, b"z" * size, comment))
    interface, high, low, captured, original = struct.unpack_from("<IIIII", body)
    assert (kind, interface, high << 32 | low, captured, original) == (6, 0, at, size, size)
    assert body[20 : 20 + size] == b"z" * size
    assert (comment.encode()[:60_000] in body) is True


@pytest.mark.parametrize("addresses", [FOUR, SIX])
def test_a_connection_counts_every_byte(addresses: tuple[Address, Address]) -> None:
    connection = Connection((addresses[0], 50_000), (addresses[1], 143))
    packets = [
        *connection.open(),
        *connection.say(b"greeting", from_client=False),
        *connection.say(b"a NOOP", from_client=True),
        *connection.say(b"x" * (2 * SEGMENT + 1), from_client=False),
        *connection.close(from_client=True),
    ]
    seen = [tcp(data) for data in packets]
    said: dict[int, bytes] = {50_000: b"", 143: b""}
    following: dict[int, int] = {}
    for source, target, number, acknowledged, flags, payload in seen:
        assert number == following.get(source, number)
        assert acknowledged == (following.get(target, 0))
        following[source] = number + len(payload) + bool(flags & 3)
        said[source] += payload
        assert len(payload) <= SEGMENT
    assert said == {50_000: b"a NOOP", 143: b"greeting" + b"x" * (2 * SEGMENT + 1)}
    assert [flags for *_, flags, _ in seen] == [2, 18, 16, 24, 24, 24, 24, 24, 17, 17, 16]


def test_numbers_begin_again_after_four_gigabytes() -> None:
    connection = Connection((FOUR[0], 1), (FOUR[1], 2))
    connection._client.next = 0xFFFFFFFE
    numbers = [tcp(data)[2] for _ in range(2) for data in connection.say(b"1234", from_client=True)]
    assert numbers == [0xFFFFFFFE, 2]
