"""POP3: what holds for every session."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.protocols.pop3 import Pop3Framer
from tests.support.conversation import Piece
from tests.support.sessions import (
    C,
    Exchange,
    S,
    Session,
    dialogues,
    keeps_promises,
    kept,
    message,
    passwords,
    rubbish,
    secret,
    sessions,
    survives,
    texts,
    words,
)


def _begin(mechanism: bytes, initial: bytes | None) -> bytes:
    return b"AUTH " + mechanism + (b"" if initial is None else b" " + initial) + b"\r\n"


def _auth(verdict: bytes) -> st.SearchStrategy[Exchange]:
    return dialogues(_begin, lambda data: b"+ " + data + b"\r\n", lambda data: data + b"\r\n", verdict)


def _block(lines: list[bytes]) -> bytes:
    return b"".join((b"." if line[:1] == b"." else b"") + line + b"\r\n" for line in lines) + b".\r\n"


_listing = st.builds(
    lambda command, lines: [(C, command), (S, b"+OK\r\n" + _block(lines))],
    st.sampled_from([b"RETR 1\r\n", b"TOP 1 0\r\n", b"LIST\r\n", b"uidl\r\n", b"CAPA\r\n", b"AUTH\r\n"]),
    texts,
)
_short = st.sampled_from(
    [
        [(C, b"STAT\r\n"), (S, b"+OK 1 2\r\n")],
        [(C, b"RETR 9\r\n"), (S, b"-ERR no such message\r\n")],
        [(C, b"LIST 1\r\n"), (S, b"+OK 1 2\r\n")],
        [(C, b"STLS\r\n"), (S, b"-ERR no\r\n")],
        [(C, b"XCLIENT ADDR=1 FORWARD=" + secret(b"YT1i") + b"\r\n"), (S, b"+OK\r\n")],
    ]
)


def _pass(user: bytes, password: bytes, verdict: bytes) -> Exchange:
    return [
        (C, b"USER " + user + b"\r\n"),
        (S, b"+OK\r\n"),
        (C, b"PASS " + secret(password) + b"\r\n"),
        (S, verdict),
    ]


def _unknown(line: bytes) -> Exchange:
    return [(C, secret(b"Z" + line) + b"\r\n"), (S, b"-ERR what\r\n")]


def _login(user: str) -> st.SearchStrategy[Exchange]:
    name = user.encode()
    return st.one_of(
        passwords.map(lambda password: _pass(name, password, b"+OK in\r\n")),
        words.map(lambda digest: [(C, b"APOP " + name + b" " + secret(digest) + b"\r\n"), (S, b"+OK in\r\n")]),
        passwords.map(
            lambda password: [
                (C, b"AUTH PLAIN\r\n"),
                (S, b"+ \r\n"),
                (C, message(b"\0" + name + b"\0" + password) + b"\r\n"),
                (S, b"+OK in\r\n"),
            ]
        ),
    )


_SESSIONS = sessions(
    [(S, b"+OK ready\r\n")],
    st.one_of(
        _short,
        _listing,
        _auth(b"-ERR no\r\n"),
        passwords.map(_unknown),
        passwords.map(lambda password: _pass(b"mallory", password, b"-ERR no\r\n")),
    ),
    _login,
    st.one_of(_short, _listing),
)

_TOKENS = [
    *b"+OK|-ERR|+ |AUTH |PLAIN|USER |PASS |APOP |STLS|RETR 1|LIST|CAPA|\r|\n|.\r\n| |*|=|YWJj|\x16".split(b"|"),
    *[b"\r\n"] * 4,
    b"+OK\r\n",
    b"AUTH PLAIN\r\n",
    b"+OK Logged in.\r\n",
]


@settings(**kept())
@given(_SESSIONS, st.data())
def test_session(session: Session, data: st.DataObject) -> None:
    keeps_promises(session, Pop3Framer, data)


@settings(**kept())
@given(rubbish(_TOKENS), st.data())
def test_rubbish(pieces: list[Piece], data: st.DataObject) -> None:
    survives(pieces, Pop3Framer, data)
