"""Which protocol a recording speaks, and which direction is the client's: from its first lines.

Knows: how conversations begin, from the greeting on or behind the login, as ``rawlog_dir`` records them. Must not know:
files, formats, the grammars. It is a guess; whoever knows better says so and does not ask.
"""

from __future__ import annotations

import re

from rawlog.events import Direction

_SERVER = (
    ("smtp", re.compile(rb"[2-5][0-9][0-9][ -]")),
    ("pop3", re.compile(rb"(?:\+OK|-ERR)\b")),
    ("managesieve", re.compile(rb'"|(?:OK|NO|BYE)\b', re.IGNORECASE)),
    ("imap", re.compile(rb'[*+] |[^\s"(){%*+\\]+ (?:OK|NO|BAD)\b', re.IGNORECASE)),
)
_CLIENT = (
    ("lmtp", re.compile(rb"LHLO\b", re.IGNORECASE)),
    ("smtp", re.compile(rb"(?:(?:EHLO|HELO|BDAT|RSET|VRFY|DATA|XCLIENT)\b|MAIL FROM:|RCPT TO:)", re.IGNORECASE)),
    ("pop3", re.compile(rb"(?:USER|PASS|APOP|STAT|UIDL|RETR|TOP|DELE|STLS|CAPA)\b", re.IGNORECASE)),
    (
        "managesieve",
        re.compile(
            rb"(?:AUTHENTICATE|CAPABILITY|HAVESPACE|PUTSCRIPT|LISTSCRIPTS|SETACTIVE|GETSCRIPT|DELETESCRIPT|RENAMESCRIPT"
            rb"|CHECKSCRIPT|UNAUTHENTICATE)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "imap",
        re.compile(
            rb"[^\s(){%*\"\\+]+ (?:CAPABILITY|NOOP|LOGOUT|STARTTLS|AUTHENTICATE|LOGIN|ENABLE|ID|COMPRESS|SELECT|EXAMINE"
            rb"|CREATE|DELETE|RENAME|SUBSCRIBE|UNSUBSCRIBE|LIST|LSUB|NAMESPACE|STATUS|APPEND|IDLE|CHECK|CLOSE|UNSELECT"
            rb"|EXPUNGE|SEARCH|SORT|THREAD|FETCH|STORE|COPY|MOVE|UID|GETQUOTA|GETQUOTAROOT|GETMETADATA|NOTIFY)\b",
            re.IGNORECASE,
        ),
    ),
)

_LINES = 5
"""So many lines of the client are looked at: the first ones may say nothing (NOOP, QUIT, STARTTLS)."""


def guess_protocol(first_in: bytes, first_out: bytes) -> tuple[str | None, Direction]:
    """The protocol by name (None: no idea) and the client's direction, from the first bytes of IN and OUT.

    The client's direction is OUT in a recording of a leg towards a remote server, as Dovecot makes it of an LMTP proxy
    or of a submission relay. Without any sign it is IN. Either text may be empty.

    >>> guess_protocol(b"LHLO client.example.com\\r\\n", b"220 ready\\r\\n")
    ('lmtp', <Direction.IN: 'in'>)
    """
    away = not _server(first_out) and bool(_server(first_in) or (not _client(first_in) and _client(first_out)))
    from_client, from_server = (first_out, first_in) if away else (first_in, first_out)
    server, client = _server(from_server), _client(from_client)
    direction = Direction.OUT if away else Direction.IN
    if server == "smtp":
        lmtp = client == "lmtp" or b"LMTP" in from_server.partition(b"\n")[0].upper()
        return ("lmtp" if lmtp else "smtp"), direction
    return server or client, direction


def _server(text: bytes) -> str | None:
    return next((name for name, pattern in _SERVER if pattern.match(text)), None)


def _client(text: bytes) -> str | None:
    for line in text.split(b"\n", _LINES)[:_LINES]:
        for name, pattern in _CLIENT:
            if pattern.match(line):
                return name
    return None
