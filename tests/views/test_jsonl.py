"""JSON lines lose nothing, and may go to a terminal."""

from __future__ import annotations

import base64
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.views.jsonl import json_lines

T = 1795385217427810


def test_the_schema_is_what_its_page_shows() -> None:
    events: list[Event] = [
        Chunk(T, Direction.IN, b"a2 NOOP\r\n"),
        Chunk(T + 1, Direction.OUT, b"\xff"),
        Mark(T + 2, "login", {"user": "alice"}),
        Chunk(None, Direction.IN, "ë\x1b\x7f".encode()),
    ]
    lines = list(json_lines(Recording("a.rawlog", events)))
    assert lines[0] == (
        '{"recording": "a.rawlog", "at": 1795385217427810, "time": "2026-11-22T22:06:57.427810Z", '
        '"dir": "in", "text": "a2 NOOP\\r\\n"}'
    )
    rest = [json.loads(line) for line in lines[1:]]
    assert rest[0]["base64"] == "/w=="
    assert (rest[1]["mark"], rest[1]["detail"]) == ("login", {"user": "alice"})
    assert (rest[2]["at"], rest[2]["time"], rest[2]["text"]) == (None, None, "ë\x1b\x7f")
    assert lines[3].endswith('"text": "\\u00eb\\u001b\\u007f"}')


ats = st.one_of(st.none(), st.integers(0, 10**18))
chunks = st.builds(Chunk, ats, st.sampled_from(Direction), st.binary(min_size=1, max_size=20))
details = st.dictionaries(st.text(max_size=5), st.text(st.characters(), max_size=10), max_size=3)
marks = st.builds(Mark, ats, st.text(max_size=8), details)


@settings(deadline=None)
@given(st.lists(st.one_of(chunks, marks), max_size=6), st.text(max_size=10))
def test_nothing_is_lost_and_all_is_plain_text(events: list[Event], name: str) -> None:
    read: list[Event] = []
    for line in json_lines(Recording(name, events)):
        assert line.isascii()
        assert line.isprintable()
        found = json.loads(line)
        assert found["recording"] == name
        if "mark" in found:
            read.append(Mark(found["at"], found["mark"], found["detail"]))
            continue
        data = found["text"].encode() if "text" in found else base64.b64decode(found["base64"])
        read.append(Chunk(found["at"], Direction(found["dir"]), data))
    assert read == events
