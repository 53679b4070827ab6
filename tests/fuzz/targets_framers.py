"""Targets: the framers, what masks with them, and what pairs commands with answers.

Each says what it promises for any bytes, in any pieces. Knows: protocols by name. Must not know: where inputs come
from.
"""

from __future__ import annotations

import pickle

from rawlog.dialogue.exchange import Pairer
from rawlog.dialogue.inflate import ResumableInflater
from rawlog.dialogue.redact import Masker
from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.protocols.framing import HOLD_LIMIT, Framer
from rawlog.protocols.registry import framer_for
from tests.fuzz.shape import Piece, crumbs, events_of, joined, pieces_of
from tests.support.conversation import Conversation, contiguous, run

CRUMBS_LIMIT = 600  # longer inputs are not fed byte by byte as well


def framer(protocol: str, data: bytes) -> None:
    """Nothing raises, nothing is lost, and the pieces do not matter: neither for what is cut nor for what is masked."""
    pieces = pieces_of(data)
    talk = Conversation("fuzz", pieces=pieces)

    def make(client: Direction = Direction.IN) -> Framer:
        return framer_for(protocol, client=client)

    expected = run(talk, pieces, make)
    for direction in Direction:
        contiguous(expected.fragments[direction], talk.side(direction))
        _is_mask_of(expected.masked[direction], talk.side(direction))
    for other in (joined(pieces), crumbs(pieces, 1 if len(data) <= CRUMBS_LIMIT else 7)):
        outcome = run(talk, other, make)
        assert outcome.fragments == expected.fragments
        assert outcome.masked == expected.masked
        assert (outcome.framer.user, outcome.framer.authenticated) == (
            expected.framer.user,
            expected.framer.authenticated,
        )
    for direction in Direction:  # one side alone
        alone = run(talk, [(direction, talk.side(direction))], make)
        contiguous(alone.fragments[direction], talk.side(direction))


def masker(protocol: str, data: bytes) -> None:
    """With COMPRESS on the wire, and killed after each read: what comes out is the same, and never raises."""
    pieces = pieces_of(data)
    plain = _taken(Masker(framer_for(protocol, wire_compressed=True)), pieces, reborn=False)
    again = _taken(Masker(framer_for(protocol, wire_compressed=True), inflater=ResumableInflater), pieces, reborn=True)
    assert _sides(plain) == _sides(again)
    kept = _taken(Masker(framer_for(protocol, wire_compressed=True), keep=True), pieces, reborn=False)
    for direction in Direction:
        _is_mask_of(_sides(plain)[direction], _sides(kept)[direction])
    if not any(isinstance(event, Mark) for event in kept):
        for direction in Direction:
            assert _sides(kept)[direction] == b"".join(part for where, part in pieces if where is direction)


def _taken(masker: Masker, pieces: list[Piece], *, reborn: bool) -> list[Event]:
    events: list[Event] = []
    for number, (direction, data) in enumerate(pieces):
        events += masker.chunk(number, direction, data)
        if reborn:
            masker = pickle.loads(pickle.dumps(masker))
    for direction in Direction:
        events += masker.end(direction)
    assert masker.framer.failure is None, masker.framer.failure
    return events


def _sides(events: list[Event]) -> dict[Direction, bytes]:
    chunks = [event for event in events if isinstance(event, Chunk)]
    return {d: b"".join(chunk.data for chunk in chunks if chunk.direction is d) for d in Direction}


def _is_mask_of(masked: bytes, data: bytes) -> None:
    assert len(masked) == len(data)
    different = {a for a, b in zip(masked, data, strict=True) if a != b}
    assert different <= {ord("X")}


def pairing(protocol: str, data: bytes) -> None:
    """Exchanges are given in bounded number and never claim more bytes than there are."""
    pieces = pieces_of(data)
    pairer = Pairer(protocol)
    made = [exchange for event in events_of(pieces) for exchange in pairer.feed(event)] + pairer.end()
    assert pairer.framer.failure is None, pairer.framer.failure
    sizes = {direction: sum(len(part) for where, part in pieces if where is direction) for direction in Direction}
    assert sum(exchange.sent for exchange in made) <= sizes[Direction.IN]
    assert sum(exchange.received for exchange in made) <= sizes[Direction.OUT]
    numbers = [exchange.number for exchange in made]
    assert len(set(numbers)) == len(numbers)
    for exchange in made:
        assert exchange.latency is None or exchange.latency >= 0
        assert exchange.failed in (True, False)


def held(protocol: str, data: bytes) -> None:
    """A client that does not wait: what a live framer keeps in memory stays bounded, and every byte is given."""
    framer = framer_for(protocol)
    size = dict.fromkeys(Direction, 0)
    given = dict.fromkeys(Direction, 0)
    for direction, part in pieces_of(data):
        for _ in range(1 + 3 * HOLD_LIMIT // (len(data) + 1) if len(data) > 1000 else 4):
            size[direction] += len(part)
            for fragment in framer.feed(direction, part):
                given[fragment.direction] += fragment.end - fragment.start
            assert framer.lanes[direction].tape.size <= HOLD_LIMIT + len(part), "more is held than allowed"
            assert framer.settled(direction) <= size[direction]
    for direction in Direction:
        for fragment in framer.end(direction):
            given[fragment.direction] += fragment.end - fragment.start
    assert framer.failure is None, framer.failure
    assert given == size
