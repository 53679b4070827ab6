"""The lines of POP3, SMTP, LMTP and ManageSieve with their words replaced, and what follows them.

Knows: which arguments are names in these protocols. Must not know: messages, fragments. Whatever is not known to be the
protocol's own is replaced.
"""

from __future__ import annotations

import re

from rawlog.dialogue.pseudonyms_mail import Message
from rawlog.dialogue.pseudonyms_text import Text

_ANGLE = re.compile(rb"<[^<>\r\n]*>")
_QUOTED = re.compile(rb'"(?:[^"\\\r\n]|\\.)*"')
_NAME_FOLLOWS = re.compile(rb"[ \t]*(?:EHLO|HELO|LHLO|VRFY|EXPN|ETRN|USER|APOP)[ \t]+", re.IGNORECASE)
_NEW_MESSAGE = re.compile(rb"[ \t]*(?:MAIL|RSET|DATA|EHLO|LHLO|HELO)\b", re.IGNORECASE)
_LAST_CHUNK = re.compile(rb"[ \t]*BDAT[ \t]+[0-9]+[ \t]+LAST\b", re.IGNORECASE)
_SIEVE_OWN = re.compile(
    rb'[ \t]*(?:AUTHENTICATE\b|NOTIFY\b|(?:OK|NO|BYE)\b|"(?:IMPLEMENTATION|SASL|SIEVE|STARTTLS|NOTIFY|VERSION'
    rb'|MAXREDIRECTS|EXTLISTS|LANGUAGE|UNAUTHENTICATE)")',
    re.IGNORECASE,
)
_LISTING = re.compile(rb"(?:[0-9]+ [0-9A-Fa-f]+\r?\n)*\.\r?\n?", re.DOTALL)
_HEADER_FIRST = re.compile(rb"[!-9;-~]+[ \t]*:")
_REPLY = re.compile(rb"[0-9]{3}[ -]")
_KIND = "names and strings in commands and answers"


class PlainSide:
    """One side of POP3, SMTP or LMTP. A literal is a chunk of BDAT (RFC 3030)."""

    def __init__(self, text: Text, *, client: bool) -> None:
        self._text = text
        self._client = client
        self._message = Message(text, headers=True)
        self._ended = False

    def line(self, line: bytes, *, goes_on: bool) -> bytes:
        """A line, replaced; ``goes_on`` when it follows a literal."""
        if self._client:
            if self._ended or _NEW_MESSAGE.match(line):
                self._message = Message(self._text, headers=True)
            self._ended = _LAST_CHUNK.match(line) is not None
            if found := _NAME_FOLLOWS.match(line):
                return line[: found.end()] + self._text.content(line[found.end() :], _KIND)
        code = _REPLY.match(line)
        kept = code.end() if code and not self._client else 0
        return line[:kept] + _around(_ANGLE, line[kept:], self._text)

    def literal(self, data: bytes) -> bytes:
        """A chunk; the chunks of one message follow each other."""
        return self._message.feed(data)

    def block(self, data: bytes) -> bytes:
        """A dot block: a message, or the list that answers a command of POP3."""
        if self._client or _HEADER_FIRST.match(data):
            return Message(self._text, headers=True).feed(data)
        return data if _LISTING.fullmatch(data) else self._text.free(data)


class SieveSide:
    """One side of ManageSieve. Scripts are read as free text: their words stay, their strings do not."""

    def __init__(self, text: Text, *, client: bool) -> None:
        self._text = text

    def line(self, line: bytes, *, goes_on: bool) -> bytes:
        """A line, replaced; ``goes_on`` when it follows a literal."""
        return self._text.free(line) if _SIEVE_OWN.match(line) else _around(_QUOTED, line, self._text)

    def literal(self, data: bytes) -> bytes:
        """A script, or a string."""
        return self._text.free(data)


def _around(pattern: re.Pattern[bytes], line: bytes, text: Text) -> bytes:
    """A line with all words replaced in what matches, and those that are not the protocol's own outside."""
    made: list[bytes] = []
    at = 0
    for found in pattern.finditer(line):
        made += (text.free(line[at : found.start()]), text.content(found[0], _KIND))
        at = found.end()
    return b"".join((*made, text.free(line[at:])))
