"""Several conversations at once."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest

from rawlog.events import Chunk, Direction, Event
from rawlog.reading.follow import News
from rawlog.views import live_screen as module
from rawlog.views.live import Live
from rawlog.views.live_screen import LiveScreen

IN, OUT = Direction.IN, Direction.OUT
GREETING = Chunk(1, OUT, b"* OK hi\r\n")


class Desk:
    def __init__(self, *users: str) -> None:
        self.stream = io.StringIO()
        self.screen = LiveScreen(
            self.stream, lambda name: Live(name, "text", time="none"), users=users, title=lambda name: f"== {name}"
        )

    def show(self, name: str, *events: Event, old: bool = False, first: bool = False) -> list[str]:
        self.stream.seek(0)
        self.stream.truncate()
        self.screen.show(News(name, event, old, first and not number) for number, event in enumerate(events))
        return self.stream.getvalue().splitlines()


def login(user: str) -> Iterable[Event]:
    return (GREETING, Chunk(2, IN, b"a LOGIN %b x\r\n" % user.encode()), Chunk(3, OUT, b"a OK\r\n"))


def test_a_name_stands_where_another_recording_goes_on() -> None:
    desk = Desk()
    assert desk.show("a", GREETING) == ["== a", "S: * OK hi"]
    assert desk.show("a", Chunk(2, OUT, b"* 1 EXISTS\r\n")) == ["S: * 1 EXISTS"]
    assert desk.show("b", GREETING) == ["", "== b", "S: * OK hi"]
    assert desk.show("a", Chunk(3, OUT, b"* 2 EXISTS\r\n")) == ["", "== a", "S: * 2 EXISTS"]


def test_only_one_user() -> None:
    desk = Desk("alice")
    assert desk.show("x/1", *login("bob")) == []
    assert desk.show("x/2", *login("alice@example.com"))[:2] == ["== x/2", "S: * OK hi"]
    assert desk.show("alice/3", GREETING) == ["", "== alice/3", "S: * OK hi"]
    assert desk.show("alice/4", *login("bob")) == ["", "== alice/4", "S: * OK hi", "C: a LOGIN bob x"]
    desk.screen.end()


def test_a_recording_that_begins_again_is_read_again() -> None:
    desk = Desk()
    desk.show("a", GREETING, Chunk(2, IN, b"a APPEND x {9}\r\n"))
    again = desk.show("a", GREETING, Chunk(3, IN, b"a NOOP\r\n"), first=True)
    assert again == ["S: * OK hi", "C: a NOOP"]


def test_what_is_not_complete_comes_at_the_end() -> None:
    desk = Desk()
    assert desk.show("a", GREETING, Chunk(2, IN, b"a NO")) == ["== a", "S: * OK hi"]
    desk.screen.end()
    assert desk.stream.getvalue().endswith("C: a NO\\\n")


def test_states_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_LIMIT", 2)
    desk = Desk()
    for name in "abc":
        desk.show(name, GREETING)
    assert len(desk.screen._live) == 2
