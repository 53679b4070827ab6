"""What must stand in a line, word for word, so that a regular expression can match it.

Knows: as much of Python's expressions as it takes to be sure; where in doubt there is nothing. Must not know: where it
is looked for. Finding a fixed text is many times as fast as trying an expression.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    rb"(?P<class>\[\^?\]?(?:[^\]\\]|\\.)*\])|(?P<escape>\\.)|(?P<open>\((?:\?[^)]?)?)|(?P<close>\))|(?P<or>\|)"
    rb"|(?P<repeat>[*+?]|\{[0-9,]*\})|(?P<any>[.^$])|(?P<plain>.)",
    re.DOTALL,
)
_PLAIN_ESCAPE = re.compile(rb"\\[^A-Za-z0-9]", re.DOTALL)  # \. is a dot; \d, \b, \n and \1 are something else
_KNOWN_GROUPS = (b":", b"=", b"!", b"<", b"P", b">")
_PLUS = b"+"


def literal_in(pattern: bytes) -> bytes:
    """The longest text that every match of ``pattern`` holds; empty where none is certain.

    >>> literal_in(rb'^Message-ID: <.*@example\\.com>')
    b'Message-ID: <'
    """
    runs: list[bytes] = [b""]
    depth = 0
    previous = b""  # the character that a repetition would be about
    for token in _TOKEN.finditer(pattern):
        kind, text = token.lastgroup, token[0]
        if kind == "or" and depth == 0:
            return b""
        if kind == "open" and text[1:2] == b"?" and text[2:] not in _KNOWN_GROUPS:
            return b""  # flags and conditions may change the meaning of everything
        depth += (kind == "open") - (kind == "close")
        plain = text[-1:] if kind == "plain" or (kind == "escape" and _PLAIN_ESCAPE.fullmatch(text)) else b""
        if kind == "repeat" and text != _PLUS and previous:
            runs[-1] = runs[-1][:-1]
        if depth == 0 and plain and plain != b"\n":
            runs[-1] += plain
            previous = plain
        else:
            runs.append(b"")
            previous = b""
    return max(runs, key=len)
