"""What all pairings have in common: the exchanges that wait, and those that are complete.

Knows: numbering, limits, the greeting. Must not know: any protocol.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from rawlog.dialogue.exchange_pieces import Piece
from rawlog.dialogue.exchange_record import GREETING, TEXT_LIMIT, UNASKED, UNKNOWN, Exchange
from rawlog.protocols.fragments import Kind
from rawlog.protocols.framing import LINE_LIMIT

OUTSTANDING_LIMIT = 1000
"""Commands without an answer that are remembered; then the oldest is given as unanswered. Pipelines are shorter."""

REPLIES_LIMIT = 1000
"""Replies of one command that are kept: the recipients of a message. More are counted among the answer's bytes."""

_VERB = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,29}")


class Pairing(ABC):
    """Takes the pieces of both sides in order, gives exchanges. ``lmtp`` matters to one subclass only."""

    def __init__(self, *, lmtp: bool = False) -> None:
        self.lmtp = lmtp
        self.greeting: Exchange | None = None  # while the server is at it
        self.greeted = False
        self._opened_at: int | None = None
        self._count = 0
        self._complete: list[Exchange] = []

    @abstractmethod
    def client(self, piece: Piece) -> None:
        """A piece of the client."""

    @abstractmethod
    def server(self, piece: Piece) -> None:
        """A piece of the server."""

    @abstractmethod
    def end(self) -> None:
        """Nothing follows."""

    def opened(self, at: int | None) -> None:
        """The connection was made: from here on the greeting was waited for."""
        self._opened_at = at

    def take(self, piece: Piece, *, from_client: bool) -> None:
        """The next piece. What is secret as a whole, TLS as it is on the wire for instance, belongs to nobody."""
        fragment = piece.fragment
        if fragment.kind is Kind.OPAQUE and fragment.secrets and fragment.secrets[0][0] == fragment.start:
            return
        if from_client:
            self.client(piece)
        else:
            self.server(piece)

    def give(self) -> list[Exchange]:
        """The exchanges completed since the last time."""
        complete, self._complete = self._complete, []
        return complete

    # -- for the subclasses ---------------------------------------------------------------------------------------

    def begin(self, verb: str, command: bytes = b"", tag: str = "") -> Exchange:
        """A new exchange of the client."""
        self._count += 1
        return Exchange(self._count, verb, command[:TEXT_LIMIT], tag)

    def complete(self, exchange: Exchange) -> None:
        """It will not change any more."""
        if not exchange.number:
            self._count += 1
            exchange.number = self._count
        self._complete.append(exchange)

    def greet(self) -> Exchange:
        """The greeting, as far as it has come."""
        if self.greeting is None:
            self.greeting = self.begin(GREETING)
            self.greeting.asked = self._opened_at
        return self.greeting

    def end_greeting(self) -> None:
        """The greeting is over; there need not be one."""
        greeting, self.greeting = self.greeting, None
        self.greeted = True
        if greeting is not None:
            self.complete(greeting)

    def unasked(self) -> Exchange:
        """What the server says although nothing was asked; it has a number when it is complete."""
        return Exchange(0, UNASKED)


def verb_of(word: bytes, piece: Piece, start: int) -> str:
    """The command ``word``, which stands at ``start`` in a piece: in capitals; ``?`` where it is no word or secret."""
    end = piece.fragment.start + start + len(word)
    if not _VERB.fullmatch(word) or any(a < end for a, _ in piece.fragment.secrets):
        return UNKNOWN
    return word.upper().decode("ascii")


def is_long_line(piece: Piece) -> bool:
    """Whether a piece is a line over the limit: as a command only its beginning is known."""
    return piece.fragment.kind is Kind.OPAQUE and piece.fragment.end - piece.fragment.start > LINE_LIMIT
