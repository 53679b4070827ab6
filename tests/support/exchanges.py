"""Pairs a conversation that is written down as text (see conversation.py), for the tests of exchanges."""

from __future__ import annotations

from collections.abc import Iterable

from rawlog.dialogue.exchange import Exchange, Pairer, exchanges
from rawlog.events import Chunk, Direction, Event, Recording
from tests.support.conversation import Conversation, Piece, converse

STEP = 1000  # microseconds from one piece to the next
START = 1_795_385_217_000_000


def timed(pieces: Iterable[Piece]) -> list[Event]:
    """The pieces as chunks, one millisecond after the other."""
    return [Chunk(START + number * STEP, direction, data) for number, (direction, data) in enumerate(pieces)]


def paired(protocol: str, events: Iterable[Event], client: Direction = Direction.IN) -> list[Exchange]:
    """The exchanges of some events."""
    pairer = Pairer(protocol, client)
    return [exchange for event in events for exchange in pairer.feed(event)] + pairer.end()


def paired_text(protocol: str, text: str) -> list[Exchange]:
    """The exchanges of a conversation in the form of tests/conversations, without its title."""
    talk = converse("== text\n" + text)
    return paired(protocol, timed(talk.pieces), talk.client)


def untimed(protocol: str, talk: Conversation) -> list[Exchange]:
    """The exchanges of the conversation as a pair without stamps."""
    events = [Chunk(None, direction, data) for direction, data in talk.sides() if data]
    return list(exchanges(Recording("test", events, timed=False, protocol=protocol)))


def short(exchanges: Iterable[Exchange]) -> list[str]:
    """``tag verb status``, as far as there are any."""
    return [" ".join(word for word in (e.tag, e.verb, e.status) if word) for e in exchanges]
