"""Recordings as packets."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.reading.opener import open_paths
from rawlog.views.pcap_export import STEP, pcapng
from tests.support import golden
from tests.support.conversation import converse
from tests.support.exchanges import timed
from tests.support.packets import blocks, tcp

IN, OUT = Direction.IN, Direction.OUT


class Packet:
    """One packet: its time, addresses and ports, payload, comment."""

    def __init__(self, body: bytes) -> None:
        _, high, low, size, _ = struct.unpack_from("<IIIII", body)
        self.at = high << 32 | low
        data = body[20 : 20 + size]
        rest = body[20 + size + -size % 4 :]
        self.comment = rest[4 : 4 + struct.unpack_from("<H", rest, 2)[0]].decode() if rest else ""
        addresses = data[12:20] if data[0] >> 4 == 4 else data[8:40]
        half = len(addresses) // 2
        self.source, self.target = str(ip_address(addresses[:half])), str(ip_address(addresses[half:]))
        self.source_port, self.target_port, _, _, self.flags, self.payload = tcp(data)


def packets(*recordings: Recording) -> list[Packet]:
    _, _, *rest = blocks(b"".join(pcapng(recordings)))
    return [Packet(body) for _, body in rest]


def talk(protocol: str, *events: Event, name: str = "test", is_timed: bool = True) -> Recording:
    return Recording(name, events, protocol=protocol, timed=is_timed)


def test_times_ports_and_bytes() -> None:
    made = packets(talk("pop3", Chunk(5_000_000, OUT, b"+OK\r\n"), Chunk(6_000_000, IN, b"QUIT\r\n")))
    assert [(p.at, p.payload, p.target_port) for p in made if p.payload] == [
        (5_000_000, b"+OK\r\n", 49152),
        (6_000_000, b"QUIT\r\n", 110),
    ]
    assert (made[0].flags, made[0].at, made[0].target_port, made[0].comment) == (2, 5_000_000, 110, "recording test")
    assert [p.flags & 1 for p in made[-3:]] == [1, 1, 0]
    assert (made[0].source, made[0].target) == ("192.0.2.1", "198.51.100.1")


@pytest.mark.parametrize(
    ("protocol", "port"), [("imap", 143), ("pop3", 110), ("smtp", 587), ("lmtp", 24), ("managesieve", 4190)]
)
def test_each_protocol_has_its_port(protocol: str, port: int) -> None:
    assert packets(talk(protocol, Chunk(1, OUT, b"x\r\n")))[0].target_port == port


def test_addresses_that_are_known_are_used() -> None:
    opened = Mark(1, "opened", {"client": "203.0.113.7:40001", "listener": "203.0.113.9:1143"})
    first = packets(talk("imap", opened, Mark(2, "tls", {"version": "TLSv1.3"}), Chunk(3, OUT, b"* OK\r\n")))[0]
    assert (first.source, first.source_port, first.target, first.target_port) == (
        "203.0.113.7",
        40001,
        "203.0.113.9",
        143,
    )
    assert first.comment.splitlines() == [
        "recording test",
        "mark opened client=203.0.113.7:40001 listener=203.0.113.9:1143",
        "mark tls version=TLSv1.3",
    ]
    six = Mark(1, "opened", {"client": "[2001:db8::7]:5", "listener": "unix"})
    first = packets(talk("imap", six, Chunk(3, OUT, b"* OK\r\n")))[0]
    assert (first.source, first.target) == ("2001:db8::7", "2001:db8:1::1")
    mixed = Mark(1, "opened", {"client": "192.0.2.7:5", "listener": "[2001:db8::9]:143"})
    assert packets(talk("imap", mixed, Chunk(3, OUT, b"* OK\r\n")))[0].target == "198.51.100.1"
    named = talk("imap", Chunk(3, OUT, b"* OK\r\n"), name="/raw/192.0.2.44-20261122-104500-7")
    assert packets(named)[0].source == "192.0.2.44"


def test_several_recordings_have_ports_of_their_own() -> None:
    made = packets(*(talk("imap", Chunk(1, OUT, b"* OK\r\n"), name=str(n)) for n in range(3)))
    assert len({p.source_port for p in made if p.flags == 2}) == 3


def test_the_leg_towards_a_remote_server_is_turned_round() -> None:
    made = packets(talk("smtp", Chunk(1, IN, b"220 x\r\n"), Chunk(2, OUT, b"EHLO x\r\n")))
    assert [(p.payload, p.target_port) for p in made if p.payload] == [(b"220 x\r\n", 49152), (b"EHLO x\r\n", 587)]


def test_behind_starttls_a_new_connection_begins() -> None:
    text = "S: 220 x\nC: STARTTLS\nS: 220 go\nC: EHLO x\nS: 250 x\n"
    made = packets(talk("smtp", *timed(converse("== t\n" + text).pieces)))
    starts = [number for number, p in enumerate(made) if p.flags == 2]
    assert len(starts) == 2
    assert made[starts[1]].comment == "recording test, behind STARTTLS"
    assert made[starts[0]].source_port != made[starts[1]].source_port
    behind = [p.payload for p in made[starts[1] :] if p.payload]
    assert behind == [b"EHLO x\r\n", b"250 x\r\n"]


def test_tls_as_it_is_on_the_wire_stays_in_its_connection() -> None:
    text = "S: 220 x\nC: STARTTLS\nS: 220 go\nC> ‹16 03 01 00 01 00›\nS> ‹16 03 03 00 01 00›\nC> ‹17 03 03›"
    made = packets(talk("smtp", *timed(converse("== t\n" + text).pieces)))
    assert [p.flags for p in made].count(2) == 1


def test_commands_that_came_with_starttls_stay_with_it() -> None:
    events = [
        Chunk(1, OUT, b"* OK\r\n"),
        Chunk(2, IN, b"a STARTTLS\r\nb NOOP\r\n"),
        Chunk(3, OUT, b"a OK go\r\n* TLS inside\r\n"),
    ]
    made = packets(talk("imap", *events))
    payloads = [p.payload for p in made if p.payload]
    assert payloads == [b"* OK\r\n", b"a STARTTLS\r\nb NOOP\r\n", b"a OK go\r\n", b"* TLS inside\r\n"]
    assert [p.flags for p in made].count(2) == 2


def test_without_times_packets_are_a_step_apart() -> None:
    made = packets(talk("imap", Chunk(None, IN, b"a NOOP\r\n"), Chunk(None, OUT, b"* OK\r\na OK\r\n"), is_timed=False))
    assert [(p.at, p.payload) for p in made if p.payload] == [
        (1 * STEP, b"* OK\r\n"),
        (2 * STEP, b"a NOOP\r\n"),
        (3 * STEP, b"a OK\r\n"),
    ]


def test_golden_recordings_lose_no_byte() -> None:
    for recording in open_paths([golden.FOLDER]):
        made = packets(recording)
        size = sum(len(event.data) for event in recording.events if isinstance(event, Chunk))
        assert sum(len(p.payload) for p in made) == size


def test_a_chunk_of_a_message_has_packets_of_its_own() -> None:
    events = [Chunk(1, OUT, b"220 x\r\n"), Chunk(2, IN, b"BDAT 3\r\nabcBDAT 3 LAST\r\ndefQUIT\r\n")]
    payloads = [p.payload for p in packets(talk("smtp", *events)) if p.payload]
    assert payloads[1:] == [b"BDAT 3\r\n", b"abcBDAT 3 LAST\r\n", b"defQUIT\r\n"]
