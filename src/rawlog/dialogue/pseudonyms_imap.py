"""The lines of IMAP with their words replaced, and what the literals behind them are.

Knows: which arguments are names of mailboxes and users, what is a MIME word in a BODYSTRUCTURE, which literals hold a
message (RFC 9051; 2971 for ID). Must not know: messages, fragments. Whatever is not known to be the protocol's own is
replaced.
"""

from __future__ import annotations

import re

from rawlog.dialogue.pseudonyms_mail import Message
from rawlog.dialogue.pseudonyms_text import DATE, Text
from rawlog.dialogue.pseudonyms_vocabulary import ID_FIELDS, ID_SHOWN, MIME_PARAMETERS, MIME_TYPES, MIME_WORDS

_PIECES = re.compile(
    rb"(?P<section>(?:BODY|BINARY|RFC822)[A-Z.]*\[[^\]\r\n]*\](?:<[0-9.]+>)?)"
    rb'|(?P<quoted>"(?:[^"\\\r\n]|\\.)*")'
    rb"|(?P<literal>~?\{[0-9]+\+?\}(?=\r?\n?\Z))"
    rb"|(?P<paren>[()])|(?P<space>[ \t]+)|(?P<end>[\r\n]+\Z)|(?P<atom>[^\s()\"]+)",
    re.IGNORECASE,
)
_BEGINNING = re.compile(rb"([^\s]+)[ \t]+(?:UID[ \t]+)?([A-Z0-9]+)?", re.IGNORECASE)
_PLAIN_TAG = re.compile(rb"[A-Za-z]{0,4}[0-9]+(?:\.[0-9]+)*[a-z]?|[A-Za-z]{1,2}|[*+]")
_TAGGED = re.compile(rb"[^\s]+(?=[ \t]+(?:OK|NO|BAD)\b)", re.IGNORECASE)
_MESSAGE = re.compile(
    rb"(?P<item>BODY|BINARY|RFC822)(?P<part>[A-Z.]*)(?:\[(?P<section>[^\]]*)\])?(?:<(?P<origin>[0-9]+)>)?[ \t]*"
    rb"~?\{[0-9]+\+?\}\r?\n?\Z",
    re.IGNORECASE,
)
_KIND = "names and strings in commands and answers"

_FIRST = frozenset((0,))
_TWO = frozenset((0, 1))
_NAMES: dict[bytes, frozenset[int]] = {
    **dict.fromkeys(
        b"SELECT EXAMINE CREATE DELETE SUBSCRIBE UNSUBSCRIBE STATUS APPEND GETQUOTAROOT GETQUOTA SETQUOTA GETACL "
        b"MYRIGHTS SETMETADATA LOGIN PROXYAUTH QUOTA METADATA".split(),
        _FIRST,
    ),
    **dict.fromkeys(b"RENAME GETMETADATA DELETEACL SETACL LISTRIGHTS ACL QUOTAROOT".split(), _TWO),
    **dict.fromkeys(b"LIST LSUB XLIST".split(), frozenset((0, 1, 2))),
    **dict.fromkeys(b"COPY MOVE".split(), frozenset((1,))),
}
"""Which arguments of a command or an answer are names, counted from 0 behind its verb."""

_AREAS = frozenset((b"ENVELOPE", b"BODYSTRUCTURE", b"BODY"))


