"""SMTP: what holds for every session."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.protocols.smtp import SmtpFramer
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
    texts,
)


def _begin(mechanism: bytes, initial: bytes | None) -> bytes:
    return b"AUTH " + mechanism + (b"" if initial is None else b" " + initial) + b"\r\n"


def _auth(verdict: bytes) -> st.SearchStrategy[Exchange]:
    return dialogues(_begin, lambda data: b"334 " + data + b"\r\n", lambda data: data + b"\r\n", verdict)


def _data(lines: list[bytes]) -> Exchange:
    text = b"".join((b"." if line[:1] == b"." else b"") + line + b"\r\n" for line in lines)
    return [
        (C, b"DATA\r\n"),
        (S, b"354-go\r\n354 on\r\n"),
        (C, b"AUTH PLAIN text\r\n" + text + b".\r\n"),
        (S, b"250 ok\r\n"),
    ]


def _smuggled(ending: bytes) -> Exchange:
    text = b"text" + ending + b"AUTH " + secret(b"PLAIN abc\r\nabc\n.\nNOOP\r\n") + b".\r\n"
    return [(C, b"DATA\r\n"), (S, b"354 go on\r\n"), (C, text), (S, b"250 ok\r\n")]


def _chunk(data: bytes, last: bytes) -> Exchange:
    return [(C, b"BDAT %d%b\r\n" % (len(data), last) + data), (S, b"250 ok\r\n")]


_ENDINGS = [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n"]

_mail = st.one_of(
    texts.map(_data),
    st.builds(_chunk, st.binary(max_size=20).map(plain), st.sampled_from([b"", b" LAST"])),
    st.sampled_from(_ENDINGS).map(_smuggled),
    st.sampled_from(
        [
            [(C, b"MAIL FROM:<a@b>\r\n"), (S, b"250 ok\r\n")],
            [(C, b"RCPT TO:<a@b> XRCPTFORWARD=" + secret(b"YT1i") + b"\r\n"), (S, b"250 ok\r\n")],
            [(C, b"STARTTLS\r\n"), (S, b"454 no\r\n")],
            [(C, b"BURL imap://x/;urlauth=a:internal:" + secret(b"abc") + b" LAST\r\n"), (S, b"250 ok\r\n")],
            [(C, b"EHLO x\r\n"), (S, b"250-x\r\n250-AUTH PLAIN\r\n250 SIZE\r\n")],
        ]
    ),
)


def _unknown(line: bytes) -> Exchange:
    return [(C, secret(b"Z" + line) + b"\r\n"), (S, b"500 what\r\n")]


def _login(user: str) -> st.SearchStrategy[Exchange]:
    return passwords.map(
        lambda password: [
            (C, b"AUTH PLAIN " + message(b"\0" + user.encode() + b"\0" + password) + b"\r\n"),
            (S, b"235 in\r\n"),
        ]
    )


_GREETING: Exchange = [(S, b"220-x\r\n220 ready\r\n")]
_BEFORE = st.one_of(_mail, _auth(b"535 no\r\n"), passwords.map(_unknown))
_SESSIONS = sessions(_GREETING, _BEFORE, _login, _mail)

_TOKENS = [
    *b"220 |250-|250 |334 |354 |235 |535 |AUTH |PLAIN|DATA|BDAT 4|LAST|STARTTLS|EHLO x|MAIL FROM:<>".split(b"|"),
    *b"\r|\n|.|.\r\n|\n.\n| |*|=|YWJj|\x16|\0".split(b"|"),
    *[b"\r\n"] * 4,
    b"DATA\r\n",
    b"354 go\r\n",
    b"AUTH PLAIN\r\n",
    b"235 ok\r\n",
]


@settings(**kept())
@given(_SESSIONS, st.data())
def test_session(session: Session, data: st.DataObject) -> None:
    keeps_promises(session, SmtpFramer, data)


@settings(**kept())
@given(rubbish(_TOKENS), st.data())
def test_rubbish(pieces: list[Piece], data: st.DataObject) -> None:
    survives(pieces, SmtpFramer, data)
