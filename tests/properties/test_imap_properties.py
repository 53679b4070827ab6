"""What holds for every IMAP conversation, whatever is said and however it is cut."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawlog.dialogue.redact import Masker
from rawlog.events import Chunk, Direction
from rawlog.protocols.framing import Framer
from rawlog.protocols.imap import ImapFramer
from rawlog.protocols.registry import FRAMERS
from tests.support.canaries import LONG, WAYS, leaks
from tests.support.conversation import Conversation, Outcome, Piece, byte_by_byte, contiguous, run, split

IN, OUT = Direction.IN, Direction.OUT
GREETING = (OUT, b"* OK ready\r\n")


def bounded(examples: int) -> settings:
    """The same examples in every run."""
    slow = [HealthCheck.too_slow]
    return settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=slow)


secrets = st.text("ABCDEFGHabcdefgh0123456789", min_size=12, max_size=16).map(str.encode)
cuts = st.lists(st.integers(1, 400), max_size=8)
answers = st.lists(
    st.sampled_from(
        [b"+\r\n", b"+ go on\r\n", b"a OK\r\n", b"a NO\r\n", b"b OK\r\n", b"b BAD\r\n", b"* OK x\r\n", b"* BAD x\r\n"]
    ),
    max_size=4,
)


def record(pieces: list[Piece], make: Callable[..., Framer] = ImapFramer) -> Outcome:
    """Run the pieces, and check what always holds: nothing is lost, nothing changes its length."""
    outcome = run(Conversation("property"), pieces, make)
    for direction in Direction:
        data = b"".join(part for where, part in pieces if where is direction)
        contiguous(outcome.fragments[direction], data)
        assert len(outcome.masked[direction]) == len(data)
    return outcome


def same(one: Outcome, other: Outcome) -> None:
    assert one.fragments == other.fragments
    assert one.masked == other.masked
    assert one.framer.user == other.framer.user


def shuffled(client: bytes, server: list[bytes], points: list[int]) -> list[Piece]:
    """The client's bytes cut at ``points``, with the server's lines in between."""
    parts = [data for _, data in split([(IN, client)], points)]
    pairs = itertools.zip_longest([(IN, part) for part in parts], [(OUT, line) for line in server])
    return [GREETING, *(piece for pair in pairs for piece in pair if piece)]


@pytest.mark.parametrize("way", WAYS)
@bounded(8)
@given(secrets, cuts, answers)
def test_no_secret_survives(way: str, secret: bytes, points: list[int], server: list[bytes]) -> None:
    """Whatever the server answers, and when."""
    client = WAYS[way](secret)
    for pieces in (
        shuffled(client, server, points),
        [GREETING, *((OUT, line) for line in server), (IN, client)],
        [(IN, client), GREETING, *((OUT, line) for line in server)],
    ):
        outcome = record(pieces)
        assert leaks(secret, outcome.masked[IN]) == []


@pytest.mark.parametrize("way", [way for way, made in WAYS.items() if len(made(b"x" * 12)) < LONG])
def test_no_secret_survives_byte_by_byte(way: str) -> None:
    secret = b"Sesame0Secret"
    client = (IN, WAYS[way](secret))
    for server in ([], [GREETING], [GREETING, (OUT, b"+ go on\r\n+\r\na NO\r\nb NO\r\n")]):
        for pieces in ([*server, client], [client, *server]):
            whole = record(pieces)
            assert leaks(secret, whole.masked[IN]) == []
            same(record(list(byte_by_byte(pieces))), whole)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", [b" BAD what\r\n", b" NO what\r\n"])
def test_no_secret_comes_back_as_a_tag(way: str, answer: bytes) -> None:
    """From a server that takes each line for a command, also the literals' and the responses'."""
    secret = b"Sesame0Secret"
    client = WAYS[way](secret)
    server = [(OUT, line.split()[0] + answer) for line in client.split(b"\n")[:-1] if line.split()]
    outcome = record([GREETING, (IN, client), *server])
    assert leaks(secret, outcome.masked[IN] + outcome.masked[OUT]) == []


def test_there_are_many_ways_and_all_hold_the_secret() -> None:
    assert len(WAYS) >= 60
    for way, made in WAYS.items():
        assert leaks(b"Sesame0Secret", made(b"Sesame0Secret")), way


# -- conversations as they should be, made by chance ------------------------------------------------------------

tags = st.text("abcABC019.", min_size=1, max_size=5).map(str.encode)
names = st.text("abc.@-", min_size=1, max_size=8).map(str.encode)
words = st.text('abc .{}()"\\+*&0\r\n', max_size=12).map(str.encode)
contents = st.lists(
    st.sampled_from(
        [b"a LOGIN b c\r\n", b"AUTHENTICATE PLAIN abcd\r\n", b".\r\n", b"+ x\r\n", b"a OK\r\n", b"{5+}\r\n"]
    )
    | words,
    max_size=5,
).map(b"".join)


@st.composite
def literals(draw: st.DrawFn, data: bytes) -> list[Piece]:
    """A literal with its announcement; the server's consent when it waits for it."""
    eight, sync = draw(st.sampled_from([b"", b"~"])), draw(st.booleans())
    if sync:
        return [(IN, b"%b{%d}\r\n" % (eight, len(data))), (OUT, b"+ go on\r\n"), (IN, data)]
    return [(IN, b"%b{%d+}\r\n" % (eight, len(data)) + data)]


