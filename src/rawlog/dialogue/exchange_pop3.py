"""POP3: answers in the order of the commands, of one line or of many (RFC 1939 3, RFC 2449 5, RFC 5034).

Knows: which commands are answered by a list. Must not know: what commands mean.
"""

from __future__ import annotations

import re

from rawlog.dialogue.exchange_ordered import OrderedPairing
from rawlog.dialogue.exchange_pairing import is_long_line, verb_of
from rawlog.dialogue.exchange_pieces import Piece
from rawlog.dialogue.exchange_record import Exchange
from rawlog.protocols.fragments import Kind

_COMMAND = re.compile(rb"[ \t]*([^\s]+)(?:[ \t](.*))?", re.DOTALL)
_STATUS = re.compile(rb"(\+OK|-ERR)(?:[ \t]|\Z)", re.IGNORECASE)
_LISTS = ("CAPA", "RETR", "TOP")
_LISTS_ALL = ("AUTH", "LANG", "LIST", "UIDL")  # without an argument


class Pop3Pairing(OrderedPairing):
    """Pairs POP3. See Pairing."""

    def __init__(self, *, lmtp: bool = False) -> None:
        super().__init__(lmtp=lmtp)
        self._listing: Exchange | None = None  # its status is there, its list is to come

    def client(self, piece: Piece) -> None:
        if piece.fragment.kind is not Kind.LINE and not is_long_line(piece):
            return
        dialogue = self.last("AUTH")
        if dialogue is not None and self.is_response(piece.text, dialogue):
            self.turn = False
            dialogue.say(piece)
            return
        found = _COMMAND.match(piece.text)
        if found:
            self.ask(verb_of(found[1], piece, found.start(1)), piece)

    def server(self, piece: Piece) -> None:
        if piece.fragment.kind is Kind.BLOCK and self._listing is not None:
            exchange, self._listing = self._listing, None
            exchange.hear(piece)
            self.finish(exchange)
            return
        status = _STATUS.match(piece.text) if piece.fragment.kind is Kind.LINE else None
        exchange = self.holder(greeting=status is not None)
        exchange.hear(piece)
        if status is None:
            self.turn = piece.data[:1] == b"+"
            return
        self.reply(exchange, status[1].upper().decode("ascii"), piece.text)
        if exchange.status == "+OK" and _is_list(exchange):
            self._listing = exchange
        else:
            self.finish(exchange)


def _is_list(exchange: Exchange) -> bool:
    """Whether a list follows the status line of this command."""
    alone = len(exchange.command.split()) < 2
    return exchange.verb in _LISTS or (alone and exchange.verb in _LISTS_ALL)
