"""Several recordings on one time line."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from rawlog.errors import RawlogError
from rawlog.events import Chunk, Direction, Event, Recording
from rawlog.reading.opener import open_paths
from rawlog.views.timeline import timeline, timeline_json
from rawlog.views.when import When
from rawlog.views.window import Window
from tests.support import golden

IN, OUT = Direction.IN, Direction.OUT
SECOND = 1_000_000


class Counted:
    """Events that tell how many are being taken at once."""

    most = now = 0

    def __init__(self, *events: Event) -> None:
        self.events = events

    def __iter__(self) -> Iterator[Event]:
        Counted.now += 1
        Counted.most = max(Counted.most, Counted.now)
        try:
            yield from self.events
        finally:
            Counted.now -= 1


def recording(name: str, *events: Event) -> Recording:
    return Recording(name, events, protocol="imap")


FRONT = recording(
    "front",
    Chunk(1 * SECOND, OUT, b"* OK\r\n"),
    Chunk(2 * SECOND, IN, b"a NOOP\r\n"),
    Chunk(5 * SECOND, OUT, b"a OK\r\n"),
)
BACK = recording(
    "back",
    Chunk(2 * SECOND, OUT, b"* OK\r\n"),
    Chunk(3 * SECOND, IN, b"x NOOP\r\n"),
    Chunk(4 * SECOND, OUT, b"x OK\r\n"),
)


def test_lines_come_in_the_order_of_time_with_the_number_of_their_recording() -> None:
    assert list(timeline([BACK, FRONT], time="relative")) == [
        "     0.000 [2] S: * OK",
        "     1.000 [1] S: * OK",
        "     1.000 [2] C: a NOOP",
        "     2.000 [1] C: x NOOP",
        "     3.000 [1] S: x OK",
        "     4.000 [2] S: a OK",
    ]


def test_what_is_understood_late_keeps_its_place_in_its_recording() -> None:
    late = recording("late", Chunk(1 * SECOND, IN, b"a NOOP\r\n"), Chunk(9 * SECOND, OUT, b"* OK\r\n"))
    said = [line[6:] if line[0] == " " else line for line in timeline([late, FRONT], time="none")]
    assert said == ["[2] S: * OK", "[2] C: a NOOP", "[2] S: a OK", "[1] S: * OK", "[1] C: a NOOP"]


def test_only_a_window_of_each() -> None:
    lines = list(timeline([BACK, FRONT], time="none", window=Window(since=When("+2"))))
    assert lines == ["[1] S: x OK", "[2] S: a OK"]
    found = [json.loads(line) for line in timeline_json([BACK, FRONT], window=Window(since=When("+2")))]
    assert [one["recording"] for one in found] == ["back", "front"]


def test_json_in_the_order_of_time() -> None:
    found = [json.loads(line) for line in timeline_json([BACK, FRONT])]
    assert [(one["at"] // SECOND, one["recording"]) for one in found] == [
        (1, "front"),
        (2, "back"),
        (2, "front"),
        (3, "back"),
        (4, "back"),
        (5, "front"),
    ]


def test_only_those_are_open_that_overlap() -> None:
    many = [
        Recording(str(n), Counted(Chunk(n * SECOND, OUT, b"* OK\r\n"), Chunk(n * SECOND + 1, IN, b"a NOOP\r\n")))
        for n in range(50)
    ]
    assert len(list(timeline(many, time="none"))) == 100
    assert Counted.most <= 2


def test_without_times_there_is_no_place_on_it() -> None:
    untimed = Recording("plain", [Chunk(None, IN, b"a NOOP\r\n")], timed=False)
    with pytest.raises(RawlogError, match="plain: has no times"):
        list(timeline([FRONT, untimed]))


def test_nothing_at_all() -> None:
    assert list(timeline([])) == []
    assert list(timeline([recording("empty")])) == []


def test_both_legs_of_a_real_proxy() -> None:
    legs = list(open_paths([golden.FOLDER / "lmtp_proxy_rawlog_dir"]))
    lines = list(timeline(legs, time="none"))
    assert sum(len(list(timeline([leg], time="none"))) for leg in legs) == len(lines)
    rcpt = [line for line in lines if "RCPT TO:<bob" in line]
    assert [line[:3] for line in rcpt] == ["[1]", "[2]", "[3]"]
