"""A conversation in memory: inflated, cut, and put back with other bytes."""

from __future__ import annotations

import zlib

import pytest

from rawlog.dialogue.whole import take_whole, with_edits, with_streams
from rawlog.errors import RawlogError
from rawlog.events import Chunk, Direction, Event, Mark, Recording

IN, OUT = Direction.IN, Direction.OUT


def packed(data: bytes) -> bytes:
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return machine.compress(data) + machine.flush(zlib.Z_SYNC_FLUSH)


def test_fragments_cover_both_streams() -> None:
    events: list[Event] = [
        Chunk(1, OUT, b"* OK hi\r\n"),
        Chunk(2, IN, b"a LOGIN u {1}\r\nx"),
        Chunk(3, IN, b"\r\nb NO"),
    ]
    whole = take_whole(Recording("x", events, protocol="imap"))
    assert whole is not None
    for direction in Direction:
        fragments = whole.fragments[direction]
        assert [f.start for f in fragments] == [0, *(f.end for f in fragments[:-1])]
        assert fragments[-1].end == len(whole.streams[direction])


def test_a_recording_without_bytes_is_nothing() -> None:
    assert take_whole(Recording("x", [Mark(1, "opened")])) is None


def test_without_a_protocol_nobody_knows_the_secrets() -> None:
    with pytest.raises(RawlogError, match="x: its protocol is not seen"):
        take_whole(Recording("x", [Chunk(1, IN, b"?\r\n")]))


@pytest.mark.parametrize("order", [0, 1])
def test_what_was_recorded_compressed_is_inflated(order: int) -> None:
    said: list[Event] = [Chunk(1, IN, b"a COMPRESS DEFLATE\r\n"), Chunk(3, IN, packed(b"b SELECT private\r\n"))]
    heard: list[Event] = [Chunk(2, OUT, b"* PREAUTH\r\na OK\r\n" + packed(b"b NO\r\n"))]
    events = said + heard if order else [said[0], *heard, said[1]]
    whole = take_whole(Recording("x", events, protocol="imap"))
    assert whole is not None
    assert whole.streams[IN] == b"a COMPRESS DEFLATE\r\nb SELECT private\r\n"
    assert whole.streams[OUT].endswith(b"a OK\r\nb NO\r\n")


def test_what_was_recorded_inflated_stays() -> None:
    events: list[Event] = [
        Chunk(1, IN, b"a COMPRESS DEFLATE\r\n"),
        Chunk(2, OUT, b"* PREAUTH\r\na OK\r\n"),
        Chunk(3, IN, b"a3 NOOP\r\n"),
    ]
    whole = take_whole(Recording("x", events, protocol="imap"))
    assert whole is not None
    assert whole.events == events


def test_edits_over_several_chunks() -> None:
    events: list[Event] = [Chunk(1, IN, b"abc"), Mark(2, "gap"), Chunk(3, IN, b"def"), Chunk(4, OUT, b"abc")]
    edits = {IN: [(0, 1, b"-"), (2, 4, b"12345"), (5, 6, b"")]}
    assert list(with_edits(events, edits)) == [
        Chunk(1, IN, b"-b12345"),
        Mark(2, "gap"),
        Chunk(3, IN, b"e"),
        Chunk(4, OUT, b"abc"),
    ]


def test_a_chunk_that_is_left_empty_goes() -> None:
    events: list[Event] = [Chunk(1, IN, b"abc"), Chunk(2, IN, b"def"), Chunk(3, IN, b"g")]
    assert list(with_edits(events, {IN: [(2, 6, b"X")]})) == [Chunk(1, IN, b"abX"), Chunk(3, IN, b"g")]


def test_other_streams_are_cut_alike() -> None:
    events: list[Event] = [Chunk(1, IN, b"abc"), Mark(2, "gap"), Chunk(3, IN, b"de")]
    streams = {IN: b"12345", OUT: b""}
    assert list(with_streams(events, streams)) == [Chunk(1, IN, b"123"), Mark(2, "gap"), Chunk(3, IN, b"45")]
