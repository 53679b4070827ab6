"""The search language, on golden recordings."""

from __future__ import annotations

import pytest

from rawlog.dialogue.exchange_summary import Summary
from rawlog.dialogue.search import could_match, parse, search
from rawlog.errors import ConfigError
from rawlog.events import Direction
from rawlog.reading.opener import open_recording
from tests.support import golden

RECORDING = open_recording(next(golden.FOLDER.glob("imap_rawlog_dir_basic/*3831.1.in")))


def tags(expression: str, *, ignore_case: bool = False) -> list[str]:
    query = parse(expression, ignore_case=ignore_case)
    found = [exchange.tag for exchange in search(RECORDING, query)]
    assert could_match(RECORDING, query) or not found
    return found


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("command:FETCH", ["a7", "a7b"]),
        ("command:fetch not BINARY", ["a7"]),
        ("command:FETCH and not (BINARY or latency>1s)", ["a7"]),
        ("latency>=600ms", ["a4"]),
        ("talking>0.8", ["a11"]),
        ("is:unanswered", ["a12"]),
        ("not status:OK", ["a12"]),
        ("status:OK received>400", ["a1", "a10"]),
        ("tag:a5 or tag:a6", ["a5", "a6"]),
        ('"Subject: nul"', ["a6", "a6b", "a7", "a7b"]),
        ('in:"Subject: nul"', ["a6", "a6b"]),
        ('out:"Subject: nul" BINARY', ["a7b"]),
        ("in:/^subject: h/i", ["a5"]),
        ("out:/^\\* \\d+ EXISTS$/", ["a3", "a5", "a6", "a6b", "a11"]),
        ("command:/^(NOOP|IDLE)$/ first<1ms", ["a2", "a11"]),
        ("out:EXISTS in:DONE", ["a11"]),
        ('"no such text"', []),
        ('"no such text" or command:SELECT', ["a3"]),
    ],
)
def test_expressions(expression: str, found: list[str]) -> None:
    assert tags(expression) == found


def test_case_is_ignored_when_asked() -> None:
    assert tags('"SUBJECT: HI"') == []
    assert tags('"SUBJECT: HI"', ignore_case=True) == ["a5", "a7"]


def test_terms_about_the_recording_are_decided_first() -> None:
    query = parse("user:alice (errors>0 or command:FETCH)")
    assert query.term.asks_recording()
    assert query.about("x", Summary(user="bob")).decided is False
    assert query.about("x", Summary(user="alice", errors=1)).decided is True
    left = query.about("x", Summary(user="alice"))
    assert left.decided is None
    assert [exchange.tag for exchange in search(RECORDING, left)] == ["a7", "a7b"]


def test_which_bytes_must_be_in_the_files() -> None:
    assert parse('"a b" in:c command:x').needles() == [{(b"a b", False)}, {(b"c", False)}]
    assert parse("a or b").needles() == [{(b"a", False), (b"b", False)}]
    assert parse("a or command:x").needles() == []
    assert parse("/[ab]/ b /c.*/i").needles() == [{(b"b", False)}, {(b"c", True)}]
    assert parse("A", ignore_case=True).needles() == [{(b"a", True)}]


def test_what_must_be_there_is_looked_for_first() -> None:
    assert could_match(RECORDING, parse("out:/^a5 OK/"))
    assert not could_match(RECORDING, parse("in:/^a5 OK/"))
    assert could_match(RECORDING, parse('in:"a12 FOO"')), "the last line has no end"


def test_a_text_is_shown_where_it_was_found() -> None:
    (exchange,) = search(RECORDING, parse("in:line2"))
    (hit,) = exchange.hits
    assert hit.line == b"line2 no nl"
    inside = b"".join(e.data for e in RECORDING.events if getattr(e, "direction", None) is Direction.IN)
    assert inside[hit.offset :].startswith(b"line2")


def test_quotes_and_slashes() -> None:
    assert parse(r'"say \"hi\""').texts[0].pattern == b'say "hi"'
    assert parse("/var/mail").texts[0].pattern == b"/var/mail"
    assert parse(r"/a\/b/").texts[0].pattern == rb"a\/b"
    assert parse('user:"alice smith" x').about("n", Summary(user="alice smith")).decided is None


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("", "character 1: there is nothing to look for"),
        ("(a", "character 1: this parenthesis is not closed"),
        ("a)", "character 2: a parenthesis too many"),
        ("a or", "character 5: a term is missing"),
        ("not", "character 4: a term is missing"),
        ("foo:bar", "character 1: 'foo' is not known: use one of user, ip"),
        ("a latency>x", "character 3: 'latency>x' is no comparison"),
        ("latency:1", "character 1: latency is compared: use for instance latency>1"),
        ("user>1", "character 1: user is no number: use user:VALUE"),
        ("is:x", "character 1: 'is' knows error, unanswered, command"),
        ('a "b', "character 3: a quotation mark or a value is missing"),
        ("/(/", "character 1: not a regular expression"),
        ("command:/(/", "character 1: not a regular expression"),
    ],
)
def test_what_means_nothing_is_told_with_its_place(expression: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(expression)
    assert str(raised.value).startswith("search expression: " + told)
