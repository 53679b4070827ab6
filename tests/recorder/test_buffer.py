"""The buffer: everything goes out once and in order, and what did not go out is known to the byte."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlog.events import Direction
from rawlog.recorder.buffer import FULL, LARGE, Buffer
from tests.support.recording import FaultySink

IN, OUT = Direction.IN, Direction.OUT


def test_small_pieces_are_one_write() -> None:
    sink = FaultySink()
    buffer = Buffer(sink)
    for number in range(100):
        assert not buffer.put(b"%d\n" % number, IN, 2)
    buffer.write()
    assert sink.calls == 1
    assert sink.data == b"".join(b"%d\n" % number for number in range(100))
    assert buffer.size == 0
    assert not buffer.waiting().total()


def test_nothing_is_no_write() -> None:
    sink = FaultySink()
    Buffer(sink).write()
    assert sink.calls == 0


def test_time_to_write() -> None:
    buffer = Buffer(FaultySink())
    assert not buffer.put(b"x" * (LARGE - 1), IN, 1)
    assert buffer.put(b"x" * LARGE, IN, 1)
    buffer.write()
    puts = [buffer.put(b"x" * 1024, IN, 1024) for _ in range(FULL // 1024)]
    assert puts == [False] * (FULL // 1024 - 1) + [True]


def test_a_large_piece_is_not_copied() -> None:
    calls: list[tuple[bytes, ...]] = []

    class Sink(FaultySink):
        def write(self, *pieces: bytes) -> None:
            calls.append(pieces)
            super().write(*pieces)

    buffer = Buffer(Sink())
    large = b"x" * LARGE
    buffer.put(b"a", IN, 1)
    buffer.put(b"b", IN, 1)
    buffer.put(large, IN, LARGE)
    buffer.write()
    assert [piece for call in calls for piece in call] == [b"ab", large]
    assert calls[0][1] is large


def test_shares_of_what_an_encoder_held_back() -> None:
    sink = FaultySink({1}, taken=0)
    buffer = Buffer(sink)
    buffer.put(b"", IN, 5)
    assert buffer.waiting() == {IN: 5}
    buffer.put(b"TS I: helloworld\r\n", IN, 7)
    assert buffer.waiting() == {IN: 12}
    with pytest.raises(OSError, match="No space"):
        buffer.write()
    assert buffer.waiting() == {IN: 12}
    buffer.write()
    assert not buffer.waiting().total()


@pytest.mark.parametrize("taken", [0, 1, 18, 19, 20, 18 + LARGE - 1])
def test_what_a_sink_took_of_a_view_is_not_given_again(taken: int) -> None:
    large = b"x" * LARGE + b"not to be written"
    sink = FaultySink({1}, taken=taken)
    buffer = Buffer(sink)
    buffer.put(b"1795385217.427810 ", IN, 0)
    assert buffer.put(memoryview(large)[:LARGE], IN, LARGE)
    with pytest.raises(OSError, match="No space"):
        buffer.write()
    assert buffer.size == 18 + LARGE - taken
    assert buffer.waiting() == {IN: LARGE - max(0, taken - 18)}
    buffer.put(b"more", IN, 4)
    buffer.write()
    assert sink.data == b"1795385217.427810 " + large[:LARGE] + b"more"
    assert not buffer.size
    assert not buffer.waiting().total()


def test_held_back_once_more() -> None:
    buffer = Buffer(FaultySink())
    buffer.put(b"", IN, 5)
    buffer.put(b"", OUT, 1)
    buffer.put(b"", IN, 2)
    assert buffer.waiting() == {IN: 7, OUT: 1}
    buffer.put(b"x", IN, 1)
    buffer.write()
    assert buffer.waiting() == {OUT: 1}


pieces = st.lists(
    st.tuples(st.sampled_from([IN, OUT]), st.binary(max_size=9), st.booleans()),
    max_size=12,
)


@given(pieces, st.sets(st.integers(1, 12)), st.integers(0, 30))
def test_nothing_is_lost_or_doubled_by_failures(
    given_pieces: list[tuple[Direction, bytes, bool]], failing: set[int], taken: int
) -> None:
    sink = FaultySink(failing, taken=taken)
    buffer = Buffer(sink)
    for direction, data, write in given_pieces:
        buffer.put(data, direction, len(data))
        if write:
            with contextlib.suppress(OSError):
                buffer.write()
    everything = b"".join(data for _, data, _ in given_pieces)
    assert everything.startswith(bytes(sink.data))
    assert buffer.size == buffer.waiting().total() == len(everything) - len(sink.data)
    rest = [direction for direction, data, _ in given_pieces for _ in data][len(sink.data) :]
    assert buffer.waiting()[IN] == rest.count(IN)
    sink.failing = ()
    buffer.write()
    assert sink.data == everything
