"""Sessions made up by hypothesis, and the promises that every framer keeps about them.

A session is a list of exchanges; an exchange is what client and server say in turn about one command. Secrets are
marked where they are made up, so what must be masked is known exactly.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from rawlog.events import Direction
from rawlog.protocols.framing import Framer
from tests.support.conversation import Conversation, Piece, byte_by_byte, contiguous, run, split

C, S = True, False  # who speaks

OPEN, CLOSE = b"\xf8", b"\xf9"  # around a secret; no made-up text has these bytes

Exchange = list[tuple[bool, bytes]]


@dataclass
class Session:
    """A list of exchanges, who is logged in at their end, and how the client pipelines."""

    exchanges: list[Exchange]
    user: str | None
    groups: list[tuple[int, bool]]
    client: Direction

    def pieces(self, *, marked: bool = False) -> list[Piece]:
        """The bytes as they went over the wire. A group that is pipelined: the client's side, then the server's."""
        made: list[Piece] = []
        rest = list(self.exchanges)
        for size, pipelined in [*self.groups, (len(rest), False)]:
            steps = [step for exchange in rest[:size] for step in exchange]
            rest = rest[size:]
            if pipelined:
                steps.sort(key=lambda step: step[0] is S)
            made += [(self.client if who is C else self.client.other, data) for who, data in steps]
        return made if marked else [(where, plain(data)) for where, data in made]

    def masked(self, direction: Direction) -> bytes:
        """What is to be written down of one direction."""
        data = b"".join(data for where, data in self.pieces(marked=True) if where is direction)
        return re.sub(rb"\xf8([^\xf9]*)\xf9", lambda found: re.sub(rb"[^\r\n]", b"X", found[1]), data)


def plain(data: bytes) -> bytes:
    """The bytes without the marks around secrets."""
    return data.replace(OPEN, b"").replace(CLOSE, b"")


def secret(data: bytes) -> bytes:
    """The bytes marked as a secret."""
    return OPEN + data + CLOSE if data else b""


def message(data: bytes) -> bytes:
    """A SASL message in base64; its padding is no secret."""
    text = base64.b64encode(data)
    return secret(text.rstrip(b"=")) + text[len(text.rstrip(b"=")) :]


words = st.text("abcdefghijklmnopqrstuvwxyz0123456789.-_", min_size=1, max_size=12).map(str.encode)
users = st.text("abcdefghijklmnopqrstuvwxyzé", min_size=1, max_size=8)
# No words: what servers say by themselves (STARTTLS, SASL) would be taken for a repeated secret, and rightly masked.
_UNFIT = re.compile(rb"[A-Za-z]{4}|[\r\n\0\xf8\xf9]")
passwords = st.binary(min_size=6, max_size=24).filter(lambda data: not _UNFIT.search(data))
payloads = st.binary(min_size=3, max_size=60)
mechanisms = st.sampled_from(b"PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER GSSAPI X-FOO".split())
texts = st.lists(st.one_of(words, st.sampled_from([b"", b"+OK", b".", b"+ x", b"OK", b"250 x", b"QUIT"])), max_size=5)


@st.composite
def dialogues(
    draw: st.DrawFn,
    begin: Callable[[bytes, bytes | None], bytes],
    challenge: Callable[[bytes], bytes],
    response: Callable[[bytes], bytes],
    verdict: bytes,
) -> Exchange:
    """A SASL dialogue of any mechanism with any messages that ends in ``verdict``."""
    initial = draw(st.none() | payloads.map(message))
    steps: Exchange = [(C, begin(draw(mechanisms), initial))]
    for asks, answers in draw(st.lists(st.tuples(payloads, payloads), max_size=2)):
        steps += [(S, challenge(message(asks))), (C, response(message(answers)))]
    return [*steps, (S, verdict)]


@st.composite
def sessions(
    draw: st.DrawFn,
    greeting: Exchange,
    before: st.SearchStrategy[Exchange],
    login: Callable[[str], st.SearchStrategy[Exchange]] | None,
    after: st.SearchStrategy[Exchange],
) -> Session:
    """A greeting, something before the login, the login (None: there is none), something behind it."""
    user = draw(users)
    exchanges = [greeting, *draw(st.lists(before, max_size=4))]
    if login:
        exchanges += [draw(login(user)), *draw(st.lists(after, max_size=4))]
    groups = [(1, False), *draw(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=4))]
    return Session(exchanges, user if login else None, groups, draw(st.sampled_from(Direction)))


def keeps_promises(session: Session, make: Callable[..., Framer], data: st.DataObject) -> None:
    """The session is cut and masked as it must be, whatever its pieces and their order, and one side alone is safe."""
    talk = Conversation("made up", client=session.client)
    pieces = session.pieces()
    talk.pieces = pieces
    length = sum(len(part) for _, part in pieces)
    points = data.draw(st.lists(st.integers(1, length), max_size=8), label="split at")
    expected = run(talk, pieces, make)
    assert expected.framer.failure is None
    assert expected.framer.user == session.user
    for direction in Direction:
        contiguous(expected.fragments[direction], talk.side(direction))
        assert expected.masked[direction] == session.masked(direction)
    for other in (split(pieces, points), talk.sides(), split(talk.sides(), points), list(byte_by_byte(pieces))):
        outcome = run(talk, other, make)
        assert outcome.fragments == expected.fragments
        assert outcome.masked == expected.masked
        assert outcome.framer.user == expected.framer.user
    for direction in Direction:
        _safe_alone(talk, direction, session.masked(direction), make)


def _safe_alone(talk: Conversation, direction: Direction, expected: bytes, make: Callable[..., Framer]) -> None:
    masked = run(talk, [(direction, talk.side(direction))], make).masked[direction]
    assert len(masked) == len(expected)
    for got, wanted in zip(masked, expected, strict=True):
        assert got == wanted or got == ord("X")


@st.composite
def rubbish(draw: st.DrawFn, tokens: list[bytes]) -> list[Piece]:
    """Pieces of both directions, made of what the protocol's words are made of, in any order."""
    soup = st.lists(st.sampled_from(tokens) | st.binary(max_size=3), max_size=12).map(b"".join)
    return draw(st.lists(st.tuples(st.sampled_from(Direction), soup), max_size=8))


def survives(pieces: list[Piece], make: Callable[..., Framer], data: st.DataObject) -> None:
    """Nothing is lost, nothing raises, and chunks do not matter."""
    talk = Conversation("rubbish", pieces=pieces)
    expected = run(talk, pieces, make)
    assert expected.framer.failure is None
    for direction in Direction:
        contiguous(expected.fragments[direction], talk.side(direction))
        assert len(expected.masked[direction]) == len(talk.side(direction))
    length = sum(len(part) for _, part in pieces)
    points = data.draw(st.lists(st.integers(1, max(1, length)), max_size=8), label="split at")
    for other in (split(pieces, points), list(byte_by_byte(pieces))):
        outcome = run(talk, other, make)
        assert outcome.fragments == expected.fragments
        assert outcome.masked == expected.masked
    for direction in Direction:
        outcome = run(talk, [(direction, talk.side(direction))], make)
        assert outcome.framer.failure is None
        contiguous(outcome.fragments[direction], talk.side(direction))


def kept(**limits: Any) -> dict[str, Any]:
    """Settings for the properties: small enough for a test run. RAWLOG_EXAMPLES=5000 makes it long."""
    return {"max_examples": int(os.environ.get("RAWLOG_EXAMPLES", "60")), **limits}
