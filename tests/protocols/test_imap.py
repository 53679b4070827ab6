"""IMAP: the conversations, and what they can't say."""

from __future__ import annotations

import tracemalloc

import pytest

from rawlog.events import Direction
from rawlog.protocols.framing import Fragment, Kind
from rawlog.protocols.imap import NAME_LIMIT, OUTSTANDING_LIMIT, ImapFramer
from tests.support.conversation import Conversation, check, conversations

IN, OUT = Direction.IN, Direction.OUT


@pytest.mark.parametrize("talk", conversations("imap"), ids=str)
def test_conversation(talk: Conversation) -> None:
    check(talk, ImapFramer)


def greeted(**options: object) -> ImapFramer:
    framer = ImapFramer(**options)
    framer.feed(framer.server.direction, b"* OK ready\r\n")
    return framer


def behind_login() -> ImapFramer:
    framer = ImapFramer()
    framer.feed(OUT, b"* PREAUTH\r\n")
    return framer


def secrets(fragments: list[Fragment]) -> list[tuple[int, int]]:
    return [span for fragment in fragments for span in fragment.secrets]


def test_what_the_client_may_say_next() -> None:
    framer = ImapFramer()
    assert not framer.expects_command()
    framer.feed(OUT, b"* OK\r\n")
    assert framer.expects_command()
    framer.feed(IN, b"a LOGIN {5}\r\n")
    assert not framer.expects_command()
    assert framer.expects_bytes() == 0
    framer.feed(OUT, b"+\r\n")
    assert framer.expects_bytes() == 5
    framer.feed(IN, b"alice")
    assert framer.in_dialogue()
    assert not framer.expects_command()
    framer.feed(IN, b" x\r\n")
    assert not framer.in_dialogue()
    framer.feed(OUT, b"a NO\r\n")
    assert framer.expects_command()
    framer.feed(IN, b"b AUTHENTICATE PLAIN\r\n")
    framer.feed(OUT, b"+\r\n")
    assert framer.in_dialogue()


def test_commands_without_an_answer_are_counted() -> None:
    framer = behind_login()
    framer.feed(IN, b"a NOOP\r\na NOOP\r\nb NOOP\r\n")
    assert framer.unanswered() == 3
    framer.feed(OUT, b"* 1 EXISTS\r\na OK\r\nx OK\r\nb WHAT\r\n")
    assert framer.unanswered() == 2
    framer.feed(OUT, b"a NO\r\nb BAD\r\nb OK\r\n")
    assert framer.unanswered() == 0


def test_who_knows_that_it_is_behind_a_login_says_so() -> None:
    framer = ImapFramer()
    framer.authenticated, framer.user = True, "alice"
    framer.feed(OUT, b"* OK\r\n")
    assert secrets(framer.feed(IN, b"a FETCH 1 BODY[]\r\n")) == []
    assert framer.user == "alice"


@pytest.mark.parametrize(
    "line", [b"* OK x", b"* NO", b"* BAD {5}", b"* BYE", b"+ x", b"a NO x", b"a BAD", b"what", b""]
)
def test_first_lines_that_say_nothing_about_a_login(line: bytes) -> None:
    framer = ImapFramer()
    framer.feed(OUT, line + b"\r\n")
    assert not framer.authenticated


@pytest.mark.parametrize("line", [b"* PREAUTH x", b"* CAPABILITY IMAP4rev1", b"* 5 EXISTS", b"a1 OK x", b"a1 ok"])
def test_first_lines_behind_a_login(line: bytes) -> None:
    framer = ImapFramer()
    framer.feed(OUT, line + b"\r\n")
    assert framer.authenticated
    assert framer.login_at == {IN: 0, OUT: 0}


def test_an_answer_nobody_waits_for_is_no_login() -> None:
    framer = greeted()
    framer.feed(OUT, b"a OK\r\n")
    framer.feed(IN, b"a NOOP\r\n")
    framer.feed(OUT, b"a OK\r\n+\r\n")
    assert not framer.authenticated


