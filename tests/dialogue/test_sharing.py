"""What is made for sharing: no secret, not even its length, and still a conversation."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from rawlog.dialogue.exchange import exchanges
from rawlog.dialogue.sharing import TOKEN, Shared, shareable
from rawlog.dialogue.whole import Whole, take_whole
from rawlog.events import Chunk, Direction, Event, Recording
from rawlog.protocols.fragments import Kind
from rawlog.protocols.registry import FRAMERS
from tests.support.canaries import WAYS, leaks
from tests.support.conversation import Conversation, Piece, conversations

IN, OUT = Direction.IN, Direction.OUT
TALKS = [(protocol, talk) for protocol in FRAMERS for talk in conversations(protocol)]


def recording(pieces: Iterable[Piece], protocol: str = "imap", *, timed: bool = True) -> Recording:
    events: list[Event] = [Chunk(at if timed else None, where, data) for at, (where, data) in enumerate(pieces)]
    return Recording("x", events, timed=timed, protocol=protocol)


def side(shared: Shared, direction: Direction) -> bytes:
    return b"".join(e.data for e in shared.recording.events if isinstance(e, Chunk) and e.direction is direction)


def whole(made: Recording) -> Whole:
    found = take_whole(made)
    assert found is not None
    return found


def kinds(made: Recording) -> dict[Direction, list[Kind]]:
    return {d: [fragment.kind for fragment in fragments] for d, fragments in whole(made).fragments.items()}


@pytest.mark.parametrize(("said", "shared"), [
    (b'a LOGIN alice "pa ss"\r\n', b"a LOGIN alice XXXXXXXX\r\n"),
    (b"a LOGIN alice {6+}\r\nsecret\r\n", b"a LOGIN alice {8+}\r\nXXXXXXXX\r\n"),
    (b"a LOGIN {5}\r\nalice {6}\r\nsecret\r\n", b"a LOGIN {5}\r\nalice {8}\r\nXXXXXXXX\r\n"),
    (b"a LOGIN alice ~{11}\r\nsec\r\nret\r\nx\r\n", b"a LOGIN alice ~{8}\r\nXXXXXXXX\r\n"),
    (b"a AUTHENTICATE PLAIN AGEAYg==\r\n", b"a AUTHENTICATE PLAIN XXXXXXXX\r\n"),
    (b"a AUTHENTICATE PLAIN XXXXXX==\r\n", b"a AUTHENTICATE PLAIN XXXXXXXX\r\n"),
    (b"a AUTHENTICATE XOAUTH2 =\r\n", b"a AUTHENTICATE XOAUTH2 =\r\n"),
])  # fmt: skip
def test_the_length_of_a_secret_is_gone(said: bytes, shared: bytes) -> None:
    made = shareable(recording([(OUT, b"* OK ready\r\n"), (IN, said)]))
    assert side(made, IN) == shared
    assert made.secrets.total() == (0 if said == shared else 1)


def test_each_kind_is_counted() -> None:
    talk = [
        (OUT, b"* OK\r\n"),
        (IN, b"a LOGIN x y\r\nb AUTHENTICATE CRAM-MD5\r\n"),
        (OUT, b"a NO\r\n+ YWJj\r\n"),
        (IN, b"ZGVm\r\nc LOGIN x {1+}\r\ny\r\n"),
    ]
    kinds = shareable(recording(talk)).secrets
    assert kinds == {"LOGIN": 1, "challenges and answers of the server": 1, "SASL responses": 1, "literals": 1}


def test_the_literal_that_was_cut_short_still_lacks_its_end() -> None:
    made = shareable(recording([(OUT, b"* OK\r\n"), (IN, b"a LOGIN x {10+}\r\nsecr")]))
    assert side(made, IN) == b"a LOGIN x {9+}\r\nXXXXXXXX"


def secrets(talk: Conversation, direction: Direction) -> list[bytes]:
    """What the conversation's author marked as secret."""
    text, masked = talk.side(direction), bytes(talk.masked[direction])
    changed = bytes(1 if a != b else 0 for a, b in zip(text, masked, strict=True))
    return [text[found.start() : found.end()] for found in re.finditer(b"\x01+", changed)]


def shape(made: Recording) -> list[tuple[str, str]]:
    """The exchanges that are no nonsense: of nonsense even the first word may be replaced."""
    return [(e.verb, e.status) for e in exchanges(made) if e.verb not in ("?", "unasked", "XXXXXXXX")]


@pytest.mark.parametrize("untimed", [False, True])
@pytest.mark.parametrize(("protocol", "talk"), TALKS, ids=lambda value: str(value)[:60])
def test_every_conversation(protocol: str, talk: Conversation, untimed: bool) -> None:
    original = recording(talk.sides() if untimed else talk.pieces, protocol, timed=not untimed)
    made = shareable(original)
    again = shareable(made.recording)
    for direction in Direction:
        text = side(made, direction)
        assert side(again, direction) == text, "what is safe stays as it is"
        for secret in secrets(talk, direction):
            for part in re.findall(rb"[A-Za-z0-9+/]{6,}", secret):
                assert part not in text or part in TOKEN or part in bytes(talk.masked[direction])
    if not talk.title.startswith("malformed") and "on the wire" not in talk.title and "alert" not in talk.title:
        assert kinds(made.recording) == kinds(original)
        assert shape(made.recording) == shape(original)


@pytest.mark.parametrize(("protocol", "talk"), TALKS, ids=lambda value: str(value)[:60])
def test_one_half_alone(protocol: str, talk: Conversation) -> None:
    for direction in Direction:
        made = shareable(recording([(direction, talk.side(direction))], protocol, timed=False))
        assert side(shareable(made.recording), direction) == side(made, direction)


@pytest.mark.parametrize("answers", [[], [b"a OK\r\n"], [b"+ go\r\n+ go\r\na OK\r\n"], [b"a BAD what\r\n"]])
@pytest.mark.parametrize("way", WAYS)
def test_two_secrets_of_different_lengths_become_the_same(way: str, answers: list[bytes]) -> None:
    copies = set()
    for secret in (b"Sesame0Secret", b"Sesame0SecretWhichIsMuchLonger123"):
        talk = [(OUT, b"* OK ready\r\n"), (IN, WAYS[way](secret)), *((OUT, answer) for answer in answers)]
        text = side(shareable(recording(talk)), IN)
        assert leaks(b"Sesame0Secret", text) == []
        copies.add(text)
    assert len(copies) == 1