@st.composite
def appends(draw: st.DrawFn) -> list[Piece]:
    tag = draw(tags)
    pieces: list[Piece] = [(IN, tag + b" APPEND saved ")]
    for content in draw(st.lists(contents, min_size=1, max_size=2)):
        pieces += [*draw(literals(content)), (IN, b" ")]
    return [*pieces, (IN, b"\r\n"), (OUT, tag + b" OK done\r\n")]


@st.composite
def fetches(draw: st.DrawFn) -> list[Piece]:
    tag, content = draw(tags), draw(contents)
    data = b"* 1 FETCH (BODY[] {%d}\r\n%b FLAGS ())\r\n" % (len(content), content)
    return [(IN, tag + b" FETCH 1 BODY[]\r\n"), (OUT, data + tag + b" OK done\r\n")]


@st.composite
def others(draw: st.DrawFn) -> list[Piece]:
    tag = draw(tags)
    idle: list[Piece] = [(IN, tag + b" IDLE\r\n"), (OUT, b"+ idling\r\n* 1 EXISTS\r\n"), (IN, b"DONE\r\n")]
    refused: list[Piece] = [(IN, tag + b" APPEND x {1000}\r\n")]
    noop: list[Piece] = [(IN, tag + b" NOOP\r\n"), (OUT, b"* OK text {5}\r\n")]
    verdict = draw(st.sampled_from([b" OK x\r\n", b" NO x {5}\r\n", b" BAD\r\n"]))
    return [*draw(st.sampled_from([idle, refused, noop])), (OUT, tag + verdict)]


@st.composite
def logins(draw: st.DrawFn) -> list[Piece]:
    tag, name, password = draw(tags), draw(names), b"Sesame0Secret"
    if draw(st.booleans()):
        pieces: list[Piece] = [(IN, tag + b" LOGIN ")]
        pieces += draw(st.sampled_from([[(IN, name)], draw(literals(name))]))
        pieces += [(IN, b" "), *draw(st.sampled_from([[(IN, b'"x' + password + b'"')], draw(literals(password))]))]
        pieces += [(IN, b"\r\n")]
    else:
        initial = WAYS["PLAIN at once"](password).split(b" ")[-1]
        pieces = draw(
            st.sampled_from(
                [
                    [(IN, tag + b" AUTHENTICATE PLAIN " + initial)],
                    [(IN, tag + b" AUTHENTICATE PLAIN\r\n"), (OUT, b"+\r\n"), (IN, initial)],
                    [(IN, tag + b" AUTHENTICATE LOGIN\r\n"), (OUT, b"+ VXNlcm5hbWU6\r\n"), (IN, b"*\r\n")],
                ]
            )
        )
    return [*pieces, (OUT, tag + draw(st.sampled_from([b" NO no\r\n", b" BAD no\r\n"])))]


GOOD_LOGIN: list[Piece] = [(IN, b"z LOGIN alice Sesame0Secret\r\n"), (OUT, b"z OK done\r\n")]
sessions = st.builds(
    lambda before, after: [GREETING, *itertools.chain(*before), *GOOD_LOGIN, *itertools.chain(*after)],
    st.lists(logins(), max_size=3),
    st.lists(st.one_of(appends(), fetches(), others(), logins()), max_size=4),
)


