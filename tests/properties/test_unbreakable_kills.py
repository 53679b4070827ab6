"""Workers die at any moment: not a byte of traffic or record is lost, or comes twice."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.engine.pipes import why_not
from rawlog.events import Direction
from rawlog.formats.dovecot import PairDecoder
from tests.support.unbreakable import House, Killer, Stream, lines

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"rawlog_relay = unbreakable: {why_not()}")

FORMS = [(False, False), (True, False), (False, True), (True, True)]
SIZE = 12_000_000
PATIENCE = 60


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def content(data: bytes, direction: Direction, stamps: bool, boundaries: bool) -> bytes:
    """What a file says without stamps and marks."""
    decoder = PairDecoder(direction, stamps, boundaries)
    return b"".join(chunk.data for chunk in [*decoder.feed(data), *decoder.end()])


def test_bulk_in_both_directions_in_every_form(house: House) -> None:
    killer = Killer(house, seed=1)
    killer.start()
    at_work = []
    for number, (stamps, boundaries) in enumerate(FORMS):
        held = house.open(stamps=stamps, boundaries=boundaries, tcp=number % 2 == 0)
        there, back = lines(SIZE, 2 * number), lines(SIZE, 2 * number + 1)
        streams = (
            Stream(held.client, held.server, there, seed=number),
            Stream(held.server, held.client, back, seed=number + 50),
        )
        for stream in streams:
            stream.start()
        at_work.append((held, there, back, streams, stamps, boundaries))
    for _, there, back, (one, two), _, _ in at_work:
        one.join(PATIENCE)
        two.join(PATIENCE)
        assert one.got == there
        assert two.got == back
    killer.stop()
    for held, there, back, _, stamps, boundaries in at_work:
        house.wait_ended(held)
        assert content(held.recorded(Direction.IN), Direction.IN, stamps, boundaries) == there
        assert content(held.recorded(Direction.OUT), Direction.OUT, stamps, boundaries) == back
    assert killer.kills > 30
    assert house.reports == ""


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "masked"])
def test_commands_and_answers(house: House, keep: bool) -> None:
    held = house.open(stamps=True, keep=keep)
    greeting = b"a1 OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] Logged in\r\n"
    held.server.sendall(greeting)
    assert receive(held.client, len(greeting)) == greeting
    killer = Killer(house, seed=2, pause=0.03)
    killer.start()
    there, back = [], [greeting]
    for number in range(1200):
        secret = b"secret%06d" % number
        command = b"b%d GENURLAUTH imap://h/m;URLAUTH=anonymous INTERNAL\r\n" % number
        if number % 5 == 0:
            command = b"b%d LOGIN u %s\r\n" % (number, secret)
        answer = b"* %d EXISTS\r\nb%d OK done\r\n" % (number, number)
        held.client.sendall(command)
        assert receive(held.server, len(command)) == command
        held.server.sendall(answer)
        assert receive(held.client, len(answer)) == answer
        there.append(command if keep else re.sub(rb"secret[0-9]{6}", b"X" * 12, command))
        back.append(answer)
    killer.stop()
    held.client.close()
    held.server.close()
    house.wait_ended(held)
    assert content(held.recorded(Direction.IN), Direction.IN, True, False) == b"".join(there)
    assert content(held.recorded(Direction.OUT), Direction.OUT, True, False) == b"".join(back)
    assert killer.kills > 5
    assert house.reports == ""


def test_what_is_compressed_is_recorded_in_the_clear(house: House) -> None:
    held = house.open(stamps=True)
    greeting = b"a1 OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] Logged in\r\n"
    begin, begun = b"a2 COMPRESS DEFLATE\r\n", b"a2 OK Begin compression.\r\n"
    held.server.sendall(greeting)
    assert receive(held.client, len(greeting)) == greeting
    held.client.sendall(begin)
    assert receive(held.server, len(begin)) == begin
    held.server.sendall(begun)
    assert receive(held.client, len(begun)) == begun
    killer = Killer(house, seed=4, pause=0.03)
    killer.start()
    packers = zlib.compressobj(wbits=-15), zlib.compressobj(wbits=-15)
    there, back = [begin], [greeting, begun]
    for number in range(1200):
        texts = b"b%d NOOP\r\n" % number, b"* %d EXISTS\r\nb%d OK done\r\n" % (number, number)
        for packer, text, source, target in zip(
            packers, texts, (held.client, held.server), (held.server, held.client), strict=True
        ):
            packed = packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)
            source.sendall(packed)
            assert receive(target, len(packed)) == packed
        there.append(texts[0])
        back.append(texts[1])
    killer.stop()
    held.client.close()
    held.server.close()
    house.wait_ended(held)
    assert content(held.recorded(Direction.IN), Direction.IN, True, False) == b"".join(there)
    assert content(held.recorded(Direction.OUT), Direction.OUT, True, False) == b"".join(back)
    assert killer.kills > 5
    assert house.reports == ""


def test_a_slow_reader_keeps_what_is_in_its_pipe(house: House) -> None:
    slow, quick = house.open(), house.open()
    data = lines(3_000_000, 9)
    sender = Stream(slow.client, slow.server, data, seed=3)
    sender._sender.start()
    killer = Killer(house, seed=3, enough=60)
    killer.start()
    for number in range(200):
        quick.client.sendall(b"%d\r\n" % number)
        assert receive(quick.server, len(b"%d\r\n" % number)) == b"%d\r\n" % number
    killer.join(PATIENCE)
    got = b""
    while piece := slow.server.recv(1 << 20):
        got += piece
    assert got == data
    for held in (slow, quick):
        held.client.close()
        held.server.close()
        house.wait_ended(held)
    assert slow.recorded(Direction.IN) == data


def receive(sock: object, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))  # type: ignore[attr-defined]
        assert piece, data
        data += piece
    return data
