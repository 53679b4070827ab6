"""Inflating in bounded steps, and what is no mail."""

from __future__ import annotations

import pickle
import random
import tracemalloc
import zlib

import pytest

from rawlog.dialogue.inflate import BOMB_FREE, STEP, InflateError, Inflater, ResumableInflater


def deflate(data: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    made = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return made.compress(data) + made.flush(flush)


@pytest.mark.parametrize("chunk", [1, 7, 100_000])
@pytest.mark.parametrize("data", [b"", b"* OK ready\r\n", b"a" * (3 * STEP), b"ab" * STEP, bytes(range(256)) * 1000])
def test_inflated_in_steps(data: bytes, chunk: int) -> None:
    inflater, compressed = Inflater(), deflate(data)
    pieces = [p for i in range(0, len(compressed), chunk) for p in inflater.inflate(compressed[i : i + chunk])]
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= STEP for piece in pieces)


def test_nothing_is_left_inside() -> None:
    """What the last byte of input stands for comes out with it, and not with the next input."""
    for size in (STEP - 1, STEP, STEP + 1, 2 * STEP):
        assert sum(map(len, Inflater().inflate(deflate(b"a" * size)))) == size


def test_what_is_no_deflate_data_fails_once() -> None:
    inflater = Inflater()
    assert b"".join(inflater.inflate(deflate(b"good"))) == b"good"
    with pytest.raises(InflateError, match="invalid"):
        list(inflater.inflate(b"\xff\xff\xff\xff\xff"))
    assert list(inflater.inflate(deflate(b"good"))) == []


def test_bytes_behind_the_end_of_the_stream_fail() -> None:
    inflater = Inflater()
    compressed = deflate(b"last", zlib.Z_FINISH)
    assert b"".join(inflater.inflate(compressed)) == b"last"
    with pytest.raises(InflateError, match="behind the end"):
        list(inflater.inflate(b"more"))
    assert list(inflater.inflate(b"more")) == []


def test_bytes_behind_the_end_in_the_same_piece_come_after_what_was_good() -> None:
    steps = Inflater().inflate(deflate(b"last", zlib.Z_FINISH) + b"more")
    assert next(steps) == b"last"
    with pytest.raises(InflateError):
        next(steps)


def test_what_repeats_is_mail() -> None:
    data = b"the same line again\r\n" * 40_000
    assert b"".join(Inflater().inflate(deflate(data))) == data
    noise = random.Random(1).randbytes(BOMB_FREE) + b"a" * (20 * BOMB_FREE)
    assert sum(map(len, Inflater().inflate(deflate(noise)))) == len(noise)


def test_a_bomb() -> None:
    bomb = deflate(b"a" * (256 * 1024 * 1024))
    given = 0
    tracemalloc.start()
    try:
        with pytest.raises(InflateError, match="more than 100 times"):
            for piece in Inflater().inflate(bomb):
                given += len(piece)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()
    assert BOMB_FREE < given <= max(BOMB_FREE, 100 * len(bomb)) + STEP


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_a_resumable_inflater_goes_on_after_being_pickled_anywhere(size: int) -> None:
    plain = b"".join(b"* %d FETCH (FLAGS (\\Seen) UID %d)\r\n" % (number, number * 7) for number in range(20_000))
    deflate = zlib.compressobj(wbits=-15)
    packed = b""
    for at in range(0, len(plain), 50_000):
        packed += deflate.compress(plain[at : at + 50_000])
        packed += deflate.flush(zlib.Z_SYNC_FLUSH) if at % 100_000 else b""
    packed += deflate.flush(zlib.Z_SYNC_FLUSH)
    inflater, got = ResumableInflater(), b""
    for number, at in enumerate(range(0, len(packed), size)):
        got += b"".join(inflater.inflate(packed[at : at + size]))
        if size > 7 or number % 97 == 0:
            inflater = pickle.loads(pickle.dumps(inflater))
    assert got == plain
    assert len(pickle.dumps(inflater)) < 80_000
