"""The recorder: everything is in the file or counted as missing, and nothing ever comes back to the caller."""

from __future__ import annotations

import pytest

from rawlog.events import Direction, Mark
from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.buffer import FULL, LARGE
from rawlog.recorder.flusher import INTERVAL
from rawlog.recorder.gap import gap_line
from rawlog.recorder.limits import FreeSpace, Limit
from rawlog.recorder.recorder import Flusher, Recorder
from rawlog.recorder.sinks import MemorySink
from rawlog.recorder.track import LAST_RETRY
from tests.support.recording import Desk, FaultySink, PlainEncoder, Timers

IN, OUT = Direction.IN, Direction.OUT
T = 1795385217427810
STAMP = b"1795385217.427810 "
NO_SPACE = "No space left on device"


def test_a_conversation_as_dovecot_writes_it() -> None:
    desk = Desk(PairEncoder(True))
    desk.chunk(T, IN, b"a1 NO")
    desk.chunk(T + 1, IN, b"OP\r\na2 LOGOUT\r\n")
    desk.chunk(T + 2, OUT, b"a1 OK\r\n")
    desk.recorder.mark(T, "login", {"user": "alice"})
    desk.recorder.close(T + 3, "client")
    assert desk.data(IN) == STAMP + b"a1 NOOP\r\n1795385217.427811 a2 LOGOUT\r\n"
    assert desk.data(OUT) == b"1795385217.427812 a1 OK\r\n"
    assert desk.counts() == (18 + 2, 7, 0, 0, 0)
    assert str(desk.recorder.stats) == "in=20 out=7"
    assert desk.reports == []
    assert [sink.closed for sink in desk.sinks.values()] == [1, 1]


def test_small_pieces_wait_for_the_timer() -> None:
    desk = Desk()
    for _ in range(10):
        desk.chunk(T, IN, b"noop\r\n")
    assert desk.data(IN) == b""
    desk.timers.advance(INTERVAL)
    assert desk.data(IN) == b"noop\r\n" * 10
    assert desk.sinks[IN].calls == 1
    assert not desk.timers.armed


