"""LMTP: what holds for every session."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.protocols.lmtp import LmtpFramer
from tests.support.conversation import Piece
from tests.support.sessions import (
    C,
    Exchange,
    S,
    Session,
    keeps_promises,
    kept,
    passwords,
    rubbish,
    secret,
    sessions,
    survives,
    words,
)


def _delivery(accepted: list[bool], chunked: bool, text: bytes) -> Exchange:
    """A message to some recipients; each accepted one has its reply at the end."""
    steps: Exchange = [(C, b"MAIL FROM:<a@b>\r\n"), (S, b"250 ok\r\n")]
    for ok in accepted:
        steps += [(C, b"RCPT TO:<c@d>\r\n"), (S, b"250 ok\r\n" if ok else b"550-no\r\n550 no\r\n")]
    replies = b"".join(b"250 ok\r\n" if i % 2 == 0 else b"452-no\r\n452 no\r\n" for i in range(sum(accepted)))
    if not chunked and not any(accepted):
        return steps
    if not chunked:
        return [*steps, (C, b"DATA\r\n"), (S, b"354 go on\r\n"), (C, text + b"\r\n.\r\n"), (S, replies)]
    first = (C, b"BDAT %d\r\n" % len(text) + text)
    return [*steps, first, (S, b"250 ok\r\n"), (C, b"BDAT 1 last\r\n."), (S, replies or b"503 no recipients\r\n")]


def _unknown(line: bytes) -> Exchange:
    return [(C, secret(b"Z" + line) + b"\r\n"), (S, b"500 what\r\n")]


_deliveries = st.builds(_delivery, st.lists(st.booleans(), max_size=4), st.booleans(), words)
_SESSIONS = sessions(
    [(S, b"220 ready\r\n"), (C, b"LHLO x\r\n"), (S, b"250-x\r\n250 CHUNKING\r\n")],
    _deliveries | passwords.map(_unknown),
    None,
    st.nothing(),
)
_TLS: list[Exchange] = [[(C, b"STARTTLS\r\n"), (S, b"220 go\r\n")]]

_TOKENS = [
    *b"220 |250-|250 |354 |550 |DATA|BDAT 4|BDAT 4 LAST|STARTTLS|LHLO x|MAIL FROM:<>".split(b"|"),
    *b"\r|\n|.|.\r\n| |\x16|\0".split(b"|"),
    *[b"\r\n"] * 4,
    b"RCPT TO:<>\r\n",
    b"DATA\r\n",
    b"354 go\r\n",
    b"250 ok\r\n",
]


@settings(**kept())
@given(_SESSIONS, st.data())
def test_session(session: Session, data: st.DataObject) -> None:
    keeps_promises(session, LmtpFramer, data)


@settings(**kept(max_examples=30))
@given(_SESSIONS)
def test_every_reply_finds_its_command(session: Session) -> None:
    session.exchanges += _TLS
    framer = LmtpFramer(client=session.client)
    for direction, data in session.pieces():
        framer.feed(direction, data)
    assert framer.tls_started
    assert framer.unanswered() == 0


@settings(**kept())
@given(rubbish(_TOKENS), st.data())
def test_rubbish(pieces: list[Piece], data: st.DataObject) -> None:
    survives(pieces, LmtpFramer, data)
