"""A recording in one line."""

from __future__ import annotations

import pytest

from rawlog.dialogue.exchange_summary import Summary, summarize
from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.reading.opener import open_recording
from tests.support import golden
from tests.support.conversation import converse
from tests.support.exchanges import STEP, timed

IN, OUT = Direction.IN, Direction.OUT


def summary_of(text: str, protocol: str = "imap", marks: list[Mark] | None = None) -> Summary:
    talk = converse("== text\n" + text)
    events: list[Event] = [*(marks or []), *timed(talk.pieces)]
    return summarize(Recording("test", events, protocol=protocol))


def test_a_golden_recording() -> None:
    summary = summarize(open_recording(next(golden.FOLDER.glob("imap_rawlog_dir_basic/*3831.1.in"))))
    assert (summary.protocol, summary.user, summary.end) == ("imap", "", "no answer to FOO")
    assert (summary.commands, summary.errors) == (13, 0)
    assert (summary.started, summary.ended) == (1795385217426464, 1795385219514818)
    assert summary.duration == 2088354
    assert summary.slowest == 600912
    halves = [next(golden.FOLDER.glob(f"imap_rawlog_dir_basic/*3831.1.{half}")) for half in ("in", "out")]
    sizes = [len(golden.without_stamps(half.read_bytes())) for half in halves]
    assert [summary.in_bytes, summary.out_bytes] == sizes


def test_who_it_was_and_with_what() -> None:
    summary = summary_of(
        """
        S: * OK ready
        C: a ID ("name" "Thunder\\"bird" "vendor" NIL "version" "128.1")
        S: * ID NIL
        S: a OK
        C: b LOGIN alice secret
        S: b OK
        C: c SELECT nowhere
        S: c NO no
        C: d LOGOUT
        S: * BYE
        S: d OK
        """
    )
    assert summary.software == 'Thunder"bird 128.1'
    assert (summary.user, summary.end) == ("alice", "logout")
    assert (summary.commands, summary.errors, summary.slowest) == (4, 1, STEP)


def test_what_marks_say_goes_before() -> None:
    marks = [
        Mark(1, "opened", {"client": "192.0.2.7:4711"}),
        Mark(2, "login", {"user": "bob"}),
        Mark(3, "closed", {"reason": "client closed the connection"}),
    ]
    summary = summary_of("S: * OK\nC: a LOGIN alice x\nS: a OK\nC: b LOGOUT", marks=marks)
    assert (summary.client, summary.user) == ("192.0.2.7:4711", "bob")
    assert summary.end == "client closed the connection"
    assert summary.started == 1


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("S: +OK\nC: NOOP\nS: +OK", ""),
        ("S: +OK\nC: NOOP\nS: +OK\nC: QUIT", "logout"),
        ("S: +OK\nC: NOOP\nS: +OK\nC: RETR 1", "no answer to RETR"),
    ],
)
def test_how_it_ended(text: str, end: str) -> None:
    assert summary_of(text, "pop3").end == end


def test_the_server_ended_it() -> None:
    assert summary_of("S: * PREAUTH\nC: a NOOP\nS: a OK\nS: * BYE shutting down").end == "BYE"
    assert summary_of("S: 220 x\nC: NOOP\nS: 421 too slow", "smtp").end == "421"


def test_smtp_says_who_it_is_and_proxies_for_whom() -> None:
    text = "S: 220 x\nC: XCLIENT ADDR=192.0.2.1 PORT=1\nS: 220 x\nC: EHLO client.example.com\nS: 250 x"
    summary = summary_of(text, "smtp")
    assert (summary.software, summary.client) == ("client.example.com", "192.0.2.1")


def test_without_times_and_without_a_protocol() -> None:
    summary = summarize(open_recording(next(golden.FOLDER.glob("postlogin_rawlog_plain/*.in"))))
    assert (summary.started, summary.duration, summary.slowest, summary.commands) == (None, None, None, 6)
    unknown = summarize(Recording("test", [Chunk(5, IN, b"abc"), Chunk(9, OUT, b"d")]))
    assert (unknown.protocol, unknown.in_bytes, unknown.out_bytes, unknown.duration) == ("", 3, 1, 4)
