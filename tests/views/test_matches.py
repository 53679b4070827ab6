"""What a search has found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rawlog.dialogue.exchange_summary import Summary
from rawlog.dialogue.search import parse
from rawlog.reading.opener import open_recording
from rawlog.views.matches import Matches, Show
from tests.support import golden

BASIC = open_recording(next(golden.FOLDER.glob("imap_rawlog_dir_basic/*3831.1.in")))


def shown(show: Show, expression: str, **options: Any) -> tuple[list[str], int]:
    matches = Matches(show, time="none", **options)
    return list(matches.lines(BASIC, parse(expression).about(BASIC.name, Summary(user="alice")))), matches.count


def test_lines_with_the_name_above_and_the_texts_below() -> None:
    lines, count = shown("lines", "command:FETCH BINARY")
    assert count == 1
    assert lines[0].startswith("== ") and lines[0].endswith("20261122-220657.3831.1")
    assert lines[1].endswith("OK         27   114  a7b FETCH 3 BINARY.PEEK[]")
    assert lines[2].split() == ["a7b", "FETCH", "3", "BINARY.PEEK[]"]


@pytest.mark.parametrize("show", ["lines", "names", "count", "nothing", "json"])
def test_without_a_match_there_is_nothing(show: Show) -> None:
    assert shown(show, "command:CHECK") == ([], 0)
    assert shown(show, "user:bob") == ([], 0)


def test_names_counts_and_nothing() -> None:
    name = BASIC.name.rpartition("/")[2]
    assert [line.rpartition("/")[2] for line in shown("names", "command:NOOP")[0]] == [name]
    assert [line.rpartition("/")[2] for line in shown("count", "command:NOOP")[0]] == [f"{name}: 4"]
    assert shown("nothing", "command:NOOP") == ([], 1)


def test_a_recording_that_matches_as_a_whole_is_named() -> None:
    (line,), count = shown("lines", "user:alice")
    assert (line.rpartition("/")[2], count) == (BASIC.name.rpartition("/")[2], 1)
    assert shown("count", "user:alice")[1] == 14


def test_json_tells_where_the_texts_are() -> None:
    (line,), _ = shown("json", "in:line2")
    made = json.loads(line)
    assert (made["verb"], made["found"], made["recording"]) == ("APPEND", ["line2 no nl"], BASIC.name)