class ImapSide:
    """One side of an IMAP conversation, line by line. ``literal`` takes what a line announced."""

    def __init__(self, text: Text, *, client: bool) -> None:
        self._text = text
        self._client = client
        self._verb = b""
        self._argument = 0  # the number of the next one, counted from 0
        self._depth = 0
        self._area = b""
        self._area_depth = 0
        self._last = b""  # the last atom or string, to see what a string belongs to
        self._message: Message | None = None

    def line(self, line: bytes, *, goes_on: bool) -> bytes:
        """A line, replaced; ``goes_on`` when it follows a literal."""
        begun, at = (b"", 0) if goes_on else self._begin(line)
        made = begun + _PIECES.sub(self._piece, line[at:])
        self._message = self._message_behind(line)
        return made

    def literal(self, data: bytes) -> bytes:
        """The literal that the last line announced."""
        if self._message is None:
            self._last = b""
            return self._text.content(data, _KIND)
        return self._message.feed(data)

    def _begin(self, line: bytes) -> tuple[bytes, int]:
        """A new command or answer: its beginning, replaced, and where its arguments begin."""
        self._verb, self._argument, self._depth, self._area, self._last = b"", -1, 0, b"", b""
        if not self._client and line[:1] not in (b"*", b"+"):
            tagged = _TAGGED.match(line)
            return (self._tag(tagged[0]), tagged.end()) if tagged else (b"", 0)
        found = _BEGINNING.match(line)
        if found is None:
            return b"", 0
        word = found[2] or b""
        if self._text.free(word) != word:
            return self._tag(found[1]), found.end(1)
        self._verb = word.upper()
        return self._tag(found[1]) + line[found.end(1) : found.end()], found.end()

    def _tag(self, tag: bytes) -> bytes:
        """A tag as programs make them stays; another one may be a word of somebody's mail that lost its place."""
        return tag if _PLAIN_TAG.fullmatch(tag) else self._text.content(tag, _KIND)

    def _piece(self, found: re.Match[bytes]) -> bytes:
        kind, token = found.lastgroup, found[0]
        if kind == "paren":
            return self._paren(token)
        if kind == "space":
            self._argument += self._depth == 0
            return token
        if kind == "quoted":
            made = self._quoted(token)
            self._last = token[1:-1].lower()
            return made
        if kind == "atom":
            return self._atom(token)
        return token

    def _paren(self, token: bytes) -> bytes:
        if token == b"(":
            if self._last.upper() in _AREAS and not self._area:
                self._area, self._area_depth = self._last.upper(), self._depth
            self._depth += 1
        else:
            self._depth = max(0, self._depth - 1)
            if self._area and self._depth <= self._area_depth:
                self._area = b""
        self._last = token
        return token

    def _is_name(self) -> bool:
        return self._depth == 0 and self._argument in _NAMES.get(self._verb, ())

    def _atom(self, token: bytes) -> bytes:
        self._last = token.lower()
        if self._is_name() and token.upper() != b"RETURN":
            return self._text.content(token, _KIND)
        return self._text.free(token)

    def _quoted(self, token: bytes) -> bytes:
        inner = token[1:-1]
        if self._stays(inner.lower()) or DATE.fullmatch(inner):
            return token
        made = self._tag(inner) if self._last == b"tag" else self._text.content(inner, _KIND)
        return b'"' + made + b'"'

    def _stays(self, inner: bytes) -> bool:
        """Whether a string is the protocol's own, from where it stands."""
        if self._verb == b"ID":
            return inner in ID_FIELDS or self._last in ID_SHOWN
        if self._area in (b"BODYSTRUCTURE", b"BODY"):
            return inner in MIME_WORDS or self._last in MIME_PARAMETERS or self._last in MIME_TYPES
        return self._last == b"charset" and not self._is_name()

    def _message_behind(self, line: bytes) -> Message | None:
        """The message that the literal behind this line holds; None: it holds a name, or there is none."""
        if not line.rstrip(b"\r\n").endswith(b"}"):
            return None
        if self._client:
            is_mail = self._verb == b"APPEND" and self._argument > 0
            return Message(self._text, headers=True) if is_mail else None
        found = _MESSAGE.search(line)
        if found is None or self._area:
            return None
        section, part = (found["section"] or b"").upper(), found["part"].upper()
        whole = b"HEADER" in section or section.endswith(b"MIME") or (not section and part in (b"", b".HEADER"))
        return Message(self._text, headers=whole and found["origin"] in (None, b"0"))
