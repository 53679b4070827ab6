"""Which bytes of an IMAP command's or response's arguments are secret.

Knows: LOGIN (RFC 3501 6.2.3), ID (RFC 2971), URLs with an access token (RFC 4467), METADATA values (RFC 5464).
Must not know: the course of a conversation; that is imap.py's. Everything here sees one line at a time, without its
ending, and gives spans of the stream: ``start`` is the offset of the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rawlog.protocols.framing import Span

LITERAL = re.compile(rb"~?\{(\d{1,19})(\+?)\}\Z")  # RFC 3501, 7888, 3516; at the end of a line

_QUOTED = re.compile(rb'"(?:[^"\\\r\n]|\\.)*"', re.DOTALL)
_ATOM = re.compile(rb'[^\s"(){}\x00-\x1f\x7f]+')
_BLANKS = re.compile(rb"[ \t]*")
_NO_NAME = re.compile(rb"[\r\n]|(?:LOGIN|AUTHENTICATE)\s", re.IGNORECASE)  # a command the server did not take for one
_URL = re.compile(rb';urlauth=([^\s"]*)', re.IGNORECASE)  # access:mechanism:token
_CATENATED_URL = re.compile(rb"\bURL[ \t]+~?\{\d+\+?\}\Z", re.IGNORECASE)
_ID_LIST = re.compile(
    rb'(?:NIL|\([ \t]*(?:(?:"(?:[^"\\]|\\.)*"|NIL)[ \t]*)*(?:\)|~?\{\d+\+?\}))[ \t]*\Z', re.IGNORECASE
)
_ID_ITEM = re.compile(rb'"(?:[^"\\]|\\.)*"|NIL', re.IGNORECASE)
_ID_SECRET = re.compile(rb"pass|secret|token|auth|cookie|key|credential|arguments|environment", re.IGNORECASE)
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*\\?)(?:"|\Z)')  # always finds its end: no second try from the next quote


def before_literal(text: bytes) -> int:
    """Where the announcement of a literal at the end of a line begins; the line's length when there is none."""
    literal = LITERAL.search(text)
    return literal.start() if literal else len(text)


class Login:
    """The arguments of one LOGIN, line by line: the first is the user's name, everything behind it is secret.

    ``name_follows`` is set while the literal announced by the last line is the name. ``user`` is the name when the
    command was well-formed.
    """

    def __init__(self) -> None:
        self.name_follows = False
        self._count = 0
        self._name: bytes | None = None
        self._name_at: Span | None = None
        self._malformed = False

    @property
    def user(self) -> bytes | None:
        return self._name if self._count == 2 and not self._malformed else None

    def line(self, text: bytes, at: int, start: int) -> list[Span]:
        """The arguments from ``at`` on."""
        self.name_follows = False
        spans: list[Span] = []
        begin = at = _skip_blanks(text, at)
        stop = before_literal(text)
        while at < stop and not self._malformed:
            end = self._word(text, at, start)
            if self._count > 1:
                spans.append((start + at, start + end))
            at = _skip_blanks(text, end)
        if stop < len(text):
            self._count += 1
            self.name_follows = self._count == 1
        if self._malformed or self._count > 2:
            return [*self._whole_name(), (start + begin, start + stop)]
        return spans

    def literal(self, start: int, data: bytes | None) -> None:
        """The literal that is the name, at offset ``start``; None: too long for a name."""
        self._name = data
        self._malformed = data is None or _NO_NAME.search(data) is not None
        self._name_at = (start, start + len(data or b""))

    def end(self) -> list[Span]:
        """The command is complete. An argument that is alone may be the password."""
        return self._whole_name() if self._count < 2 or self._malformed else []

    def _word(self, text: bytes, at: int, start: int) -> int:
        """The argument at ``at``; gives where it ends."""
        self._count += 1
        word = _QUOTED.match(text, at) or _ATOM.match(text, at)
        if word is None or text[word.end() : word.end() + 1] not in (b"", b" ", b"\t"):
            self._malformed = True
            return len(text)
        if self._count == 1:
            self._name, self._name_at = _unquote(word[0]), (start + at, start + word.end())
        return word.end()

    def _whole_name(self) -> list[Span]:
        return [] if self._name_at is None else [self._name_at]


def has_secret_literal(verb: bytes, text: bytes) -> bool:
    """Whether the literal at the end of a line of the command ``verb``, or of such a response, is secret."""
    return verb in _SECRETS and (verb != b"APPEND" or _CATENATED_URL.search(text) is not None)


def may_hold_secret(verb: bytes) -> bool:
    """Whether ``secrets_in`` looks for anything in this command or response."""
    return verb in _SECRETS


def secrets_in(verb: bytes, text: bytes, at: int | None, start: int) -> list[Span]:
    """The secrets in a line of the command ``verb``, or of such a response: from ``at`` on.

    None for the lines that go on behind a literal.
    """
    find = _SECRETS.get(verb)
    return [] if find is None else [(start + a, start + b) for a, b in find(text, at) if a < b]


def _url_tokens(text: bytes, at: int | None) -> Iterator[Span]:
    for url in _URL.finditer(text, at or 0):
        token = url[1].split(b":", 2)[2:]
        if token:
            yield url.end() - len(token[0]), url.end()


def _values(text: bytes, at: int | None) -> Iterator[Span]:
    """The values of METADATA entries; entries begin with a slash, whether they are quoted or not."""
    begin = 0 if at is None else text.find(b"(", at)
    if begin >= 0:
        yield from (string.span(1) for string in _STRING.finditer(text, begin) if not string[1].startswith(b"/"))


def _id_fields(text: bytes, at: int | None) -> Iterator[Span]:
    """The values of ID's fields that hold credentials, or command lines; of what is malformed, all."""
    begin = _skip_blanks(text, at or 0)
    if at is None or not _ID_LIST.match(text, begin):
        yield begin, before_literal(text)
        return
    items = [item.span() for item in _ID_ITEM.finditer(text, begin)]
    for field, (a, b) in zip(items[::2], items[1::2], strict=False):
        if text[a] == ord('"') and _ID_SECRET.search(text, *field):
            yield a + 1, b - 1


_SECRETS = {
    b"APPEND": _url_tokens,  # CATENATE, RFC 4469
    b"GENURLAUTH": _url_tokens,
    b"ID": _id_fields,
    b"METADATA": _values,
    b"SETMETADATA": _values,
    b"URLFETCH": _url_tokens,
}


def _skip_blanks(text: bytes, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at


def _unquote(word: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", word[1:-1], flags=re.DOTALL) if word[:1] == b'"' else word
