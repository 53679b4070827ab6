"""SMTP and LMTP: replies of three digits in the order of the commands (RFC 5321 4.2, RFC 2033 4.2, RFC 3030, RFC 4954).

Knows: replies of several lines, what follows DATA and BDAT, and that LMTP answers once for each recipient. Must not
know: envelopes, messages.
"""

from __future__ import annotations

import re

from rawlog.dialogue.exchange_ordered import OrderedPairing
from rawlog.dialogue.exchange_pairing import is_long_line, verb_of
from rawlog.dialogue.exchange_pieces import Piece
from rawlog.dialogue.exchange_record import Exchange
from rawlog.protocols.fragments import Kind

_COMMAND = re.compile(rb"[ \t]*([^\s]+)")
_REPLY = re.compile(rb"(\d{3})(?:([ -])|\Z)")
_GREETINGS = (b"220", b"235", b"421", b"521", b"554")  # 235 begins Dovecot's recordings behind the login


class SmtpPairing(OrderedPairing):
    """Pairs SMTP and LMTP. See Pairing."""

    def __init__(self, *, lmtp: bool = False) -> None:
        super().__init__(lmtp=lmtp)
        self._accepted = 0  # recipients of the message in progress
        self._wanted = 0  # replies that a message still gets, when that is known
        self._replying: Exchange | None = None  # its reply goes on in the next line

    # -- the client -----------------------------------------------------------------------------------------------

    def client(self, piece: Piece) -> None:
        kind = piece.fragment.kind
        if kind is Kind.LINE or is_long_line(piece):
            self._line(piece)
            return
        message = self.last("DATA", "BDAT")
        if message is not None:
            message.say(piece)

    def _line(self, piece: Piece) -> None:
        dialogue = self.last("AUTH")
        if dialogue is not None and self.is_response(piece.text, dialogue):
            self.turn = False
            dialogue.say(piece)
            return
        found = _COMMAND.match(piece.text)
        if found:
            self.ask(verb_of(found[1], piece, found.start(1)), piece)

    # -- the server -----------------------------------------------------------------------------------------------

    def server(self, piece: Piece) -> None:
        line = _REPLY.match(piece.text) if piece.fragment.kind is Kind.LINE else None
        exchange = self._replying or self.holder(greeting=line is not None and line[1] in _GREETINGS)
        exchange.hear(piece)
        goes_on = line is None or line[2] == b"-"
        self._replying = exchange if goes_on else None
        if not goes_on:
            exchange = self.claimed(exchange)
        if line is not None and line[2] != b"-":
            self._reply(exchange, int(line[1]), piece.text)

    def _reply(self, exchange: Exchange, code: int, line: bytes) -> None:
        if exchange.verb == "AUTH" and code == 334:
            self.turn = True
            return
        if exchange.verb == "DATA" and 300 <= code < 400:
            self._wanted = self._replies()
            return
        if exchange.verb == "BDAT" and not self._wanted and _is_last(exchange):
            self._wanted = self._replies()
        worst = max(code, int(exchange.status or 0))
        self.reply(exchange, f"{code:03}", line)
        if worst != code:  # of several replies the worst counts
            exchange.judge(f"{worst:03}", next(text for text in exchange.replies if text.startswith(b"%03d" % worst)))
        self._wanted = max(0, self._wanted - 1)
        if not self._wanted:
            self._settled(exchange, code)

    def _settled(self, exchange: Exchange, code: int) -> None:
        if exchange.verb == "RCPT" and code < 400:
            self._accepted += 1
        elif exchange.verb == "MAIL" and code < 400:
            self._accepted = 0
        self.finish(exchange)

    def _replies(self) -> int:
        """How many replies a complete message gets."""
        return max(1, self._accepted) if self.lmtp else 1


def _is_last(exchange: Exchange) -> bool:
    return exchange.command.upper().split()[-1:] == [b"LAST"]