def test_a_tag_that_nobody_can_know_where_only_the_servers_side_is() -> None:
    """It may be a stray password that came back; the tag alone is masked."""
    framer = ImapFramer()
    made = framer.feed(OUT, b"* OK ready\r\nsesame BAD what\r\nsesame NO what\r\n")
    assert secrets(made) == [(12, 18)]
    framer.feed(IN, b"a NOOP\r\n")
    assert secrets(framer.feed(OUT, b"b BAD what\r\n")) == []


def test_where_the_login_begins_and_ends() -> None:
    framer = greeted()
    framer.feed(IN, b"a LOGIN alice x\r\nb NOOP\r\n")
    framer.feed(OUT, b"* CAPABILITY IMAP4rev1\r\na OK\r\nb OK\r\n")
    assert framer.login_at == {IN: 17, OUT: 12}


@pytest.mark.parametrize(("size", "secret"), [(NAME_LIMIT, False), (NAME_LIMIT + 1, True)])
def test_a_long_name(size: int, secret: bool) -> None:
    framer = greeted()
    made = framer.feed(IN, b"a LOGIN {%d+}\r\n" % size + b"n" * size + b" x\r\n")
    assert bool(made[1].secrets) is secret
    framer.feed(OUT, b"a OK\r\n")
    assert framer.user == (None if secret else "n" * size)


def test_a_name_that_is_no_utf8() -> None:
    framer = greeted()
    framer.feed(IN, b"a LOGIN jos\xe9 x\r\n")
    framer.feed(OUT, b"a OK\r\n")
    assert framer.user == "jos\udce9"


def test_a_command_that_is_answered_before_it_is_complete() -> None:
    framer = greeted()
    framer.feed(IN, b"a LOGIN {5+}\r\nalice")
    framer.feed(OUT, b"a BAD no literals\r\n")
    assert secrets(framer.feed(IN, b" x\r\n")) == [(20, 21)]
    assert framer.expects_command()
    framer.feed(IN, b"b LOGIN alice x\r\n")
    framer.feed(OUT, b"b OK\r\n")
    assert framer.user == "alice"


def test_a_plus_nobody_waits_for() -> None:
    framer = behind_login()
    framer.feed(OUT, b"+ go on\r\n")
    framer.feed(IN, b"a APPEND x {3}\r\n")
    assert not framer.expects_bytes()
    framer.feed(OUT, b"+ go on\r\n")
    assert framer.expects_bytes() == 3


def test_a_line_of_the_server_that_goes_on_behind_a_literal_is_no_answer() -> None:
    framer = behind_login()
    framer.feed(IN, b"a NOOP\r\n")
    framer.feed(OUT, b"* LIST () / {1}\r\nxa OK {2}\r\nyy+ \r\n")
    assert framer.unanswered() == 1
    framer.feed(OUT, b"a OK\r\n")
    assert framer.unanswered() == 0


@pytest.mark.parametrize(
    ("head", "harmless"),
    [
        (b"", False),
        (b"a", False),
        (b"a SELECT", False),
        (b"a SELECT ", False),
        (b"a SELECT x", True),
        (b"a LOGIN x", False),
        (b"a login x", False),
        (b"a AUTHENTICATE x", False),
        (b"a UNAUTHENTICATE x", True),
        (b"LOGIN x y", False),
        (b"a XLOGIN x", False),
        (b"a APPEND x", False),
        (b"a URLFETCH x", False),
        (b"a" * 70 + b" SELECT x", False),
        (b"DONE", False),
    ],
)
def test_beginnings_of_the_client(head: bytes, harmless: bool) -> None:
    framer = behind_login()
    framer.feed(IN, head)
    assert (framer.settled(IN) == len(head) > 0) is harmless


@pytest.mark.parametrize(
    ("head", "harmless"),
    [
        (b"*", False),
        (b"* ", False),
        (b"* GEN", False),
        (b"* GENURLAUTH x", False),
        (b"* urlfetch ", False),
        (b"* METADATA x", False),
        (b"* ID (", False),
        (b"* LIST ", True),
        (b"* 1 FE", True),
        (b"a OK", True),
        (b"+", False),
        (b"+ x", False),
    ],
)
def test_beginnings_of_the_server(head: bytes, harmless: bool) -> None:
    framer = behind_login()
    framer.feed(OUT, head)
    assert (framer.settled(OUT) > 11) is harmless


