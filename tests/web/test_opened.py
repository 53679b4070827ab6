"""A row laid open: every line of it, bodies on request, and no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rawlog.events import Direction, Event
from rawlog.reading.stretches import Stretches
from rawlog.web import opened
from rawlog.web.index import Index
from rawlog.web.opened import body_text, laid_open
from tests.support.viewing import NAME, START, append, small, talk, write

IN, OUT = Direction.IN, Direction.OUT


class Opened:
    """A recording, its index, and where its bytes are."""

    def __init__(self, directory: Path, events: list[Event]) -> None:
        path = write(directory / NAME.format(1), events)
        self.index = Index()
        for event in events:
            self.index.feed(event)
        self.index.look()
        self.stretches = Stretches(str(path))

    def row(self, verb: str) -> dict[str, Any]:
        texts = [*self.index.rows.slice(0, 10_000), *self.index.pending]
        return next(row for row in map(json.loads, texts) if row.get("verb") == verb)

    def open(self, verb: str) -> dict[str, Any]:
        return laid_open(self.index, self.stretches, self.row(verb))

    def body(self, item: dict[str, Any], at: int | None = None) -> dict[str, Any]:
        side = self.index.client if item["side"] == "client" else self.index.client.other
        start, end = item["start"], item["end"]
        return body_text(self.index, self.stretches, side, start, end, start if at is None else at)


def test_lines_of_both_sides_in_the_order_of_time(tmp_path: Path) -> None:
    found = Opened(tmp_path, small()).open("FETCH")
    assert found["next"] is None
    shown = [(item["side"], item.get("text"), item.get("fold")) for item in found["items"]]
    assert shown == [
        ("client", "a2 FETCH 1 BODY[]", None),
        ("server", "* 1 FETCH (BODY[] {27}", None),
        ("server", None, "literal"),
        ("server", ")", None),
        ("server", "a2 OK fetched", None),
    ]
    assert found["items"][0]["at"] == START + 3000


def test_a_conversation_between_both(tmp_path: Path) -> None:
    idle = talk(
        (OUT, b"* OK ready\r\n"),
        (IN, b"a1 IDLE\r\n"),
        (OUT, b"+ idling\r\n"),
        (IN, b"DONE\r\n"),
        (OUT, b"a1 OK done\r\n"),
    )
    found = Opened(tmp_path, idle).open("IDLE")
    assert [item["text"] for item in found["items"]] == ["a1 IDLE", "+ idling", "DONE", "a1 OK done"]


def test_a_literal_that_was_waited_for(tmp_path: Path) -> None:
    events = talk(
        (OUT, b"* PREAUTH ready\r\n"),
        (IN, b"a1 APPEND x {5}\r\n"),
        (OUT, b"+ OK\r\n"),
        (IN, b"hello\r\n"),
        (OUT, b"a1 OK done\r\n"),
    )
    items = Opened(tmp_path, events).open("APPEND")["items"]
    assert [item.get("text", item.get("fold")) for item in items] == [
        "a1 APPEND x {5}",
        "+ OK",
        "literal",
        "",
        "a1 OK done",
    ]
    assert items[2]["at"] == START + 3000


def test_a_message_as_text(tmp_path: Path) -> None:
    here = Opened(tmp_path, small())
    body = here.body(here.open("FETCH")["items"][2])
    assert body == {
        "lines": ["Subject: one", "", "<b>bold</b>"],
        "outline": ["Subject: one", "[text/plain, 11 bytes]"],
        "next": None,
    }


def test_secrets_are_masked_also_where_the_recording_holds_them(tmp_path: Path) -> None:
    events = talk((OUT, b"* OK ready\r\n"), (IN, b'a1 LOGIN alice "secret"\r\n'), (OUT, b"a1 OK in\r\n"))
    here = Opened(tmp_path, events)
    assert here.open("LOGIN")["items"][0]["text"] == "a1 LOGIN alice XXXXXXXX"
    whole = body_text(here.index, here.stretches, IN, 0, 1000, 0)
    assert whole["lines"] == ["a1 LOGIN alice XXXXXXXX"]


def test_a_secret_literal_is_masked(tmp_path: Path) -> None:
    events = talk(
        (OUT, b"* OK ready\r\n"),
        (IN, b"a1 LOGIN alice {6+}\r\nsecret\r\n"),
        (OUT, b"a1 OK in\r\n"),
    )
    here = Opened(tmp_path, events)
    item = next(item for item in here.open("LOGIN")["items"] if "fold" in item)
    assert here.body(item)["lines"] == ["XXXXXX"]


def test_a_long_answer_comes_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "ITEMS", 7)
    answer = b"".join(b"* %d EXISTS\r\n" % number for number in range(20))
    here = Opened(tmp_path, talk((OUT, b"* PREAUTH ready\r\n"), (IN, b"a1 NOOP\r\n"), (OUT, answer + b"a1 OK\r\n")))
    row, since, texts = here.row("NOOP"), None, []
    for _ in range(10):
        found = laid_open(here.index, here.stretches, row, since)
        texts += [item["text"] for item in found["items"]]
        if found["next"] is None:
            break
        since = {IN: found["next"]["client"], OUT: found["next"]["server"]}
    assert texts == ["a1 NOOP", *(f"* {number} EXISTS" for number in range(20)), "a1 OK"]


def test_many_bodies_are_read_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"".join(b"* %d FETCH (BODY[] {5}\r\nab\r\nc)\r\n" % number for number in range(30))
    here = Opened(
        tmp_path, talk((OUT, b"* PREAUTH ready\r\n"), (IN, b"a1 FETCH 1:30\r\n"), (OUT, answer + b"a1 OK\r\n"))
    )
    read = []
    whole = here.stretches.read
    monkeypatch.setattr(here.stretches, "read", lambda *place: read.append(place) or whole(*place))
    items = here.open("FETCH")["items"]
    assert sum("fold" in item for item in items) == 30
    assert len(read) == 2


def test_a_large_body_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "GRAIN", 100)
    body = b"x" * 5000
    answer = b"* 1 FETCH (BODY[] {5000}\r\n" + body + b")\r\na1 OK\r\n"
    here = Opened(tmp_path, talk((OUT, b"* PREAUTH ready\r\n"), (IN, b"a1 FETCH 1\r\n"), (OUT, answer)))
    items = here.open("FETCH")["items"]
    assert [item.get("text") for item in items] == ["a1 FETCH 1", "* 1 FETCH (BODY[] {5000}", None, ")", "a1 OK"]


def test_a_body_comes_in_parts_that_end_with_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "TEXT_PIECE", 100)
    lines = [f"line {number}" for number in range(50)]
    body = "\r\n".join(lines).encode()
    answer = b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\na1 OK\r\n" % (len(body), body)
    here = Opened(tmp_path, talk((OUT, b"* PREAUTH ready\r\n"), (IN, b"a1 FETCH 1\r\n"), (OUT, answer)))
    item = next(item for item in here.open("FETCH")["items"] if "fold" in item)
    at, texts = item["start"], []
    while at is not None:
        found = here.body(item, at)
        assert found["lines"]
        texts += found["lines"]
        at = found["next"]
    assert texts == lines


def test_a_long_line_is_cut_and_can_be_read(tmp_path: Path) -> None:
    line = b"* LIST " + b"y" * 5000
    here = Opened(tmp_path, talk((OUT, b"* PREAUTH ready\r\n"), (IN, b"a1 LIST\r\n"), (OUT, line + b"\r\na1 OK\r\n")))
    item = here.open("LIST")["items"][1]
    assert item["text"] == line[: opened.LINE_SHOWN].decode() + " …"
    assert here.body(item)["lines"] == [line.decode()]


def test_what_is_not_understood_yet_is_not_given(tmp_path: Path) -> None:
    """The end of a recording may be the beginning of a secret; what came since nobody has looked at yet."""
    here = Opened(tmp_path, talk((OUT, b"* OK ready\r\n"), (IN, b'a1 NOOP\r\na2 LOGIN alice "secr')))
    append(tmp_path / NAME.format(1), IN, b"et", native=False)
    assert body_text(here.index, here.stretches, IN, 0, 1000, 0)["lines"] == ["a1 NOOP", "a2 LOGIN XXXXXXXXXXX"]


def test_beyond_the_end_there_is_nothing(tmp_path: Path) -> None:
    here = Opened(tmp_path, small())
    assert body_text(here.index, here.stretches, IN, 10**9, 10**9 + 5, 10**9) == {
        "lines": [],
        "outline": [],
        "next": None,
    }
    assert body_text(here.index, here.stretches, IN, 0, 1 << 53, 10**9)["next"] is None
