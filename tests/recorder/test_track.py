"""A track: a failed sink is left alone for a while, then tried again, for ever."""

from __future__ import annotations

import errno
import itertools

from rawlog.events import Direction
from rawlog.recorder.buffer import FULL
from rawlog.recorder.gap import Gap
from rawlog.recorder.track import BUSY_RETRY, FIRST_RETRY, LAST_RETRY, Track, advice_for, cause_of
from tests.support.recording import FaultySink

IN = Direction.IN


def test_back_off() -> None:
    sink = FaultySink(range(1, 1000))
    track = Track(sink)
    track.buffer.put(b"x", IN, 1)
    tries = []
    for tick in range(10 * 200):  # 200 s, ten times a second
        calls = sink.calls
        error = track.write(tick / 10)
        assert (error is not None) == (sink.calls > calls)
        if error:
            tries.append(tick / 10)
    waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert waits[:6] == [FIRST_RETRY, 1.0, 2.0, 4.0, 8.0, 16.0]
    assert set(waits[6:]) == {LAST_RETRY}
    assert len(waits) > 8


def test_success_ends_the_trouble() -> None:
    sink = FaultySink({1, 2, 4})
    track = Track(sink)
    track.buffer.put(b"x", IN, 1)
    assert track.write(0.0)
    assert track.trouble == "No space left on device"
    assert track.write(0.1) is None
    assert track.trouble
    assert track.write(0.1, at_once=True)
    assert track.write(1.1) is None
    assert track.trouble == ""
    track.buffer.put(b"y", IN, 1)
    assert track.write(2.0)
    assert track.write(2.0 + FIRST_RETRY) is None
    assert not track.trouble
    assert sink.data == b"xy"


def test_a_sink_that_is_only_slow_is_asked_again_soon() -> None:
    sink = FaultySink({1, 2, 3}, error=BlockingIOError(errno.EAGAIN, "it does not keep up"))
    track = Track(sink)
    track.buffer.put(b"x", IN, 1)
    for time in (0.0, BUSY_RETRY, 2 * BUSY_RETRY):
        assert track.write(time)
        assert track.write(time + BUSY_RETRY / 2) is None
    assert track.trouble == "it does not keep up"
    assert track.write(3 * BUSY_RETRY) is None
    assert not track.trouble


def test_what_can_wait() -> None:
    track = Track(FaultySink(range(1, 100)))
    assert not track.refuses(1 << 30)
    track.buffer.put(b"x" * 10, IN, 10)
    track.write(0.0)
    assert not track.refuses(FULL - 10)
    assert track.refuses(FULL - 9)
    track.gap = Gap("x", None, None)
    assert track.refuses(1)


def test_causes_are_one_line() -> None:
    assert cause_of(OSError(errno.EIO, "Input/output error")) == "Input/output error"
    assert cause_of(ValueError("a\nb\r\n  c")) == "ValueError: a b c"
    assert cause_of(OSError("odd")) == "OSError: odd"
    assert advice_for(OSError(errno.ENOSPC, "x")) == "make room on that file system"
    assert advice_for(ValueError("x")) == "look at that place"
