"""What is kept of a conversation, also while it goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from rawlog.events import Direction, Event
from rawlog.protocols.fragments import Kind
from rawlog.web import index as module
from rawlog.web.index import FAILED, NO_TIME, OTHER, PLAIN, Index, Spans
from tests.support.viewing import START, small, talk

IN, OUT = Direction.IN, Direction.OUT


def fed(events: Iterable[Event], protocol: str | None = None) -> Index:
    index = Index(protocol)
    for event in events:
        index.feed(event)
    index.look()
    return index


def rows(index: Index) -> list[dict[str, Any]]:
    return [json.loads(row) for row in index.rows.slice(0, len(index.rows))]


def pending(index: Index) -> list[dict[str, Any]]:
    return [json.loads(row) for row in index.pending]


def test_rows_in_order_and_what_is_not_complete_behind_them() -> None:
    index = fed(small())
    assert [row.get("verb", row.get("text")) for row in rows(index)] == [
        "opened client=192.0.2.7:1234",
        "greeting",
        "LOGIN",
        "FETCH",
        "STORE",
    ]
    (waiting,) = pending(index)
    assert (waiting["verb"], waiting["status"], waiting["latency"]) == ("NOOP", "", None)
    assert list(index.results) == [OTHER, OTHER, PLAIN, PLAIN, FAILED]
    assert list(index.latencies) == [NO_TIME, NO_TIME, 1000, 1000, 1000]
    assert list(index.exchange_rows) == [1, 2, 3, 4]
    assert index.times[0] == START
    assert index.summarizer.summary.client == "192.0.2.7:1234"
    assert index.user == "alice"


def test_the_answer_makes_a_row_of_it() -> None:
    index = fed(small())
    index.feed(talk((OUT, b"a4 OK done\r\n"), start=START + 9000)[0])
    index.look()
    assert index.pending == []
    assert rows(index)[-1]["verb"] == "NOOP"


def test_what_the_server_says_in_between_is_seen() -> None:
    index = fed(talk((OUT, b"* OK ready\r\n"), (IN, b"a1 IDLE\r\n"), (OUT, b"+ idling\r\n"), (OUT, b"* 5 EXISTS\r\n")))
    assert pending(index)[0]["answer"] == "* 5 EXISTS"


def test_bodies_and_secrets_are_known_by_place() -> None:
    index = fed(small())
    start = b"* OK ready\r\na1 OK in\r\n* 1 FETCH (BODY[] {27}\r\n"
    (body,) = index.bodies(OUT, 0, 10_000)
    assert (body.kind, body.start, body.end) == (Kind.LITERAL, len(start), len(start) + 27)
    assert list(index.bodies(OUT, 0, 5)) == []
    ((begin, end),) = index.secrets(IN, 0, 10_000)
    assert b'a1 LOGIN "alice" "XXXXX"\r\n'[begin:end] == b'"XXXXX"'


def test_what_the_client_said_behind_its_login_is_seen_before_the_answer() -> None:
    said = b"a1 LOGIN alice {6+}\r\nsecret\r\na2 SELECT x\r\n"
    index = fed(talk((OUT, b"* OK ready\r\n"), (IN, said)))
    assert [row["verb"] for row in rows(index)] == ["greeting"]
    assert pending(index)[0]["verb"] == "LOGIN"
    assert b"secret" not in "".join(index.pending).encode()
    assert [body.start for body in index.bodies(IN, 0, 1000)] == [said.index(b"secret")]
    assert any(said[start:end] == b"secret" for start, end in index.secrets(IN, 0, 1000))
    assert index.known(IN) == len(said)
    for event in talk((OUT, b"a1 OK in\r\na2 OK done\r\n"), start=START + 5000):
        index.feed(event)
    assert len(list(index.bodies(IN, 0, 1000))) == 1
    index.look()
    assert [row["verb"] for row in rows(index)] == ["greeting", "LOGIN", "SELECT"]
    assert pending(index) == []


def test_before_the_protocol_is_told_there_is_something_to_see() -> None:
    index = fed(talk((OUT, b"220 mail.example.com\r\n")))
    assert rows(index) == []
    assert pending(index)[0]["verb"] == "greeting"
    for event in talk((IN, b"LHLO x\r\n"), (OUT, b"250 hello\r\n"), start=START + 5000):
        index.feed(event)
    index.look()
    assert [row["verb"] for row in rows(index)] == ["greeting", "LHLO"]
    assert index.summarizer.summary.protocol == "lmtp"
    assert index.summarizer.summary.commands == 1


def test_lines_where_nobody_knows_the_protocol() -> None:
    index = fed(talk(*[(OUT, b"\0one\r\ntwo")] * 20))
    shown = rows(index)
    assert shown[0]["text"] == "\\x00one"
    assert shown[1]["text"] == "two\\x00one"
    assert [row["heard"][0][0] for row in shown[:3]] == [0, 6, 15]


def test_a_recording_towards_a_server() -> None:
    index = fed(talk((IN, b"* OK ready\r\n"), (OUT, b"a1 NOOP\r\n"), (IN, b"a1 OK\r\n")))
    assert index.client is OUT
    assert [row["verb"] for row in rows(index)] == ["greeting", "NOOP"]


def test_no_more_rows_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_LIMIT", 3)
    index = fed(small())
    assert len(index.rows) == len(index.times) == len(index.results) == 3
    assert not index.complete


def test_spans_that_touch() -> None:
    spans = Spans()
    for start, end in ((0, 3), (5, 9), (9, 12)):
        spans.add(start, end, start)
    assert [tag for *_, tag in spans.within(0, 100)] == [0, 5, 9]
    assert [tag for *_, tag in spans.within(3, 5)] == []
    assert [tag for *_, tag in spans.within(8, 9)] == [5]
    assert [tag for *_, tag in spans.within(8, 10)] == [5, 9]
    assert list(Spans().within(0, 9)) == []
