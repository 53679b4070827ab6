"""The vocabulary of the house: what an event promises to everybody who passes it on."""

from __future__ import annotations

import pytest

from rawlog.events import Chunk, Direction, Mark, Recording


def test_a_direction_is_named_as_dovecot_names_its_files_and_has_an_other() -> None:
    assert [direction.value for direction in Direction] == ["in", "out"]
    assert Direction.IN.other is Direction.OUT
    assert Direction.OUT.other is Direction.IN


def test_events_are_values_that_nobody_can_change_on_the_way() -> None:
    chunk = Chunk(1795385217_427810, Direction.IN, b"a2 NOOP\r\n")
    assert chunk == Chunk(1795385217_427810, Direction.IN, b"a2 NOOP\r\n")
    for event in (chunk, Mark(None, "login", {"user": "alice"})):
        with pytest.raises(AttributeError):
            event.at = 0  # type: ignore[misc]


def test_a_mark_needs_no_detail_and_a_recording_is_timed_unless_it_says_otherwise() -> None:
    assert Mark(0, "closed").detail == {}
    recording = Recording("20261122-104500-77", [])
    assert (recording.timed, recording.protocol) == (True, None)
