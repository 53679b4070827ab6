"""ManageSieve: what holds for every session."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.protocols.managesieve import ManageSieveFramer
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
    plain,
    rubbish,
    secret,
    sessions,
    survives,
    words,
)


def _literal(text: bytes, plus: bytes = b"+") -> bytes:
    """A SASL message as a literal; there its padding is masked too."""
    text = plain(text)
    return b"{%d%b}\r\n" % (len(text), plus) + secret(text)


def _string(text: bytes, plus: bytes = b"+") -> bytes:
    """A SASL message in quotes or in a literal, as its bytes decide."""
    return _literal(text, plus) if len(text) % 2 else b'"%b"' % text


def _begin(mechanism: bytes, initial: bytes | None) -> bytes:
    name = b'"%b"' % mechanism if len(mechanism) % 2 else b"{%d+}\r\n%b" % (len(mechanism), mechanism)
    return b"AUTHENTICATE " + name + (b"" if initial is None else b" " + _string(initial)) + b"\r\n"


def _auth(verdict: bytes) -> st.SearchStrategy[Exchange]:
    return dialogues(_begin, lambda data: _string(data, b"") + b"\r\n", lambda data: _string(data) + b"\r\n", verdict)


def _script(content: bytes) -> Exchange:
    content = plain(content)
    return [
        (C, b'PUTSCRIPT "x" {%d+}\r\n%b\r\n' % (len(content), content)),
        (S, b"OK (WARNINGS) {%d}\r\n%b\r\n" % (len(content), content)),
        (C, b"GETSCRIPT {1+}\r\nx\r\n"),
        (S, b"{%d}\r\n%b\r\nOK\r\n" % (len(content), content)),
    ]


_commands = st.one_of(
    st.binary(max_size=20).map(_script),
    st.sampled_from([b'AUTHENTICATE "PLAIN" "abc"\r\n', b"OK\r\n", b"{5}\r\n"]).map(_script),
    st.sampled_from(
        [
            [(C, b"LISTSCRIPTS\r\n"), (S, b'"one" ACTIVE\r\n"two"\r\n{3}\r\ntwo\r\nOK "done"\r\n')],
            [(C, b'NOOP "x"\r\n'), (S, b'OK (TAG {1}\r\nx) "done"\r\n')],
            [(C, b"STARTTLS\r\n"), (S, b'NO "no"\r\n')],
            [(C, b"XCLIENT FORWARD=" + secret(b"YT1i") + b"\r\n"), (S, b"OK\r\n")],
            [(C, b"capability\r\n"), (S, b'"SASL" "PLAIN"\r\n"STARTTLS"\r\nOK\r\n')],
        ]
    ),
)


def _unknown(line: bytes, literal: bytes) -> Exchange:
    return [
        (C, secret(b"Z " + line + b" {%d+}" % len(literal)) + b"\r\n" + secret(literal) + b"\r\n"),
        (S, b"NO\r\n"),
    ]


def _login(user: str) -> st.SearchStrategy[Exchange]:
    name = user.encode()
    return passwords.map(
        lambda password: [
            (C, b'AUTHENTICATE "PLAIN" ' + _string(message(b"\0" + name + b"\0" + password)) + b"\r\n"),
            (S, b'OK (SASL "' + message(password) + b'") "in"\r\n'),
        ]
    )


_SESSIONS = sessions(
    [(S, b'"IMPLEMENTATION" "x"\r\n"SASL" "PLAIN"\r\n"STARTTLS"\r\nOK "ready"\r\n')],
    st.one_of(_commands, _auth(b"NO (TRYLATER)\r\n"), st.builds(_unknown, passwords, words)),
    _login,
    _commands,
)

_TOKENS = [
    *b'OK|NO|BYE|"|"abc"|""| |(SASL |)|AUTHENTICATE|STARTTLS|LOGOUT|PUTSCRIPT|"PLAIN"'.split(b"|"),
    *b"{3+}|{3}|{0}|abc|\r|\n|\x16".split(b"|"),
    *[b"\r\n"] * 4,
    b"OK\r\n",
    b'AUTHENTICATE "PLAIN"\r\n',
    b'"YWJj"\r\n',
]


@settings(**kept())
@given(_SESSIONS, st.data())
def test_session(session: Session, data: st.DataObject) -> None:
    keeps_promises(session, ManageSieveFramer, data)


@settings(**kept())
@given(rubbish(_TOKENS), st.data())
def test_rubbish(pieces: list[Piece], data: st.DataObject) -> None:
    survives(pieces, ManageSieveFramer, data)
