"""Terms: what they ask, and what is left of them when the recording is known."""

from __future__ import annotations

import pytest

from rawlog.dialogue.exchange import Exchange
from rawlog.dialogue.exchange_summary import Summary
from rawlog.dialogue.search_terms import (
    NUMBERS,
    TEXTS,
    Constant,
    Not,
    OfExchange,
    OfRecording,
    OfText,
    Several,
    Term,
    wildcard,
)
from rawlog.dialogue.search_text import Hit

YES, NO = Constant(True), Constant(False)
OPEN = OfExchange(lambda exchange: exchange.verb == "NOOP")
NOOP, FETCH = Exchange(1, "NOOP"), Exchange(2, "UID FETCH", status="NO", tag="a1")


def asked(name: str, value: str) -> Term:
    return TEXTS[name](wildcard(value), value)


@pytest.mark.parametrize(
    ("term", "left"),
    [
        (Several((YES, YES), every=True), True),
        (Several((YES, NO, OPEN), every=True), False),
        (Several((NO, NO), every=False), False),
        (Several((NO, YES, OPEN), every=False), True),
        (Not(Several((YES, NO), every=False)), False),
        (Several((Not(NO), Not(YES)), every=True), False),
    ],
)
def test_what_is_decided_when_the_recording_is_known(term: Term, left: bool) -> None:
    assert term.about("", Summary()) == Constant(left)


def test_what_is_not_decided_stays() -> None:
    left = Several((YES, Not(OPEN)), every=True).about("", Summary())
    assert not left.holds(NOOP)
    assert left.holds(FETCH)
    assert Not(OPEN).about("", Summary()).holds(FETCH)


def test_whether_a_recording_is_asked() -> None:
    recording = OfRecording(lambda name, summary: True)
    assert Several((OPEN, Not(recording)), every=True).asks_recording()
    assert not Several((OPEN, Not(OPEN)), every=False).asks_recording()


def test_which_texts_must_be_there() -> None:
    a, b, c = OfText(0), OfText(1), OfText(2)
    assert Several((a, OPEN, Several((b, c), every=False)), every=True).needs() == [{0}, {1, 2}]
    assert Several((a, OPEN), every=False).needs() == []
    assert Several((a, Several((b, c), every=True)), every=False).needs() == [{0, 1}]
    assert Not(a).needs() == []


def test_a_text_is_in_an_exchange_where_it_was_found() -> None:
    found = Exchange(1, "NOOP", hits=[Hit(3, 0, b"", 0)])
    assert OfText(3).holds(found)
    assert not OfText(2).holds(found)


@pytest.mark.parametrize(
    ("name", "value", "holds"),
    [
        ("command", "fetch", True),
        ("command", "UID", True),
        ("command", "uid f*", True),
        ("command", "FET", False),
        ("status", "no", True),
        ("status", "OK", False),
        ("tag", "A1", True),
        ("is", "error", True),
        ("is", "unanswered", False),
        ("is", "COMMAND", True),
    ],
)
def test_terms_about_an_exchange(name: str, value: str, holds: bool) -> None:
    assert asked(name, value).holds(FETCH) is holds


def test_one_of_several_replies_may_be_meant() -> None:
    exchange = Exchange(1, "DATA", status="452", replies=[b"250 ok", b"452 full"])
    assert asked("status", "250").holds(exchange)
    assert asked("status", "4*").holds(exchange)
    assert not asked("status", "5*").holds(exchange)


SUMMARY = Summary(
    protocol="imap",
    user="alice@example.com",
    client="192.0.2.7:4711",
    software="Thunderbird 128",
    end="client closed the connection",
    started=0,
    ended=90_000_000,
    commands=7,
    errors=1,
    in_bytes=10,
    out_bytes=20,
)


@pytest.mark.parametrize(
    ("name", "value", "holds"),
    [
        ("user", "alice", True),
        ("user", "ALICE@example.com", True),
        ("user", "al*", True),
        ("user", "bob", False),
        ("user", "alice@example.org", False),
        ("ip", "192.0.2.7", True),
        ("ip", "192.0.2.0/24", True),
        ("ip", "192.0.2.*", True),
        ("ip", "192.0.2.70", False),
        ("ip", "2001:db8::/32", False),
        ("protocol", "IMAP", True),
        ("software", "thunder", True),
        ("software", "K-9", False),
        ("end", "closed", True),
        ("name", "bob/", True),
    ],
)
def test_terms_about_a_recording(name: str, value: str, holds: bool) -> None:
    assert asked(name, value).about("/raw/bob/x.1.1", SUMMARY) == Constant(holds)


def test_a_recording_that_does_not_say_whose_it_is_belongs_to_its_directory() -> None:
    assert asked("user", "bob").about("/raw/bob/x.1.1", Summary()) == YES
    assert asked("user", "bob").about("/raw/alice/bob", Summary()) == NO


def test_addresses_of_version_6() -> None:
    summary = Summary(client="[2001:db8::7]:4711")
    assert asked("ip", "2001:db8::/32").about("", summary) == YES
    assert asked("ip", "2001:DB8::7").about("", Summary(client="2001:db8::7")) == YES
    assert asked("ip", "192.0.2.1").about("", Summary(client="unix")) == NO


@pytest.mark.parametrize(("name", "value"), [("duration", 90_000_000), ("commands", 7), ("errors", 1), ("bytes", 30)])
def test_numbers_of_a_recording(name: str, value: int) -> None:
    _, term = NUMBERS[name]
    assert term(lambda number: number == value).about("", SUMMARY) == YES


def test_numbers_of_an_exchange() -> None:
    exchange = Exchange(1, "X", status="OK", began=0, asked=10, first=15, ended=30, sent=40, received=50)
    values = {"latency": 20, "first": 5, "talking": 10, "sent": 40, "received": 50}
    for name, value in values.items():
        _, term = NUMBERS[name]
        assert term(lambda number, value=value: number == value).holds(exchange), name
