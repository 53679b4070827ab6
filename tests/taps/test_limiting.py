"""What settings allow a recording to take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.recorder.limits import Limit
from rawlog.recorder.naming import Opened, open_pair, stamped_stems
from rawlog.settings.loader import loads
from rawlog.taps.limiting import limit_of


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """The files of a recording."""
    made = open_pair(str(tmp_path), stamped_stems(1795385217427810))
    assert isinstance(made, Opened)
    yield made
    for sink in made.sinks.values():
        sink.close()


def limit(text: str, opened: Opened) -> Limit:
    return limit_of(loads(text).settings, opened.sinks)


def test_the_size_of_a_recording_is_limited(opened: Opened) -> None:
    free = "rawlog_min_free_space = 0\n"
    assert limit(free + "rawlog_max_session_size = 1k\n", opened).reached(1000, 25) == "limit of 1024 bytes reached"
    assert limit(free + "rawlog_max_session_size = unlimited\n", opened).reached(1 << 40, 1) == ""


def test_the_file_system_is_not_filled(opened: Opened) -> None:
    assert "bytes free on the file system" in limit("rawlog_min_free_space = 100%\n", opened).reached(0, 1)
    assert limit("rawlog_min_free_space = 0\n", opened).reached(0, 1) == ""
    assert limit("rawlog_min_free_space = 1k\n", opened).reached(0, 1) == ""


def test_without_files_there_is_a_limit_of_size_only() -> None:
    assert limit("rawlog_min_free_space = 100%\n", Opened("/x", {})).reached(0, 1) == ""


def test_files_that_can_not_be_asked_are_no_reason_not_to_record(opened: Opened) -> None:
    for sink in opened.sinks.values():
        sink.close()
    assert limit("rawlog_min_free_space = 100%\n", opened).reached(0, 1) == ""
