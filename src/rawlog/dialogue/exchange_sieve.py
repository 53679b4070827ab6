"""ManageSieve: a response ends with OK, NO or BYE, in the order of the commands (RFC 5804 1.2).

Knows: literals on both sides, SASL dialogues, and that the server says its capabilities again behind STARTTLS. Must not
know: what commands mean.
"""

from __future__ import annotations

import re

from rawlog.dialogue.exchange_ordered import OrderedPairing
from rawlog.dialogue.exchange_pairing import is_long_line, verb_of
from rawlog.dialogue.exchange_pieces import Piece
from rawlog.dialogue.exchange_record import GREETING, Exchange
from rawlog.protocols.fragments import Kind

_COMMAND = re.compile(rb"[ \t]*([^\s]+)")
_STATUS = re.compile(rb"(OK|NO|BYE)(?=[ \t(]|\Z)", re.IGNORECASE)
_LITERAL = re.compile(rb"\{\d{1,18}\+?\}\Z")


class ManageSievePairing(OrderedPairing):
    """Pairs ManageSieve. See Pairing."""

    def __init__(self, *, lmtp: bool = False) -> None:
        super().__init__(lmtp=lmtp)
        self._unfinished: Exchange | None = None  # the client's command goes on behind a literal
        self._begun: bytes | None = None  # the server's line in progress, up to its first literal

    def client(self, piece: Piece) -> None:
        is_line = piece.fragment.kind is Kind.LINE or is_long_line(piece)
        exchange = self._unfinished
        if exchange is None and is_line:
            dialogue = self.last("AUTHENTICATE")
            found = _COMMAND.match(piece.text)
            if dialogue is not None and (self.turn or piece.data[:1] in (b'"', b"{")):
                self.turn, exchange = False, dialogue
            elif found:
                self._unfinished = self.ask(verb_of(found[1], piece, found.start(1)), piece)
        if exchange is not None:
            exchange.say(piece)
            self._unfinished = exchange
        if is_line and not _LITERAL.search(piece.text):
            self._unfinished = None

    def server(self, piece: Piece) -> None:
        is_line = piece.fragment.kind is Kind.LINE
        if self._begun is None:
            self._begun = piece.text if is_line else b""
        status = _STATUS.match(self._begun)
        if status and self.waiting and self.waiting[0].verb == GREETING and not self.waiting[0].received:
            self.waiting.popleft()  # the server does not say its capabilities again
        exchange = self.holder(greeting=True)
        exchange.hear(piece)
        if not is_line or _LITERAL.search(piece.text):
            return
        begun, self._begun = self._begun, None
        if status is None:
            self.turn = exchange.verb == "AUTHENTICATE"
            return
        self.reply(exchange, status[1].upper().decode("ascii"), begun)
        self.finish(exchange)
        if exchange.verb == "STARTTLS" and exchange.status == "OK":
            self.waiting.appendleft(Exchange(0, GREETING))
