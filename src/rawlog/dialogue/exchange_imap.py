"""IMAP: an answer has the tag of its command (RFC 9051 2.2, RFC 2177, RFC 4959, RFC 7888).

Knows: where a command goes on (literals, SASL, the end of IDLE), and to whom untagged data belongs: what precedes a
tagged response to that response's command. Must not know: what commands mean.
"""

from __future__ import annotations

import re

from rawlog.dialogue.exchange_pairing import OUTSTANDING_LIMIT, Pairing, is_long_line, verb_of
from rawlog.dialogue.exchange_pieces import Piece
from rawlog.dialogue.exchange_record import UNKNOWN, Exchange
from rawlog.protocols.fragments import Kind
from rawlog.protocols.imap import TAG_LIMIT
from rawlog.protocols.imap_arguments import LITERAL

_COMMAND = re.compile(rb"([^\s]+)[ \t]+([^\s]+)(?:[ \t]+([^\s]+))?")
_TAGGED = re.compile(rb"([^\s*+]\S*) (OK|NO|BAD)\b", re.IGNORECASE)
_UNTAGGED = re.compile(rb"\* (OK|NO|BAD|BYE|PREAUTH)\b", re.IGNORECASE)


class ImapPairing(Pairing):
    """Pairs IMAP. See Pairing."""

    def __init__(self, *, lmtp: bool = False) -> None:
        super().__init__(lmtp=lmtp)
        self._open: list[tuple[bytes, Exchange]] = []  # commands without an answer and their tags, oldest first
        self._current: Exchange | None = None  # the command that the client's next piece may go on with
        self._unfinished = False  # that command announced a literal
        self._nonsync = False  # and sends it whatever the server says
        self._turn = False  # the server asked it to go on
        self._tagless = False  # it has no tag, so nothing can answer it
        self._data: Exchange | None = None  # untagged data: it is not known yet whose
        self._in_response = False  # the server's response goes on behind a literal

    # -- the client -----------------------------------------------------------------------------------------------

    def client(self, piece: Piece) -> None:
        current, kind = self._current, piece.fragment.kind
        is_line = kind is Kind.LINE or is_long_line(piece)
        if current is not None and kind is Kind.LITERAL:
            self._unfinished = True
            current.say(piece)
        elif current is not None and is_line and (self._unfinished or self._goes_on(current, piece.text)):
            current.say(piece)
            self._line_ends(current, piece.text)
        elif is_line and piece.text:
            self._command(piece)

    def _goes_on(self, current: Exchange, text: bytes) -> bool:
        """Whether a line belongs to the command before it: a SASL response, or the end of IDLE."""
        if current.verb == "AUTHENTICATE":
            return self._turn or len(text.split()) < 2
        return current.verb == "IDLE" and text.upper() == b"DONE"

    def _command(self, piece: Piece) -> None:
        text = piece.text
        exchange = self.begin(*_verb_and_tag(piece, text))
        # What may be a password is not shown, but the server's answer may begin with it.
        raw = _COMMAND.match(piece.fragment.data or text)
        exchange.say(piece)
        if raw:
            self._open.append((raw[1][:TAG_LIMIT], exchange))
        if len(self._open) > OUTSTANDING_LIMIT:
            self.complete(self._open.pop(0)[1])
        self._current, self._tagless = exchange, raw is None
        self._line_ends(exchange, text)

    def _line_ends(self, exchange: Exchange, text: bytes) -> None:
        """A line of the command is there: does a literal follow?"""
        self._turn = False
        literal = LITERAL.search(text) if exchange.verb != "AUTHENTICATE" else None
        self._unfinished = literal is not None
        self._nonsync = literal is not None and literal[2] == b"+"
        if literal is None and (exchange.status or self._tagless):  # answered already, or it can't be
            self._answered(exchange)

    # -- the server -----------------------------------------------------------------------------------------------

    def server(self, piece: Piece) -> None:
        if piece.fragment.kind is not Kind.LINE or self._in_response:
            self._untagged(piece, None)
            return
        text = piece.text
        if text[:2] == b"* ":
            self._untagged(piece, _UNTAGGED.match(text))
        elif text[:1] == b"+" and self._open:
            (self._current or self._open[-1][1]).hear(piece)
            self._turn = True
        elif tagged := _TAGGED.match(text):
            self._tagged(piece, tagged[1][:TAG_LIMIT], tagged[2])
        else:
            self._untagged(piece, None)

    def _tagged(self, piece: Piece, tag: bytes, status: bytes) -> None:
        exchange = next((waiting for key, waiting in self._open if key == tag), None)
        if exchange is None:
            exchange = self.unasked() if self.greeted else self.greet()
            exchange.tag = tag.decode("utf-8", "replace")
        elif not self.greeted:
            self.end_greeting()
        data, self._data = self._data, None
        if data is not None:
            exchange.adopt(data)
        exchange.hear(piece)
        exchange.judge(status.upper().decode("ascii"), piece.text)
        if exchange is self.greeting:
            self.end_greeting()
        elif exchange is not self._current or not (self._unfinished and self._nonsync):
            self._answered(exchange)

    def _answered(self, exchange: Exchange) -> None:
        self._open = [waiting for waiting in self._open if waiting[1] is not exchange]
        if exchange is self._current:
            self._current, self._unfinished = None, False
        self.complete(exchange)

    def _untagged(self, piece: Piece, status: re.Match[bytes] | None) -> None:
        """A line that begins with ``*``, what goes on with it, or anything else that is no answer."""
        exchange = self._holder()
        exchange.hear(piece)
        if piece.fragment.kind is Kind.LITERAL:
            return
        if piece.fragment.kind is Kind.LINE and status is None and (self._in_response or piece.data[:2] == b"* "):
            self._in_response = LITERAL.search(piece.text) is not None
        if self._in_response:
            return
        if status:
            exchange.judge(status[1].upper().decode("ascii"), piece.text)
        if exchange is self.greeting and status:
            self.end_greeting()
        elif exchange is not self.greeting and not self._open:
            self._data = None
            self.complete(exchange)

    def _holder(self) -> Exchange:
        """What takes untagged data."""
        if not self.greeted and not self._open:
            return self.greet()
        if self._data is None:
            self._data = self.unasked()
        return self._data

    def end(self) -> None:
        self.end_greeting()
        data, self._data = self._data, None
        if data is not None and self._open:
            self._open[0][1].adopt(data)
        elif data is not None:
            self.complete(data)
        for _, exchange in self._open:
            self.complete(exchange)
        self._open.clear()


def _verb_and_tag(piece: Piece, text: bytes) -> tuple[str, bytes, str]:
    """Verb, line and tag of a command; the line is ``text``."""
    found = _COMMAND.match(text)
    if found is None:
        return ("DONE" if text.upper() == b"DONE" else UNKNOWN), text, ""
    verb = verb_of(found[2], piece, found.start(2))
    if verb == "UID" and found[3]:
        verb = "UID " + verb_of(found[3], piece, found.start(3))
    secret = any(a < piece.fragment.start + found.end(1) for a, _ in piece.fragment.secrets)
    return verb, text, "" if secret else found[1][:TAG_LIMIT].decode("utf-8", "replace")
