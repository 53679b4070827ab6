"""A recording as people read it."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.reading.opener import open_paths, open_recording
from rawlog.views.text import CUT, json_lines, render
from tests.support import golden

IN, OUT = Direction.IN, Direction.OUT
T = 1795385217410830  # 2026-11-22 22:06:57.410830 UTC


@pytest.fixture(autouse=True)
def _utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def conversation(*events: Event, protocol: str | None = "imap", timed: bool = True) -> Recording:
    return Recording("test", list(events), timed=timed, protocol=protocol)


NOOP = conversation(
    Chunk(T, OUT, b"* OK hi\r\n"),
    Chunk(T + 1_000, IN, b"a2 NOOP\r\n"),
    Mark(T + 1_500, "login", {"user": "alice\x1b", "by": "PLAIN"}),
    Chunk(T + 62_002_000, OUT, b"a2 OK \\Seen\r\n"),
)


def test_each_line_has_time_sign_and_text() -> None:
    assert list(render(NOOP)) == [
        "-- 2026-11-22 +0000",
        "22:06:57.410 S: * OK hi",
        "22:06:57.411 C: a2 NOOP",
        "22:06:57.412 ** login user=alice\\x1b by=PLAIN",
        "22:07:59.412 S: a2 OK \\Seen",
    ]


def test_times_can_be_counted_from_the_first_one() -> None:
    assert [line[:13] for line in render(NOOP, time="relative")] == [
        "     0.000 S:",
        "     0.001 C:",
        "     0.002 **",
        "    62.002 S:",
    ]


def test_times_can_be_left_out() -> None:
    assert list(render(NOOP, time="none"))[1] == "C: a2 NOOP"


@pytest.mark.parametrize("when", ["wall", "relative"])
def test_an_unknown_time_leaves_its_place_empty(when: str) -> None:
    events = [Chunk(None, IN, b"a\r\n"), Chunk(T, IN, b"b\r\n")]
    first, second = [line for line in render(conversation(*events), time=when) if "C:" in line]  # type: ignore[arg-type]
    assert first.strip() == "C: a"
    assert first.index("C:") == second.index("C:")


def test_a_new_day_is_announced() -> None:
    day = 86_400_000_000
    lines = list(render(conversation(Chunk(T, IN, b"a\r\n"), Chunk(T + day, IN, b"b\r\n"))))
    assert [line for line in lines if line.startswith("--")] == ["-- 2026-11-22 +0000", "-- 2026-11-23 +0000"]


def test_literals_are_folded_and_shown_on_demand() -> None:
    recording = open_recording(golden.FOLDER / "imap_rawlog_dir_basic/20261122-220657.3831.1.in")
    folded, whole = (list(render(recording, time="none", bodies=bodies)) for bodies in (False, True))
    at = folded.index("C: a6 APPEND INBOX {37+}")
    assert folded[at + 1 : at + 3] == ["C* 37 bytes of a literal", "C:"]
    at = whole.index("C: a6 APPEND INBOX {37+}")
    assert whole[at + 1 : at + 7] == [
        "C| Subject: nul",
        "C|",
        "C| A\\x00B\\xff\\xfe",
        "C| bare\\n",
        "C| lf\\rcr end\\",
        "C:",
    ]
    assert folded[-1] == "C: a12 FOO\\"


def test_messages_and_ciphertext_are_folded() -> None:
    pop3 = list(render(open_recording(golden.FOLDER / "tcp_rawlog/conn2.tcp"), time="none"))
    assert pop3[pop3.index("C: RETR 1") :][1:3] == ["S: +OK 9118 octets", "S* 9123 bytes of a message or list"]
    starttls = golden.FOLDER / "prelogin_imap_starttls/20261122-221849.20689.1.in"
    assert list(render(open_recording(starttls), time="none"))[-1] == "S* 2535 bytes of data that is not understood"


def test_long_lines_are_cut_with_their_size() -> None:
    recording = conversation(Chunk(T, IN, b"a1 LIST " + b"x" * 2000 + b"\r\n"))
    assert list(render(recording, time="none")) == ["C: a1 LIST " + "x" * (CUT - 8) + f" \\[+{2008 - CUT} bytes]"]
    assert list(render(recording, time="none", cut=None)) == ["C: a1 LIST " + "x" * 2000]


def test_the_client_is_who_talks_like_one() -> None:
    proxy = open_recording(golden.FOLDER / "lmtp_proxy_rawlog_dir/proxy/20261122-221251.3765.2.in")
    assert list(render(proxy, time="none"))[:2] == [
        "S: 220 lab.example.com Dovecot (Debian) ready.",
        "C: LHLO lab.example.com",
    ]


def test_a_pair_without_stamps_is_put_in_order_and_has_no_times() -> None:
    lines = list(render(open_recording(golden.FOLDER / "postlogin_rawlog_plain/20261122-221430-7832.in")))
    assert lines[1:3] == ["C: a2 NOOP", "S: a2 OK NOOP completed (0.001 + 0.000 secs)."]


def test_lines_appear_as_they_are_spoken() -> None:
    def live() -> Iterator[Event]:
        yield Chunk(T, OUT, b"* OK hi\r\n")
        raise AssertionError("asked for more before the first line was given")

    lines = render(Recording("live", live(), protocol="imap"), time="none")
    assert next(lines) == "S: * OK hi"


def test_colours_are_there_only_when_asked_for() -> None:
    assert not any("\x1b" in line for line in render(NOOP))
    coloured = list(render(NOOP, colour=True))
    assert coloured[2] == "\x1b[2m22:06:57.411 \x1b[0m\x1b[36mC:\x1b[0m a2 NOOP"
    plain = [re.sub(r"\x1b\[[0-9]+m", "", line) for line in coloured]
    assert plain == list(render(NOOP))


@pytest.mark.parametrize("name", [path.name for path in sorted(golden.FOLDER.iterdir()) if path.is_dir()])
def test_every_recording_of_dovecot_can_be_shown(name: str) -> None:
    for recording in open_paths([golden.FOLDER / name]):
        for bodies in (False, True):
            assert all(line.isprintable() for line in render(recording, bodies=bodies))


def test_all_bytes_and_all_pairs_are_safe_in_the_view() -> None:
    data = b"".join(bytes(pair) for pair in itertools.product(range(256), repeat=2))
    recording = conversation(Chunk(T, IN, data), Chunk(T, OUT, data), protocol=None)
    lines = list(render(recording, cut=None))
    assert all(line.isprintable() for line in lines)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Direction), st.binary(min_size=1, max_size=60)), max_size=6), st.booleans())
def test_nothing_that_was_recorded_reaches_the_terminal_as_a_command(
    said: list[tuple[Direction, bytes]], bodies: bool
) -> None:
    recording = conversation(*(Chunk(T, direction, data) for direction, data in said))
    assert all(line.isprintable() for line in render(recording, bodies=bodies))


def test_json_lines_are_offered_beside_the_text() -> None:
    assert len(list(json_lines(NOOP))) == 4
