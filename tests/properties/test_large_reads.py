"""Large reads are written without being joined, and are accounted for to the byte when a sink takes a part of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.events import Direction
from rawlog.formats.dovecot import PairDecoder, PairEncoder
from rawlog.recorder.buffer import LARGE
from rawlog.recorder.sinks import MemorySink
from tests.support.recording import Desk, FaultySink
from tests.support.sessions import kept

IN, OUT = Direction.IN, Direction.OUT
T = 1795385217427810
STAMP = b"1795385217.427810 "


class WholeWrites(FaultySink):
    """Keeps what each write was given."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes | memoryview] = []

    def write(self, *pieces: bytes) -> None:
        self.pieces += pieces
        super().write(*pieces)


def test_a_large_read_reaches_its_sink_without_being_joined() -> None:
    desk = Desk(PairEncoder(True), {IN: WholeWrites(), OUT: WholeWrites()})
    desk.chunk(T, OUT, b"* OK\r\n")
    desk.chunk(T, OUT, b"0123456789012\r\n" * 2000)
    assert desk.data(OUT) == STAMP + b"* OK\r\n" + (STAMP + b"0123456789012\r\n") * 2000
    small, large = desk.sinks[OUT].pieces
    assert small == STAMP + b"* OK\r\n" + STAMP
    assert isinstance(large, memoryview)
    assert desk.sinks[OUT].calls == 1


@pytest.mark.parametrize("taken", [0, 1, 17, 18, 19, 18 + 6, 18 + LARGE, 10**6])
def test_a_failure_inside_the_pieces_of_a_large_read_loses_nothing(taken: int) -> None:
    desk = Desk(PairEncoder(True), {IN: MemorySink(), OUT: FaultySink({1}, taken=taken)})
    lines = LARGE // 4
    desk.chunk(T, OUT, b"line\r\n" * lines)
    assert not desk.recorder.healthy
    desk.timers.advance(1)
    desk.chunk(T, OUT, b"next\r\n")
    desk.recorder.close(T, "client")
    assert desk.data(OUT) == (STAMP + b"line\r\n") * lines + STAMP + b"next\r\n"
    assert desk.counts() == (0, 6 * lines + 6, 0, 0, 0)


def test_what_a_sink_did_not_take_of_a_large_read_is_lost_at_the_end() -> None:
    body = b"x" * LARGE + b"\n"
    desk = Desk(PairEncoder(True), {OUT: FaultySink(range(99), taken=100)})
    desk.chunk(T, OUT, body)
    desk.recorder.close(T, "client")
    assert desk.data(OUT) == (STAMP + body)[:200]
    assert desk.counts() == (0, 200 - 18, 0, len(body) - (200 - 18), 0)


@given(
    st.lists(
        st.tuples(st.sampled_from([IN, OUT]), st.integers(1, 40_000), st.sampled_from([0.0, 0.3, 2.0])), max_size=20
    ),
    st.sets(st.integers(1, 20)),
    st.sampled_from([0, 1, 17, 18, 19, 5000]),
)
@settings(**kept(deadline=None))
def test_recorded_and_missing_are_what_was_given(
    pieces: list[tuple[Direction, int, float]], failing: set[int], taken: int
) -> None:
    sinks = {IN: FaultySink(failing, taken=taken), OUT: FaultySink(failing, taken=taken)}
    desk = Desk(PairEncoder(True), dict(sinks))
    given_bytes = {IN: 0, OUT: 0}
    for number, (direction, length, pause) in enumerate(pieces):
        data = (b"x" * 60 + b"\n") * (length // 61) + b"x" * (length % 61) + b"\n"
        desk.chunk(T + number, direction, data)
        given_bytes[direction] += len(data)
        desk.timers.advance(pause)
    for sink in sinks.values():
        sink.failing = ()
    desk.recorder.close(T, "client")
    stats = desk.recorder.stats
    for direction in Direction:
        decoder = PairDecoder(direction, True, False, strict=True)
        lines = b"".join(chunk.data for chunk in decoder.feed(desk.data(direction))).splitlines(keepends=True)
        gaps = [line for line in lines if line.startswith(b"[rawlog: ")]
        assert sum(map(len, lines)) - sum(map(len, gaps)) == stats.recorded[direction]
        assert sum(int(line.split()[1]) for line in gaps) == stats.lost[direction]
        assert stats.recorded[direction] + stats.lost[direction] == given_bytes[direction]