@pytest.mark.parametrize(
    ("first", "harmless"), [(b"* 1 FETCH (BODY[] {1}\r\nx", True), (b'* METADATA "" (/private/a {1}\r\nx', False)]
)
def test_beginnings_behind_a_literal_of_the_server(first: bytes, harmless: bool) -> None:
    framer = behind_login()
    framer.feed(OUT, first)
    begun = framer.settled(OUT)
    framer.feed(OUT, b' "+ x')
    assert (framer.settled(OUT) > begun) is harmless


def test_long_lines_of_the_server_are_kept() -> None:
    framer = behind_login()
    line = b"* SEARCH" + b" 123456" * 20_000 + b"\r\n"
    assert framer.feed(OUT, line) == [Fragment(OUT, Kind.OPAQUE, 11, 11 + len(line))]


def test_a_long_line_of_the_server_with_a_literal_behind_it() -> None:
    framer = behind_login()
    line = b"* 1 FETCH (" + b"(" * 70_000 + b" BODY[] {4}\r\n"
    made = framer.feed(OUT, line + b"a OK)\r\n")
    assert [fragment.kind for fragment in made] == [Kind.OPAQUE, Kind.LITERAL, Kind.LINE]


@pytest.mark.parametrize(
    "line",
    [b"* METADATA x (/a " + b'"x"' * 30_000, b"* URLFETCH " + b"x" * 70_000, b"* ID (" + b'"x" ' * 20_000],
)
def test_long_lines_of_the_server_that_may_hold_a_secret_are_secret(line: bytes) -> None:
    (fragment,) = behind_login().feed(OUT, line + b"\r\n")
    assert fragment.secrets == ((fragment.start, fragment.end),)


def test_long_commands_behind_a_login() -> None:
    framer = behind_login()
    made = framer.feed(IN, b"a FETCH " + b"1," * 50_000 + b"1 FLAGS\r\nb LOGIN " + b"x" * 70_000 + b" y\r\n")
    assert [bool(fragment.secrets) for fragment in made] == [False, True]


@pytest.mark.parametrize(
    "line", [b"%d NOOP\r\n", b"%0500d NOOP\r\n", b"%d IDLE\r\nDONE\r\n", b"%d LOGIN alice secret\r\n"]
)
def test_a_server_that_never_answers(line: bytes) -> None:
    framer = greeted()
    tracemalloc.start()
    try:
        for i in range(20_000):
            framer.feed(IN, line % i)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()
    assert framer.unanswered() <= OUTSTANDING_LIMIT


def test_forgotten_commands_are_answered_for_nothing() -> None:
    framer = behind_login()
    for i in range(2 * OUTSTANDING_LIMIT):
        framer.feed(IN, b"%d NOOP\r\n" % i)
    for i in range(2 * OUTSTANDING_LIMIT):
        framer.feed(OUT, b"%d OK\r\n" % i)
    assert framer.unanswered() == 0


def test_compress_is_a_switch_on_the_wire_only() -> None:
    framer = greeted(wire_compressed=True)
    framer.feed(IN, b"a COMPRESS DEFLATE\r\n")
    framer.feed(OUT, b"a NO\r\n")
    assert framer.switch is None
    framer.feed(IN, b"b COMPRESS DEFLATE\r\n")
    framer.feed(OUT, b"b OK\r\n")
    assert framer.switch is not None


@pytest.mark.parametrize(("following", "switched"), [(b"b NOOP\r\n", False), (b"\x4a\x34\xd1\xf0", True), (b"", False)])
def test_compress_without_the_servers_side_is_guessed(following: bytes, switched: bool) -> None:
    framer = ImapFramer(wire_compressed=True)
    framer.feed(IN, b"a COMPRESS DEFLATE\r\n" + following)
    framer.end(OUT)
    assert (framer.switch is not None) is switched
