"""Figures about exchanges."""

from __future__ import annotations

import pytest

from rawlog.dialogue import stats as module
from rawlog.dialogue.exchange_summary import Summary
from rawlog.dialogue.search import parse
from rawlog.dialogue.search_text import Scan
from rawlog.dialogue.stats import OTHERS, UNKNOWN, By, Figures, Measured, Statistics, measure
from rawlog.events import Chunk, Direction, Event, Recording
from rawlog.reading.opener import open_recording
from tests.support import golden

IN, OUT = Direction.IN, Direction.OUT
BASIC = open_recording(next(golden.FOLDER.glob("imap_rawlog_dir_basic/*3831.1.in")))


def talk(*events: Event) -> Recording:
    return Recording("test", events, protocol="imap")


def test_a_golden_recording() -> None:
    measured = measure(BASIC)
    assert {verb: figures.count for verb, figures in measured.commands.items()} == {
        "NOOP": 4,
        "SELECT": 1,
        "APPEND": 3,
        "FETCH": 2,
        "CAPABILITY": 1,
        "IDLE": 1,
        "FOO": 1,
    }
    noop = measured.commands["NOOP"]
    assert (noop.recordings, noop.errors, noop.unanswered, noop.latency.count, noop.latency.most) == (
        1,
        0,
        0,
        4,
        600912,
    )
    assert measured.commands["FOO"].unanswered == 1
    assert measured.commands["IDLE"].idle == 833596
    assert measured.summary.commands == 13


def test_only_what_is_wanted() -> None:
    query = parse('"Subject: nul"')
    measured = measure(BASIC, wanted=query.term.holds, scan=Scan(query.texts))
    assert {verb: figures.count for verb, figures in measured.commands.items()} == {"APPEND": 2, "FETCH": 2}


def test_idle_is_when_no_answer_is_waited_for() -> None:
    measured = measure(
        talk(
            Chunk(0, OUT, b"* PREAUTH\r\n"),
            Chunk(10, IN, b"a NOOP\r\nb NOOP\r\n"),
            Chunk(15, OUT, b"a OK\r\n"),
            Chunk(20, OUT, b"b OK\r\n"),
            Chunk(50, IN, b"c NOOP\r\n"),
            Chunk(55, OUT, b"c NO\r\n"),
            Chunk(100, IN, b"d NOOP\r\n"),
        )
    )
    assert measured.idle == 100 - 10 - 5
    assert (measured.commands["NOOP"].errors, measured.commands["NOOP"].unanswered) == (1, 1)


def test_without_times_and_without_a_protocol() -> None:
    plain = measure(open_recording(next(golden.FOLDER.glob("postlogin_rawlog_plain/*.in"))))
    assert (plain.commands["NOOP"].count, plain.commands["NOOP"].latency.count, plain.idle) == (4, 0, 0)
    assert measure(Recording("x", [Chunk(1, IN, b"x")])).commands == {}


def test_rubbish_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VERBS_LIMIT", 3)
    lines = b"".join(b"a X%d\r\n" % number for number in range(10))
    measured = measure(talk(Chunk(0, OUT, b"* PREAUTH\r\n"), Chunk(1, IN, lines)))
    assert {verb: figures.count for verb, figures in measured.commands.items()} == {
        "X0": 1,
        "X1": 1,
        "X2": 1,
        OTHERS: 7,
    }


def measured(name: str, summary: Summary, **counts: int) -> Measured:
    commands = {}
    for verb, count in counts.items():
        commands[verb] = Figures(recordings=1, count=count, sent=10 * count)
        commands[verb].latency.add(count)
    return Measured(name, summary, commands, idle=100)


ALICE = Summary(protocol="imap", user="alice", software="Thunderbird", client="192.0.2.1:99")
FIRST = measured("r1", ALICE, NOOP=3, FETCH=4)
SECOND = measured("r2", Summary(protocol="pop3", client="[2001:db8::1]:5"), NOOP=1)


@pytest.mark.parametrize(
    ("by", "counts"),
    [
        ("command", {"NOOP": 4, "FETCH": 4}),
        ("user", {"alice": 7, UNKNOWN: 1}),
        ("software", {"Thunderbird": 7, UNKNOWN: 1}),
        ("client", {"192.0.2.1": 7, "[2001:db8::1]": 1}),
        ("protocol", {"imap": 7, "pop3": 1}),
        ("recording", {"r1": 7, "r2": 1}),
        ("all", {"all": 8}),
    ],
)
def test_groups(by: By, counts: dict[str, int]) -> None:
    statistics = Statistics(by)
    statistics.add(FIRST)
    statistics.add(SECOND)
    assert {key: figures.count for key, figures in statistics.groups.items()} == counts
    total = statistics.total
    assert (total.recordings, total.count, total.sent, total.idle, total.latency.count) == (2, 8, 80, 200, 3)


def test_recordings_and_idle_times_in_groups() -> None:
    by_command, by_user = Statistics("command"), Statistics("user")
    for statistics in (by_command, by_user):
        statistics.add(FIRST)
        statistics.add(SECOND)
    assert (by_command.groups["NOOP"].recordings, by_command.groups["NOOP"].idle) == (2, 0)
    assert (by_user.groups["alice"].recordings, by_user.groups["alice"].idle) == (1, 100)


def test_a_recording_without_such_commands_does_not_count() -> None:
    statistics = Statistics("all")
    statistics.add(Measured("x", Summary(), {}, idle=5))
    assert (statistics.total.recordings, statistics.groups) == (0, {})


def test_groups_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUPS_LIMIT", 1)
    statistics = Statistics("recording")
    statistics.add(FIRST)
    statistics.add(SECOND)
    assert list(statistics.groups) == ["r1", OTHERS]
