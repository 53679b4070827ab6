"""A conversation while it happens."""

from __future__ import annotations

import json
from typing import Any

from rawlog.dialogue.exchange_pieces import LOOK
from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.views.live import Form, Live

IN, OUT = Direction.IN, Direction.OUT
GREETING = Chunk(1_000_000, OUT, b"* OK ready\r\n")
LOGIN = Chunk(2_000_000, IN, b"a LOGIN alice secret\r\n")
ANSWER = Chunk(2_500_000, OUT, b"a OK in\r\n")


def live(form: Form = "text", **options: Any) -> Live:
    return Live("name", form, time="none", **options)


def test_lines_come_as_soon_as_the_protocol_is_known() -> None:
    one = live()
    assert one.feed(Mark(0, "opened"), old=False) == []
    assert one.feed(GREETING, old=False) == ["** opened", "S: * OK ready"]
    assert one.feed(LOGIN, old=False) == ["C: a LOGIN alice secret"]
    assert one.user == ""
    assert one.feed(ANSWER, old=False) == ["S: a OK in"]
    assert one.user == "alice"
    assert one.feed(Chunk(3, IN, b"b NO"), old=False) == []
    assert one.end() == ["C: b NO\\"]


def test_what_is_old_is_read_but_not_shown() -> None:
    one = live("exchanges")
    for event in (GREETING, LOGIN):
        assert one.feed(event, old=True) == []
    (line,) = one.feed(ANSWER, old=False)
    assert line.startswith(" 500 ms  OK")
    assert line.endswith("a LOGIN alice XXXXXX")


def test_lmtp_is_known_by_the_clients_first_word() -> None:
    one = live()
    assert one.feed(Chunk(1, OUT, b"220 ready\r\n"), old=False) == []
    assert one.feed(Chunk(2, IN, b"LHLO x\r\n"), old=False) == ["S: 220 ready", "C: LHLO x"]


def test_what_nobody_knows_is_shown_after_a_while_or_at_the_end() -> None:
    events: list[Event] = [Chunk(n, IN, b"?\n") for n in range(LOOK)]
    one = live()
    assert [len(one.feed(event, old=False)) for event in events] == [0] * (LOOK - 1) + [LOOK]
    other = live()
    other.feed(events[0], old=False)
    assert other.end() == ["C: ?\\n"]
    assert live("exchanges").feed(events[0], old=False) == []


def test_json() -> None:
    (line,) = live("json").feed(GREETING, old=False)
    assert json.loads(line)["text"] == "* OK ready\r\n"
    one = live("exchanges-json")
    lines = [line for event in (GREETING, LOGIN, ANSWER) for line in one.feed(event, old=False)]
    assert [json.loads(line)["verb"] for line in lines] == ["greeting", "LOGIN"]


def test_a_mark_tells_the_user() -> None:
    one = live()
    one.feed(Mark(0, "login", {"user": "bob"}), old=False)
    assert one.user == "bob"