@bounded(150)
@given(sessions, cuts)
def test_a_session(pieces: list[Piece], points: list[int]) -> None:
    """The same for every chunking and when the client's side comes first; masked, and the user is known."""
    expected = record(pieces)
    assert expected.framer.user == "alice"
    assert leaks(b"Sesame0Secret", expected.masked[IN]) == []
    same(record(split(pieces, points)), expected)
    same(record(list(byte_by_byte(pieces))), expected)
    sides = [(d, b"".join(data for where, data in pieces if where is d)) for d in (IN, OUT)]
    same(record(sides), expected)
    same(record(split(sides, points)), expected)


@bounded(100)
@given(sessions)
def test_masked_twice_is_masked_once(pieces: list[Piece]) -> None:
    once = record(pieces)
    at = dict.fromkeys(Direction, 0)
    masked = []
    for direction, data in pieces:
        masked.append((direction, once.masked[direction][at[direction] :][: len(data)]))
        at[direction] += len(data)
    assert record(masked).masked == once.masked


@bounded(100)
@given(st.lists(st.one_of(appends(), fetches(), others()), min_size=1, max_size=4), cuts)
def test_content_is_kept(exchanges: list[list[Piece]], points: list[int]) -> None:
    """After a login nothing but credentials is masked, even where content looks like them."""
    pieces = [GREETING, *GOOD_LOGIN, *itertools.chain(*exchanges)]
    outcome = record(split(pieces, points))
    for direction in Direction:
        data = b"".join(part for where, part in pieces if where is direction)
        assert outcome.masked[direction] == data.replace(b"Sesame0Secret", b"X" * 13)


# -- garbage ----------------------------------------------------------------------------------------------------

_TOKENS = (
    b"a LOGIN b c\r\n", b"a AUTHENTICATE PLAIN\r\n", b"a ", b" LOGIN ", b"\r\n", b"\n", b"\r", b"{5+}\r\n", b"{5}\r\n",
    b"{0}\r\n", b"~{3}", b"+ ", b"+\r\n", b"* OK x\r\n", b"a OK\r\n", b"* 1 FETCH {3}\r\n", b"* URLFETCH ", b"IDLE\r\n",
    b"DONE\r\n", b'"', b"\\", b"(", b"\0", b"\xff", b".\r\n", b"\r\n.\r\n", b"DATA\r\n", b"354 x\r\n", b"250 x\r\n",
    b"220 x\r\n", b"AUTH PLAIN\r\n", b"334 \r\n", b"BDAT 5 LAST\r\n", b"+OK\r\n", b"-ERR\r\n", b"USER x\r\n",
    b"PASS x\r\n", b"RETR 1\r\n", b"OK\r\n", b"NO\r\n", b'AUTHENTICATE "PLAIN" {4+}\r\n', b"STARTTLS\r\n", b"STLS\r\n",
    b"a STARTTLS\r\n", b"\x16\x03\x01", b"a COMPRESS DEFLATE\r\n", b"x" * 70_000,
)  # fmt: skip
garbage = st.lists(st.tuples(st.sampled_from([IN, OUT]), st.sampled_from(_TOKENS) | st.binary(max_size=5)), max_size=20)


@pytest.mark.parametrize("protocol", FRAMERS)
@pytest.mark.parametrize("hold_limit", [None, 16])
@bounded(60)
@given(garbage, cuts)
def test_garbage_never_raises(protocol: str, hold_limit: int | None, pieces: list[Piece], points: list[int]) -> None:
    """Nor is a byte lost, nor does it matter how it is cut (as long as what is held has no limit)."""

    def make(**options: object) -> Framer:
        return FRAMERS[protocol](hold_limit=hold_limit, **options)

    pieces = [piece for piece in pieces if piece[1]]
    expected = record(pieces, make)
    cut = record(split(pieces, points), make)
    if hold_limit is None:
        same(cut, expected)


@bounded(60)
@given(garbage)
def test_keep_changes_nothing(pieces: list[Piece]) -> None:
    masker = Masker(ImapFramer(), keep=True)
    events = [event for direction, data in pieces if data for event in masker.chunk(0, direction, data)]
    for direction in Direction:
        events += masker.end(direction)
        data = b"".join(part for where, part in pieces if where is direction)
        kept = b"".join(e.data for e in events if isinstance(e, Chunk) and e.direction is direction)
        assert kept == data
