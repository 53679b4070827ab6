"""What is known of a conversation while it goes on is what is known of it afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rawlog.dialogue.exchange_summary import summarize
from rawlog.events import Direction, Recording
from rawlog.reading.opener import open_recording
from rawlog.web.live_summary import LiveSummary
from tests.support import golden
from tests.support.viewing import small, talk

IN, OUT = Direction.IN, Direction.OUT


def test_it_grows() -> None:
    live = LiveSummary()
    seen = []
    for event in small():
        live.feed(event)
        seen.append(replace(live.summary))
    assert [summary.user for summary in seen][:3] == ["", "", ""]
    assert seen[-1].user == "alice"
    assert [summary.commands for summary in seen] == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert seen[0].client == "192.0.2.7:1234"
    assert seen[-1].errors == 1


def test_a_farewell() -> None:
    live = LiveSummary()
    for event in talk((OUT, b"* PREAUTH\r\n"), (IN, b"a1 LOGOUT\r\n"), (OUT, b"* BYE\r\na1 OK\r\n")):
        live.feed(event)
    assert live.summary.end == "logout"


@pytest.mark.parametrize("path", golden.files(".in")[:60], ids=golden.name)
def test_it_ends_like_what_is_read_afterwards(path: object) -> None:
    recording = open_recording(str(path))
    if not recording.timed:
        pytest.skip("has no times, so it has no order while it grows")
    events = list(recording.events)
    live = LiveSummary()
    for event in events:
        live.feed(event)
    summary = summarize(Recording("x", events, protocol=recording.protocol))
    if live.summary.protocol:
        for field in ("protocol", "in_bytes", "out_bytes", "started", "ended", "software", "client"):
            assert getattr(live.summary, field) == getattr(summary, field)
        assert live.summary.commands <= summary.commands