def test_full_and_large_pieces_do_not_wait() -> None:
    desk = Desk()
    for _ in range(FULL // 1024):
        desk.chunk(T, IN, b"x" * 1024)
    assert len(desk.data(IN)) == FULL
    desk.chunk(T, OUT, b"y")
    desk.chunk(T, OUT, b"z" * LARGE)
    assert desk.data(OUT) == b"y" + b"z" * LARGE
    assert [sink.calls for sink in desk.sinks.values()] == [1, 1]


def test_flush_now() -> None:
    desk = Desk()
    desk.chunk(T, IN, b"x")
    assert not desk.recorder.flush()
    assert desk.data(IN) == b"x"


@pytest.mark.parametrize("direction", [IN, OUT])
def test_one_half_only(direction: Direction) -> None:
    sink = MemorySink()
    desk = Desk(sinks={direction: sink})
    desk.chunk(T, IN, b"i")
    desk.chunk(T, OUT, b"o")
    desk.recorder.close(T, "client")
    assert sink.data == direction.value[:1].encode()
    assert sum(desk.counts()) == 1


def test_no_half_at_all() -> None:
    timers = Timers()
    recorder = Recorder(PlainEncoder(), {}, name="x", report=print, flusher=Flusher(timers.call_later))
    recorder.chunk(T, IN, b"x")
    recorder.mark(T, "login", {})
    recorder.flush()
    recorder.close(T, "client")
    assert recorder.healthy
    assert str(recorder.stats) == "in=0 out=0"


def test_a_single_stream_with_marks() -> None:
    sink = MemorySink()
    desk = Desk(PlainEncoder(single=True, marks=True), {IN: sink, OUT: sink})
    desk.chunk(T, IN, b"<in>")
    desk.recorder.mark(T, "login", {"user": "alice"})
    desk.chunk(T, OUT, b"<out>")
    desk.recorder.close(T, "server closed")
    assert sink.data == b"<in>{login:user=alice}<out>{closed:reason=server closed}"
    assert sink.closed


def test_what_an_encoder_keeps_to_the_end() -> None:
    class Late(PlainEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.held = {IN: b"", OUT: b""}

        def chunk(self, at: int | None, direction: Direction, data: bytes) -> bytes:
            self.held[direction] += data
            return b""

        def end(self, direction: Direction) -> bytes:
            return self.held[direction]

    desk = Desk(Late())
    desk.chunk(T, IN, b"one")
    desk.chunk(T, OUT, b"two")
    desk.recorder.close(T, "client")
    assert (desk.data(IN), desk.data(OUT)) == (b"one", b"two")
    assert desk.counts() == (3, 3, 0, 0, 0)
    broken = Desk(Late(), {IN: FaultySink(range(99)), OUT: FaultySink()})
    broken.chunk(T, IN, b"one")
    broken.chunk(T, OUT, b"two")
    broken.recorder.close(T, "client")
    assert broken.counts() == (0, 3, 3, 0, 0)


def test_no_mark_is_made_for_an_encoder_without_marks() -> None:
    class Markless(PlainEncoder):
        has_marks = False

        def mark(self, mark: Mark) -> bytes:
            raise AssertionError

    desk = Desk(Markless())
    desk.chunk(T, IN, b"a1 NOOP\r\n")
    desk.recorder.close(T, "client")
    assert desk.recorder.healthy
    assert desk.reports == []


def test_who_was_flushed_early_is_flushed_again() -> None:
    desk = Desk()
    for _ in range(3):
        desk.chunk(T, IN, b"x")
        assert not desk.recorder.flush()
        desk.chunk(T, IN, b"y")
        desk.timers.advance(INTERVAL)
    assert desk.data(IN) == b"xyxyxy"
    assert not desk.timers.armed


def test_after_close_nothing_happens() -> None:
    desk = Desk()
    desk.chunk(T, IN, b"x")
    desk.recorder.close(T, "client")
    desk.recorder.close(T, "client")
    desk.chunk(T, IN, b"late")
    desk.recorder.mark(T, "login", {})
    assert not desk.recorder.flush()
    desk.timers.advance(1)
    assert desk.data(IN) == b"x"
    assert desk.sinks[IN].closed == 1
    assert desk.counts() == (1, 0, 0, 0, 0)


def test_a_closed_sink_is_not_written_to() -> None:
    sink = FaultySink(range(1, 100))
    desk = Desk(sinks={IN: sink})
    desk.chunk(T, IN, b"x")
    desk.recorder.close(T, "client")
    calls = sink.calls
    desk.recorder.flush()
    desk.timers.advance(100)
    assert sink.calls == calls
    assert not desk.timers.armed


# A sink that fails


def test_a_short_failure_loses_nothing() -> None:
    desk = Desk(sinks={IN: FaultySink({1}, taken=2, name="/raw/x.in")})
    desk.chunk(T, IN, b"first ")
    desk.timers.advance(INTERVAL)
    assert not desk.recorder.healthy
    assert desk.data(IN) == b"fi"
    desk.chunk(T, IN, b"second ")
    desk.timers.advance(1)
    assert desk.recorder.healthy
    assert desk.data(IN) == b"first second "
    desk.recorder.close(T, "client")
    assert desk.counts() == (13, 0, 0, 0, 0)
    assert desk.reports == [
        f"imap alice s1: recording to /raw/x.in failed: {NO_SPACE}; make room on that file system; "
        "the conversation goes on and recording is tried again"
    ]


def test_a_gap_is_shown_where_it_is() -> None:
    sink = FaultySink({1, 2}, taken=1000, name="/raw/x.in")
    desk = Desk(PairEncoder(True), {IN: sink, OUT: MemorySink()})
    desk.chunk(T, IN, b"a" * FULL)  # fails at its 1000th byte; the rest waits
    desk.chunk(T + 1, IN, b"b" * 1000)
    desk.chunk(T + 1_000_001, IN, b"c" * 10 + b"\r\n")
    desk.chunk(T + 2, OUT, b"ok\r\n")
    desk.timers.advance(0.6)  # fails again
    assert not desk.recorder.healthy
    desk.timers.advance(1.2)
    assert desk.recorder.healthy
    desk.chunk(T + 2_000_000, IN, b"d\r\n")
    desk.recorder.close(T, "client")
    line = gap_line(1012, T + 1, T + 1_000_001, NO_SPACE)
    assert bytes(sink.data) == (STAMP + b"a" * FULL + b"\r\n1795385218.427811 " + line + b"1795385219.427810 d\r\n")
    assert desk.counts() == (FULL + 3, 4, 1012, 0, 1)
    assert str(desk.recorder.stats) == f"in={FULL + 3} out=4 lost_in=1012 lost_out=0 gaps=1"
    assert len(desk.reports) == 2
    assert desk.reports[1] == f"imap alice s1: 1012 bytes of .in are not in the recording ({NO_SPACE})"


def test_a_gap_at_a_line_start_and_at_the_end() -> None:
    sink = FaultySink({1})
    desk = Desk(PairEncoder(True), {IN: sink})
    desk.chunk(T, IN, b"a" * FULL + b"\r\n")
    desk.chunk(T, IN, b"lost\r\n")
    desk.recorder.close(T, "client")
    assert bytes(sink.data) == STAMP + b"a" * FULL + b"\r\n" + STAMP + gap_line(6, T, T, NO_SPACE)


def test_a_gap_in_a_format_with_marks() -> None:
    sink = FaultySink({1})
    desk = Desk(PlainEncoder(single=True, marks=True), {IN: sink, OUT: sink})
    desk.chunk(T, IN, b"a" * FULL)
    desk.chunk(T, IN, b"lost")
    desk.chunk(T + 1, OUT, b"lost too")
    desk.recorder.mark(T, "login", {})
    desk.timers.advance(1)
    desk.recorder.close(T, "client")
    assert bytes(sink.data[FULL:]) == (
        b"{gap:cause=No space left on device,in=4,out=8,"
        b"from=2026-11-22T22:06:57.427810Z,to=2026-11-22T22:06:57.427811Z}{closed:reason=client}"
    )


def test_one_stream_without_marks_says_it_for_each_direction() -> None:
    sink = FaultySink({1})
    desk = Desk(PlainEncoder(single=True), {IN: sink, OUT: sink})
    desk.chunk(T, IN, b"a" * FULL)
    desk.chunk(T, IN, b"lost")
    desk.chunk(T, OUT, b"lost too")
    desk.timers.advance(1)
    assert bytes(sink.data[FULL:]) == b"\r\n" + gap_line(4, T, T, NO_SPACE) + gap_line(8, T, T, NO_SPACE)


def test_one_report_for_one_cause_and_the_sum_at_the_end() -> None:
    desk = Desk(sinks={IN: FaultySink(range(1000)), OUT: FaultySink(range(1000))})
    for second in range(100):
        desk.chunk(T + second, IN, b"x" * LARGE)
        desk.chunk(T + second, OUT, b"y" * LARGE)
        desk.timers.advance(1)
    desk.recorder.close(T, "client")
    assert desk.counts() == (0, 0, 100 * LARGE, 100 * LARGE, 2)
    assert len(desk.reports) == 2
    assert desk.reports[1].endswith(
        f"{100 * LARGE} bytes of .in and {100 * LARGE} bytes of .out are not in the recording ({NO_SPACE})"
    )


def test_never_switched_off_for_good() -> None:
    sink = FaultySink(range(1, 10_000))
    desk = Desk(sinks={IN: sink})
    desk.chunk(T, IN, b"waits")
    desk.timers.advance(3600)
    sink.failing = ()
    assert desk.data(IN) == b""
    desk.timers.advance(LAST_RETRY + INTERVAL)
    assert desk.data(IN) == b"waits"
    assert desk.recorder.healthy
    assert 100 < sink.calls < 150
    assert not desk.timers.armed


def test_memory_is_bounded_while_a_sink_fails() -> None:
    desk = Desk(sinks={IN: FaultySink(range(1, 10_000))})
    for _ in range(1000):
        desk.chunk(T, IN, b"x" * 1000)
    recorded = desk.recorder.stats.recorded[IN]
    assert recorded < FULL + 1000
    assert desk.recorder.stats.lost[IN] == 1_000_000 - recorded


# Limits


def test_the_limit_of_a_session() -> None:
    desk = Desk(PairEncoder(True), limit=Limit(30))
    desk.chunk(T, IN, b"a1 NOOP\r\n")
    desk.chunk(T, OUT, b"a1 OK\r\n")
    desk.chunk(T, IN, b"a2 A VERY LONG ONE\r\n")
    desk.chunk(T, IN, b"a3\r\n")
    desk.chunk(T + 7, OUT, b"a2 OK\r\n")
    desk.timers.advance(1)
    assert not desk.recorder.healthy
    begin = STAMP + b"[rawlog: not recorded from here on: limit of 30 bytes reached]\r\n"
    assert desk.data(IN) == STAMP + b"a1 NOOP\r\n" + begin
    desk.recorder.close(T + 9, "client")
    assert desk.data(IN) == STAMP + b"a1 NOOP\r\n" + begin + STAMP + gap_line(24, T, T, "limit of 30 bytes reached")
    assert desk.data(OUT).endswith(b"1795385217.427817 " + gap_line(7, T + 7, T + 7, "limit of 30 bytes reached"))
    assert desk.counts() == (9, 7, 24, 7, 2)
    assert desk.reports == [
        "imap alice s1: recording to /raw/x.in stops: limit of 30 bytes reached; the conversation goes on",
        "imap alice s1: 24 bytes of .in and 7 bytes of .out are not in the recording (limit of 30 bytes reached)",
    ]


def test_the_limit_in_the_middle_of_a_line() -> None:
    desk = Desk(limit=Limit(4))
    desk.chunk(T, IN, b"a1 N")
    desk.chunk(T, IN, b"OOP")
    desk.recorder.close(T, "client")
    begin = b"[rawlog: not recorded from here on: limit of 4 bytes reached]\r\n"
    assert desk.data(IN) == b"a1 N\r\n" + begin + gap_line(3, T, T, "limit of 4 bytes reached")


def test_the_limit_in_a_format_with_marks() -> None:
    sink = MemorySink()
    desk = Desk(PlainEncoder(single=True, marks=True), {IN: sink, OUT: sink}, limit=Limit(4))
    desk.chunk(T, IN, b"abcd")
    desk.chunk(T, OUT, b"efgh")
    desk.recorder.mark(T, "login", {})
    desk.recorder.close(T, "client")
    assert sink.data == (
        b"abcd{gap:cause=limit of 4 bytes reached,from=2026-11-22T22:06:57.427810Z}"
        b"{gap:cause=limit of 4 bytes reached,in=0,out=4,"
        b"from=2026-11-22T22:06:57.427810Z,to=2026-11-22T22:06:57.427810Z}{closed:reason=client}"
    )


def test_free_space_that_comes_back() -> None:
    desk = Desk()
    space = FreeSpace("/", 1 << 80, clock=desk.timers.now)
    desk.recorder._limit = Limit(0, space)
    desk.chunk(T, IN, b"one\r\n")
    desk.chunk(T, IN, b"two\r\n")
    space.floor = 0
    desk.timers.advance(5)
    desk.chunk(T, IN, b"three\r\n")
    desk.recorder.close(T, "client")
    cause = f"less than {1 << 80} bytes free on the file system"
    assert desk.data(IN) == (
        f"[rawlog: not recorded from here on: {cause}]\r\n".encode() + gap_line(10, T, T, cause) + b"three\r\n"
    )
    assert desk.counts() == (7, 0, 10, 0, 1)
    assert len(desk.reports) == 2
