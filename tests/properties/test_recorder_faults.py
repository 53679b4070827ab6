"""Recording under faults: at every write, in every encoder call, on a disk that is full.

Whatever fails, the caller never sees an exception, and what is recorded and what is missing add up to what was given.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.events import Direction, Mark
from rawlog.formats.dovecot import PairDecoder, PairEncoder
from rawlog.recorder.buffer import LARGE
from rawlog.recorder.gap import gap_line
from rawlog.recorder.naming import Opened, open_pair
from rawlog.recorder.recorder import Flusher, Recorder
from rawlog.recorder.sinks import MemorySink
from rawlog.recorder.track import LAST_RETRY
from tests.support.recording import Desk, FaultySink, PlainEncoder, Timers

IN, OUT = Direction.IN, Direction.OUT
T = 1795385217427810
NO_SPACE = "No space left on device"


DIALOGUE = [
    (IN, b"a1 NOOP\r\n"),
    (OUT, b"a1 OK\r\n"),
    (IN, b"a2 FETCH 1 BODY[]\r\n"),
    (OUT, b"* 1 FETCH {40000}\r\n" + b"m" * 40_000),
    (OUT, b"n" * 70_000),
    (OUT, b")\r\na2 OK\r\n"),
    (IN, b"a3 APPEND x {200000}\r\n"),
    (IN, b"p" * 30_000),
    (IN, b"q" * 100_000),
    (IN, b"r" * 70_000),
    (OUT, b"* BYE"),
]
GIVEN = {d: b"".join(data for direction, data in DIALOGUE if direction is d) for d in Direction}


def play(desk: Desk, pause: float) -> None:
    for number, (direction, data) in enumerate(DIALOGUE):
        desk.chunk(T + number, direction, data)
        desk.recorder.mark(T, "login", {})
        desk.timers.advance(pause)
    desk.recorder.close(T + 99, "client")


def without_gaps(text: bytes) -> tuple[bytes, int]:
    """A plain recording without its gap lines, and the sum of the bytes they speak of."""
    kept, missing = b"", 0
    for line in text.splitlines(keepends=True):
        if line.startswith(b"[rawlog: "):
            missing += int(line.split()[1])
            kept = kept.removesuffix(b"\r\n")
        else:
            kept += line
    return kept, missing


@pytest.mark.parametrize("taken", [0, 1, 20_000])
@pytest.mark.parametrize("length", [1, 3, 1000])
@pytest.mark.parametrize("pause", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("single", [False, True])
def test_faults_at_every_write(pause: float, length: int, taken: int, single: bool) -> None:
    """The n-th write and the ``length`` - 1 after it fail, for n = 1, 2, … until a run has no failure."""
    for first in range(1, 100):
        failing = range(first, first + length)
        sinks = [FaultySink(failing, taken=taken), FaultySink(failing, taken=taken)]
        desk = Desk(PlainEncoder(single=single), {IN: sinks[0], OUT: sinks[not single]})
        play(desk, pause)
        stats = desk.recorder.stats
        for direction in Direction:
            assert stats.recorded[direction] + stats.lost[direction] == len(GIVEN[direction])
        if not single:
            for direction in Direction:
                kept, missing = without_gaps(desk.data(direction))
                assert len(kept) <= stats.recorded[direction] + 2
                assert missing <= stats.lost[direction]
        assert len(desk.reports) <= 2
        if max(sink.calls for sink in sinks) < first:
            assert stats.lost == {IN: 0, OUT: 0}
            assert single or {d: desk.data(d) for d in Direction} == GIVEN
            return
    pytest.fail("there is always a failure")


@given(
    st.lists(
        st.tuples(st.sampled_from([IN, OUT]), st.integers(1, 40_000), st.sampled_from([0.0, 0.3, 2.0])), max_size=30
    ),
    st.sets(st.integers(1, 30)),
    st.integers(0, 5000),
)
@settings(max_examples=60)
def test_recorded_and_missing_are_what_was_given(
    pieces: list[tuple[Direction, int, float]], failing: set[int], taken: int
) -> None:
    """The files hold what the counts say, and the gap lines the rest, when the sinks work in the end."""
    sinks = {IN: FaultySink(failing, taken=taken), OUT: FaultySink(failing, taken=taken)}
    desk = Desk(sinks=dict(sinks))
    size = {IN: 0, OUT: 0}
    for number, (direction, length, pause) in enumerate(pieces):
        desk.chunk(T + number, direction, b"x" * (length - 1) + b"\n")
        size[direction] += length
        desk.timers.advance(pause)
    for sink in sinks.values():
        sink.failing = ()
    desk.recorder.close(T, "client")
    stats = desk.recorder.stats
    for direction in Direction:
        kept, missing = without_gaps(desk.data(direction))
        assert len(kept) == stats.recorded[direction]
        assert missing == stats.lost[direction] == size[direction] - len(kept)


@pytest.mark.parametrize("at", range(1, 12))
@pytest.mark.parametrize("method", ["chunk", "mark", "end"])
@pytest.mark.parametrize("error", [ValueError("a\nb"), MemoryError(), OSError(errno.EIO, "Input/output error")])
def test_an_encoder_that_fails(method: str, at: int, error: Exception) -> None:
    class Failing(PlainEncoder):
        calls = 0

        def count(self, name: str) -> None:
            self.calls += name == method
            if self.calls == at and name == method:
                raise error

        def chunk(self, at: int | None, direction: Direction, data: bytes) -> bytes:
            self.count("chunk")
            return super().chunk(at, direction, data)

        def mark(self, mark: Mark) -> bytes:
            self.count("mark")
            return super().mark(mark)

        def end(self, direction: Direction) -> bytes:
            self.count("end")
            return super().end(direction)

    encoder = Failing()
    desk = Desk(encoder)
    play(desk, 0.1)
    failed = encoder.calls >= at
    assert desk.recorder.healthy != failed
    stats = desk.recorder.stats
    for direction in Direction:
        assert stats.recorded[direction] == len(desk.data(direction))
        assert GIVEN[direction].startswith(desk.data(direction))
        assert stats.recorded[direction] + stats.lost[direction] == len(GIVEN[direction])
    assert len(desk.reports) == failed + any(stats.lost.values())
    assert all("\n" not in report for report in desk.reports)
    if failed:
        assert "goes on without a recording" in desk.reports[0]


@pytest.mark.parametrize(
    "error", [ValueError("odd"), MemoryError(), RuntimeError("closed"), BlockingIOError(11, "busy")]
)
def test_a_sink_that_fails_in_its_own_way(error: Exception) -> None:
    desk = Desk(sinks={IN: FaultySink({1, 2}, error=error), OUT: MemorySink()})
    play(desk, 1.0)
    assert sum(desk.counts()[:4]) == sum(map(len, GIVEN.values()))
    assert len(desk.reports) == 2 or desk.counts()[2] == 0


def test_a_sink_that_fails_when_it_is_closed() -> None:
    class Closing(FaultySink):
        def close(self) -> None:
            raise OSError(errno.EIO, "Input/output error")

    desk = Desk(sinks={IN: Closing(name="/raw/x.in"), OUT: MemorySink()})
    play(desk, 0.1)
    assert desk.reports == ["imap alice s1: closing /raw/x.in failed: Input/output error; its end may be missing"]
    assert desk.sinks[OUT].closed


def test_a_report_that_fails() -> None:
    def report(sentence: str) -> None:
        raise OSError(errno.EPIPE, "the log is gone")

    timers = Timers()
    sinks = {IN: FaultySink({1})}
    recorder = Recorder(PlainEncoder(), sinks, name="x", report=report, flusher=Flusher(timers.call_later))
    recorder.chunk(T, IN, b"x" * LARGE)
    recorder.close(T, "client")
    assert len(sinks[IN].data) == LARGE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, timeout=10)
    except OSError as error:
        pytest.skip(f"no mount command: {error}")
    if done.returncode:
        pytest.skip(f"a file system of 64 KiB can't be mounted here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=10)


def test_a_disk_that_is_full_and_has_room_again(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 40_000)
    opened = open_pair(str(small_disk), iter(["a"]))
    assert isinstance(opened, Opened)
    desk = Desk(PairEncoder(True), dict(opened.sinks))
    text = b"".join(b"line %06d\r\n" % number for number in range(12_000))
    for start in range(0, len(text), 9000):
        desk.chunk(T + start, IN, text[start : start + 9000])
        desk.timers.advance(0.01)
    lost = desk.recorder.stats.lost[IN]
    assert lost > 0
    ballast.unlink()
    for name in ("a.in", "a.out"):
        os.truncate(small_disk / name, 0)  # as if the disk had grown: all that follows fits
    desk.timers.advance(LAST_RETRY + 1)
    desk.chunk(T + 10**6, IN, b"again\r\n")
    assert not desk.recorder.flush()
    desk.recorder.close(T, "client")
    assert desk.recorder.stats.lost[IN] == lost
    chunks = PairDecoder(IN, stamps=True, boundaries=False).feed((small_disk / "a.in").read_bytes())
    end = b"".join(chunk.data for chunk in chunks)
    assert end.endswith(gap_line(lost, *gap_times(end), NO_SPACE) + b"again\r\n")
    assert sum(desk.counts()[:3]) == len(text) + 7
    assert f"recording to {small_disk}/a.in failed: {NO_SPACE}" in desk.reports[0]


def gap_times(text: bytes) -> tuple[int, int]:
    """The times in the last gap line, back in microseconds."""
    words = text.rsplit(b"[rawlog: ", 1)[1].split()
    times = [datetime.fromisoformat(word.decode().rstrip(":")) for word in (words[5], words[7])]
    first, last = (int(time.timestamp()) * 10**6 + time.microsecond for time in times)
    return first, last


def test_no_inode_for_the_second_file(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "nr_inodes=2", "tmpfs", str(place)], capture_output=True
    ).returncode:
        pytest.skip("a file system with two inodes can't be mounted here")
    try:
        answer = open_pair(str(place), iter(["a", "b"]))
        assert not isinstance(answer, Opened)
        assert answer.reason == f"{place}: no file can be made: {NO_SPACE}"
        assert list(place.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, timeout=10)
