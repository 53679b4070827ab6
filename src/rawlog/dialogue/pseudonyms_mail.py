"""A message with its words replaced, header by header and line by line; its structure stays.

Knows: headers, the parts of MIME and their encodings (RFC 5322, 2045, 2046, 2047). Must not know: how the message came:
in DATA, in BDAT chunks, in a literal.

What stays: header names, dates, types, encodings, boundaries, line ends, and the number of bytes. A body whose encoding
nobody said is treated so that quoted-printable and base64 stay what they are.
"""

from __future__ import annotations

import re

from rawlog.dialogue.pseudonyms_text import ADDRESS, Text
from rawlog.dialogue.pseudonyms_vocabulary import MIME_PARAMETERS

_HEADER = re.compile(rb"([!-9;-~]+)[ \t]*:")
_PLAIN_HEADERS = frozenset(
    b"autocrypt bcc cc comments date from importance keywords lines newsgroups organization path "
    b"precedence priority received references sender sensitivity status subject to xref".split()
)
"""Header names of one word; another word before a colon may be one of somebody's text that lost its place."""

_PART_HEADER = re.compile(rb"Content-[A-Za-z-]+:", re.IGNORECASE)
_BOUNDARY = re.compile(rb'boundary="?([^";\r\n]+)', re.IGNORECASE)
_STRUCTURED = re.compile(
    rb"(?P<type>\A[ \t]*[A-Za-z0-9.+_-]+(?:/[A-Za-z0-9.+_-]+)?(?=[ \t]*(?:;|\r|\n|\Z)))"
    rb'|(?P<name>[A-Za-z0-9*-]+)=(?P<value>"(?:[^"\\\r\n]|\\.)*"?|[^;\s]*)'
    rb"|(?P<rest>[^\s;]+)"
)
_FREE = frozenset((b"date", b"resent-date", b"mime-version", b"content-transfer-encoding", b"received"))
_TYPED = frozenset((b"content-type", b"content-disposition"))
_ENCODING = re.compile(rb"base64|quoted-printable", re.IGNORECASE)


class Message:
    """One message, fed in pieces. ``headers``: it begins with its headers, else with a body."""

    def __init__(self, text: Text, *, headers: bool) -> None:
        self._text = text
        self._in_headers = headers
        self._header = b""
        self._encoding = b""
        self._boundaries: set[bytes] = set()

    def feed(self, data: bytes) -> bytes:
        """The next bytes, replaced; a line that goes on in the next piece is taken as two."""
        lines = data.splitlines(keepends=True) if b"\n" not in data else re.findall(rb"[^\n]*\n|[^\n]+", data)
        followers = [*lines[1:], b""]
        return b"".join(map(self._line, lines, followers))

    def _line(self, line: bytes, following: bytes) -> bytes:
        if self._in_headers:
            return self._header_line(line)
        if self._is_boundary(line, following):
            return line
        self._text.counts["lines of message bodies"] += 1
        self._text.counts["addresses"] += len(ADDRESS.findall(line))
        text = line.rstrip(b"\r\n")
        if b"\0" in text:
            return self._text.names.noise(text) + line[len(text) :]
        if self._encoding == b"base64":
            return self._text.names.base64(text) + line[len(text) :]
        return self._text.encoded(line)

    def _is_boundary(self, line: bytes, following: bytes) -> bool:
        """Whether a line of a body is between two parts; then the headers of the next part follow, or nothing."""
        if not line.startswith(b"--"):
            return False
        name = line[2:].rstrip()
        if _PART_HEADER.match(following):
            self._boundaries.add(name)
        if name in self._boundaries:
            self._in_headers, self._header, self._encoding = True, b"", b""
            return True
        if name.endswith(b"--") and name[:-2] in self._boundaries:
            self._encoding = b""
            return True
        return False

    def _header_line(self, line: bytes) -> bytes:
        if not line.strip():
            self._in_headers = False
            return line
        start = 0
        if line[:1] not in b" \t":
            found = _HEADER.match(line)
            found = found if found and (b"-" in found[1] or found[1].lower() in _PLAIN_HEADERS) else None
            self._header = found[1].lower() if found else b""
            start = found.end() if found else 0
        return line[:start] + self._value(line[start:])

    def _value(self, value: bytes) -> bytes:
        if self._header == b"content-transfer-encoding" and (encoding := _ENCODING.search(value)):
            self._encoding = encoding[0].lower()
        if self._header in _FREE:
            return self._text.free(value)
        if self._header not in _TYPED:
            return self._text.content(value, "lines of message headers")
        if boundary := _BOUNDARY.search(value):
            self._boundaries.add(boundary[1].rstrip())
        return _STRUCTURED.sub(self._piece, value)

    def _piece(self, found: re.Match[bytes]) -> bytes:
        """A piece of Content-Type or Content-Disposition."""
        if found["type"]:
            return found[0]
        if found["rest"]:
            return self._text.free(found[0])
        if found["name"].lower() in MIME_PARAMETERS:
            return found[0]
        return found["name"] + b"=" + self._text.content(found["value"], "lines of message headers")
