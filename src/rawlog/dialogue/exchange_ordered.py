"""Protocols whose answers carry no tag: the oldest command without an answer has the next one.

Knows: the queue of commands. Must not know: how a command or an answer is written; the subclasses do (POP3, SMTP, LMTP,
ManageSieve).
"""

from __future__ import annotations

from collections import deque

from rawlog.dialogue.exchange_pairing import OUTSTANDING_LIMIT, REPLIES_LIMIT, Pairing
from rawlog.dialogue.exchange_pieces import Piece
from rawlog.dialogue.exchange_record import Exchange

_SASL_WORDS = 2  # a response is one word; a command that is no login has a verb and, mostly, an argument


class OrderedPairing(Pairing):
    """Base of the pairings without tags. See Pairing."""

    def __init__(self, *, lmtp: bool = False) -> None:
        super().__init__(lmtp=lmtp)
        self.waiting: deque[Exchange] = deque()
        self.turn = False  # the server asked the last command to go on
        self.silent = True  # the server has said nothing at all
        self._stray: Exchange | None = None  # what the server is saying although nothing was asked

    def ask(self, verb: str, piece: Piece) -> Exchange:
        """A command of the client."""
        exchange = self.begin(verb, piece.text)
        exchange.say(piece)
        self.waiting.append(exchange)
        self.turn = False
        if len(self.waiting) > OUTSTANDING_LIMIT:
            self.complete(self.waiting.popleft())
        return exchange

    def last(self, *verbs: str) -> Exchange | None:
        """The last command, if it is one of ``verbs`` and has no answer yet."""
        return self.waiting[-1] if self.waiting and self.waiting[-1].verb in verbs else None

    def is_response(self, text: bytes, exchange: Exchange | None) -> bool:
        """Whether a line of the client belongs to the SASL dialogue ``exchange`` (None: there is none)."""
        if exchange is None:
            return False
        return self.turn or (self.silent and len(text.split()) < _SASL_WORDS)

    def holder(self, *, greeting: bool) -> Exchange:
        """What takes the server's next words: the greeting, the oldest command, or nobody's."""
        self.silent = False
        if greeting and not self.greeted:
            return self.greet()
        if self.waiting:
            return self.waiting[0]
        if self._stray is None:
            self._stray = self.unasked()
        return self._stray

    def claimed(self, exchange: Exchange) -> Exchange:
        """Whose answer it is, when the command has come since it began: the first line of the server, in a recording
        without greeting, comes before the client's command that waited for it."""
        if exchange is not self._stray or not self.waiting:
            return exchange
        self._stray = None
        self.waiting[0].adopt(exchange)
        return self.waiting[0]

    def reply(self, exchange: Exchange, status: str, line: bytes) -> None:
        """A status line of the server."""
        exchange.judge(status, line)
        if len(exchange.replies) < REPLIES_LIMIT:
            exchange.replies.append(line[:REPLIES_LIMIT])

    def finish(self, exchange: Exchange) -> None:
        """The answer is complete."""
        if exchange is self.greeting:
            self.end_greeting()
            return
        if exchange is self._stray:
            self._stray = None
        elif self.waiting and exchange is self.waiting[0]:
            self.waiting.popleft()
        self.greeted = True
        self.turn = False
        self.complete(exchange)

    def end(self) -> None:
        self.end_greeting()
        stray, self._stray = self._stray, None
        if stray is not None:
            self.complete(stray)
        for exchange in self.waiting:
            if exchange.sent or exchange.received:
                self.complete(exchange)
        self.waiting.clear()
