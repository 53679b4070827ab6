"""Whole recordings with pseudonyms: nothing planted is left, and everything stays where it was."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import pytest

from rawlog.dialogue.exchange import exchanges
from rawlog.dialogue.pseudonyms import LIMITS, hidden_details, hidden_mark, hidden_path, pseudonymous
from rawlog.dialogue.pseudonyms_names import Names
from rawlog.dialogue.pseudonyms_text import Text
from rawlog.dialogue.pseudonyms_vocabulary import VOCABULARY
from rawlog.dialogue.sharing import shareable
from rawlog.dialogue.whole import take_whole
from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.protocols.registry import FRAMERS
from tests.support.canaries import leaks
from tests.support.conversation import Conversation, Piece, conversations

IN, OUT = Direction.IN, Direction.OUT
NAMES = Names(b"k" * 32)
TALKS = [(protocol, talk) for protocol in FRAMERS for talk in conversations(protocol)]

PLANTED = [
    b"wilhelmina@kestrel.example",
    b"wilhelmina",
    b"kestrel",
    b"Wilhelmina",
    b"zeppelin",
    b"marmalade",
    b"203.0.113.77",
]
MAIL = (
    b"Received: from kestrel.example ([203.0.113.77]) by kestrel with ESMTP; Sun, 22 Nov 2026 22:06:57 +0000\r\n"
    b"From: Wilhelmina <wilhelmina@kestrel.example>\r\nSubject: zeppelin\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\nContent-Type: text/plain\r\n\r\nmarmalade\r\n"
    b"--bb\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode(b"wilhelmina@kestrel.example zeppelin")
    + b"\r\n--bb--\r\n"
)
SIZE = b"%d" % len(MAIL)
PLANTED_TALKS: dict[str, list[Piece]] = {
    "imap": [
        (OUT, b"* OK kestrel ready for 203.0.113.77\r\n"),
        (IN, b"a1 LOGIN wilhelmina@kestrel.example marmalade-zeppelin\r\n"),
        (OUT, b"a1 OK wilhelmina logged in\r\n"),
        (IN, b'a2 CREATE "Zeppelin.marmalade"\r\na3 APPEND zeppelin (\\Seen) {' + SIZE + b"+}\r\n" + MAIL + b"\r\n"),
        (OUT, b'* LIST () "." zeppelin\r\na2 NO zeppelin exists\r\na3 OK\r\n'),
        (IN, b'a4 FETCH 1 (ENVELOPE BODYSTRUCTURE BODY[])\r\na5 SEARCH FROM "wilhelmina" BODY {9}\r\n'),
        (OUT, b'* 1 FETCH (ENVELOPE ("Sun, 22 Nov 2026 22:06:57 +0000" "zeppelin" (("Wilhelmina" NIL "wilhelmina" '
              b'"kestrel.example")) NIL NIL NIL NIL NIL NIL "<marmalade@kestrel>") BODYSTRUCTURE (("text" "plain" '
              b'("name" "zeppelin.txt") NIL NIL "7bit" 9 1) "mixed" ("boundary" "bb")) BODY[] {' + SIZE + b"}\r\n"
              + MAIL + b")\r\na4 OK\r\n+ OK\r\n"),
        (IN, b"marmalade\r\n"),
        (OUT, b"* SEARCH 1\r\na5 OK\r\n"),
    ],
    "pop3": [
        (OUT, b"+OK kestrel <12.34@kestrel.example>\r\n"),
        (IN, b"USER wilhelmina\r\nPASS marmalade\r\n"),
        (OUT, b"+OK\r\n+OK Logged in, wilhelmina\r\n"),
        (IN, b"LIST\r\nRETR 1\r\n"),
        (OUT, b"+OK 1 messages\r\n1 500\r\n.\r\n+OK " + SIZE + b" octets\r\n" + MAIL + b".\r\n"),
    ],
    "smtp": [
        (OUT, b"220 kestrel.example ESMTP\r\n"),
        (IN, b"EHLO zeppelin.example\r\nMAIL FROM:<wilhelmina@kestrel.example>\r\n"
             b"RCPT TO:<zeppelin@marmalade.example>\r\nDATA\r\n"),
        (OUT, b"250-kestrel.example, hello [203.0.113.77]\r\n250 SIZE\r\n250 ok\r\n250 zeppelin ok\r\n354 go\r\n"),
        (IN, MAIL + b".\r\nBDAT " + SIZE + b" LAST\r\n" + MAIL),
        (OUT, b"250 queued for wilhelmina\r\n250 ok\r\n"),
    ],
    "managesieve": [
        (OUT, b'"IMPLEMENTATION" "Dovecot Pigeonhole"\r\n"OWNER" "wilhelmina"\r\nOK\r\n'),
        (IN, b'PUTSCRIPT "zeppelin" {34+}\r\nfileinto "marmalade"; # wilhelmina\r\n'),
        (OUT, b'NO "script zeppelin is bad"\r\n"zeppelin" ACTIVE\r\nOK\r\n'),
    ],
}  # fmt: skip
PLANTED_TALKS["lmtp"] = [(d, data.replace(b"EHLO", b"LHLO")) for d, data in PLANTED_TALKS["smtp"]]


def recording(pieces: Iterable[Piece], protocol: str, *, timed: bool = True) -> Recording:
    events: list[Event] = [Chunk(at if timed else None, where, data) for at, (where, data) in enumerate(pieces)]
    return Recording("x", events, timed=timed, protocol=protocol)


def everything(made: Recording) -> bytes:
    return b"\n".join(e.data if isinstance(e, Chunk) else repr(e).encode() for e in made.events)


def cuts(made: Recording) -> object:
    whole = take_whole(made)
    assert whole is not None
    return {d: [(f.kind, f.start, f.end) for f in whole.fragments[d]] for d in Direction}


@pytest.mark.parametrize("untimed", [False, True])
@pytest.mark.parametrize("protocol", PLANTED_TALKS)
def test_nothing_planted_is_left(protocol: str, untimed: bool) -> None:
    pieces = sorted(PLANTED_TALKS[protocol], key=lambda p: p[0].value) if untimed else PLANTED_TALKS[protocol]
    original = recording(pieces, protocol, timed=not untimed)
    made = pseudonymous(original, NAMES)
    text = everything(made.recording)
    for word in PLANTED:
        assert leaks(word, text) == []
        assert NAMES.word(b"zeppelin") in text
    assert cuts(made.recording) == cuts(shareable(original).recording)
    assert made.replaced.total() > 0


@pytest.mark.parametrize("protocol", PLANTED_TALKS)
@pytest.mark.parametrize("alone", Direction)
def test_nothing_planted_is_left_in_one_half_alone(protocol: str, alone: Direction) -> None:
    pieces = [piece for piece in PLANTED_TALKS[protocol] if piece[0] is alone]
    text = everything(pseudonymous(recording(pieces, protocol, timed=False), NAMES).recording)
    assert [word for word in PLANTED if leaks(word, text)] == []


def test_keys() -> None:
    original = recording(PLANTED_TALKS["imap"], "imap")
    one, same, other = (everything(pseudonymous(original, Names(key)).recording) for key in (b"k", b"k", b"l"))
    assert one == same != other


@pytest.mark.parametrize(("protocol", "talk"), TALKS, ids=lambda value: str(value)[:60])
def test_every_conversation_is_cut_as_before(protocol: str, talk: Conversation) -> None:
    original = recording(talk.pieces, protocol)
    safe, made = shareable(original).recording, pseudonymous(original, NAMES).recording
    assert [(e.at, len(e.data)) for e in made.events if isinstance(e, Chunk)] == [
        (e.at, len(e.data)) for e in safe.events if isinstance(e, Chunk)
    ]
    assert cuts(made) == cuts(safe)
    asked, now = list(exchanges(safe)), list(exchanges(made))
    assert [e.status for e in now] == [e.status for e in asked]
    for old, new in zip(asked, now, strict=True):
        assert old.verb == new.verb or old.verb.lower().encode() not in VOCABULARY


def test_marks() -> None:
    text = Text(NAMES)
    mark = hidden_mark(Mark(5, "login", {"user": "wilhelmina"}), text)
    assert mark == Mark(5, "login", {"user": NAMES.word(b"wilhelmina").decode()})
    tls = {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "protocol": "imap"}
    assert hidden_details(tls, text) == tls
    assert "kestrel" not in hidden_details({"sni": "kestrel.example", "cause": "no room at kestrel"}, text).values()
    made = pseudonymous(Recording("x", [Mark(1, "opened", {"client": "203.0.113.77:4"})]), NAMES).recording
    assert "203.0.113.77" not in repr(list(made.events))


@pytest.mark.parametrize("path", ["20261122-104500.77.1", "20261122-104500.77.1.in", "20261122-104500-77.2.out"])
def test_names_of_files_that_name_nobody_stay(path: str) -> None:
    assert hidden_path(path, Text(NAMES)) == path


@pytest.mark.parametrize(
    ("path", "ending"),
    [
        ("wilhelmina/203.0.113.77-20261122-104500-77.in", "-20261122-104500-77.in"),
        ("wilhelmina.rawlog", ".rawlog"),
        ("wilhelmina@kestrel.example/20261122-104500.77.1", "/20261122-104500.77.1"),
    ],
)
def test_names_in_names_of_files_go(path: str, ending: str) -> None:
    made = hidden_path(path, Text(NAMES))
    assert len(made) == len(path) and made.endswith(ending)
    assert not [word for word in PLANTED if word.decode() in made]


def test_what_is_not_hidden_is_said() -> None:
    assert len(LIMITS) >= 5
