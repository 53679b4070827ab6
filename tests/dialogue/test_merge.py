"""A conversation without stamps is put in order: the same order as stamps would give."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.dialogue.merge import LINE_LIMIT, in_order
from rawlog.events import Chunk, Direction, Event, Recording
from rawlog.reading.opener import open_paths, open_recording
from tests.support import golden

IN, OUT = Direction.IN, Direction.OUT


def untimed(events: list[Chunk], protocol: str | None) -> Recording:
    halves = [
        Chunk(None, direction, b"".join(event.data for event in events if event.direction is direction))
        for direction in (IN, OUT)
    ]
    return Recording("test", [half for half in halves if half.data], timed=False, protocol=protocol)


def turns(recording: Recording) -> list[tuple[Direction, bytes]]:
    """What each side said until the other one spoke."""
    said: list[tuple[Direction, bytes]] = []
    for event in recording.events:
        assert isinstance(event, Chunk)
        if said and said[-1][0] is event.direction:
            said[-1] = event.direction, said[-1][1] + event.data
        else:
            said.append((event.direction, event.data))
    return said


def dialogue(text: str) -> list[Chunk]:
    lines = [line.strip() for line in text.strip().splitlines()]
    return [Chunk(None, IN if line[0] == "C" else OUT, line[3:].encode() + b"\r\n") for line in lines]


# Where a client sent several commands at once the order by stamps is another one; ciphertext has no order of lines.
ELSEWHERE = (
    "basic/20261122-220657",
    "postlogin_rawlog_t/",
    "postlogin_client_close/",
    "postlogin_kill9",
    "postlogin_term",
    "postlogin_dovecot_stop",
    "/proxy/20261122-221251",
    "/backend/",
)
RECORDINGS = [
    recording
    for recording in open_paths([golden.FOLDER])
    if recording.timed and recording.protocol and not any(part in recording.name for part in ELSEWHERE)
]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name.rpartition("golden/")[2])
def test_the_order_is_that_of_the_stamps(recording: Recording) -> None:
    events = [event for event in recording.events if isinstance(event, Chunk)]
    assert turns(in_order(untimed(events, recording.protocol))) == turns(recording)


def test_a_pair_without_stamps_is_put_in_order() -> None:
    recording = in_order(open_recording(golden.FOLDER / "postlogin_rawlog_plain/20261122-221430-7832.in"))
    said = [text.split()[:2] for _, text in turns(recording)]
    assert said == [
        [b"a1", b"OK"],
        [b"a2", b"NOOP"],
        [b"a2", b"OK"],
        [b"a3", b"NOOP"],
        [b"a3", b"OK"],
        [b"a4", b"NOOP"],
        [b"a4", b"OK"],
        [b"a5", b"NOOP"],
        [b"a5", b"OK"],
        [b"a6", b"APPEND"],
        [b"a6", b"OK"],
        [b"a7", b"LOGOUT"],
        [b"*", b"BYE"],
    ]
    assert list(recording.events) == list(recording.events)


DIALOGUES = [
    (
        "imap",
        """
        S: * OK ready
        C: a1 LOGIN {5}
        S: + go
        C: alice {3}
        S: + go
        C: pwd
        S: a1 NO wrong
        C: a2 AUTHENTICATE PLAIN
        S: +
        C: AGFsaWNlAHB3ZA==
        S: * CAPABILITY X
        S: a2 OK in
        C: a3 IDLE
        S: + idling
        C: DONE
        S: * 1 EXISTS
        S: a3 OK done
        C: a4 APPEND INBOX {999}
        S: a4 NO too big
        C: a5 FETCH 1 BODY[]
        S: * 1 FETCH (BODY[] {20}
        S: a5 OK is not the end)
        S: a5 OK that is it
        C: a6 LOGOUT
        S: * BYE
        S: a6 OK bye
        """,
    ),
    (
        "imap",
        """
        S: a9 OK Idle completed.
        C: b1 FETCH 1 FLAGS
        C: b2 FETCH 2 FLAGS
        S: b2 OK first
        S: b1 OK then
        C: b3 NOOP
        S: b3 OK
        """,
    ),
    (
        "pop3",
        """
        S: +OK ready
        C: AUTH PLAIN
        S: +
        C: AGFsaWNlAHB3ZA==
        S: +OK in
        C: LIST
        S: +OK
        S: 1 120
        S: .
        C: LIST 1
        S: +OK 1 120
        C: RETR 2
        S: -ERR none
        C: TOP 1 0
        S: +OK
        S: ..dots
        S: .
        C: QUIT
        S: +OK
        """,
    ),
    (
        "smtp",
        """
        S: 220-mx
        S: 220 ready
        C: EHLO x
        S: 250-mx
        S: 250 AUTH LOGIN
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: YWxpY2U=
        S: 334 UGFzc3dvcmQ6
        C: cHdk
        S: 235 in
        C: MAIL FROM:<a@x>
        S: 250 ok
        C: DATA
        S: 503 no recipients
        C: RCPT TO:<b@x>
        S: 250 ok
        C: DATA
        S: 354 go
        C: Subject: x
        C:
        C: ..
        C: .
        S: 250 queued
        C: QUIT
        S: 221 bye
        """,
    ),
    (
        "lmtp",
        """
        S: 220 ready
        C: LHLO x
        S: 250 mx
        C: MAIL FROM:<a@x>
        S: 250 ok
        C: RCPT TO:<b@x>
        S: 250 ok
        C: RCPT TO:<nobody@x>
        S: 550 no
        C: RCPT TO:<c@x>
        S: 250 ok
        C: BDAT 14
        C: QUIT is text
        S: 250 14 octets
        C: BDAT 4 LAST
        C: ..
        S: 250 b
        S: 250 c
        C: QUIT
        S: 221 bye
        """,
    ),
    (
        "managesieve",
        """
        S: "IMPLEMENTATION" "x"
        S: OK "ready"
        C: STARTTLS
        S: OK "go"
        S: "IMPLEMENTATION" "y"
        S: OK "tls"
        C: AUTHENTICATE "LOGIN"
        S: "VXNlcm5hbWU6"
        C: "YWxpY2U="
        S: {12}
        S: UGFzc3dvcmQ6
        C: {4+}
        C: cHdk
        S: OK
        C: PUTSCRIPT "a" {12+}
        C: QUIT OK NO
        C:
        S: NO {7}
        S: error
        S:
        C: GETSCRIPT "a"
        S: {6}
        S: OK 1
        S:
        S: OK
        """,
    ),
]


@pytest.mark.parametrize(("protocol", "text"), DIALOGUES, ids=[protocol for protocol, _ in DIALOGUES])
@pytest.mark.parametrize("mirrored", [False, True])
def test_each_protocol_is_put_in_order(protocol: str, text: str, mirrored: bool) -> None:
    events = dialogue(text)
    if mirrored:  # a recording of a leg towards a remote server: IN is what the server said
        events = [Chunk(None, event.direction.other, event.data) for event in events]
    assert turns(in_order(untimed(events, protocol))) == turns(Recording("test", events))


def test_a_recording_with_times_or_of_no_known_protocol_is_left_alone() -> None:
    timed = Recording("a", [Chunk(1, OUT, b"a1 OK\r\n"), Chunk(2, IN, b"a1 NOOP\r\n")], protocol="imap")
    assert in_order(timed) is timed
    unknown = Recording("a", [Chunk(None, OUT, b"x\r\n")], timed=False)
    assert in_order(unknown) is unknown


def test_events_that_can_be_taken_once_are_taken_once() -> None:
    events: list[Event] = [Chunk(None, IN, b"a1 NOOP\r\n"), Chunk(None, OUT, b"* OK\r\na1 OK\r\n")]
    recording = in_order(Recording("a", iter(events), timed=False, protocol="imap"))
    assert [text for _, text in turns(recording)] == [b"* OK\r\n", b"a1 NOOP\r\n", b"a1 OK\r\n"]


def test_a_line_without_end_is_taken_in_pieces() -> None:
    events = [Chunk(None, IN, b"x" * 50_000) for _ in range(10)]
    recording = in_order(Recording("a", events, timed=False, protocol="imap"))
    sizes = [len(event.data) for event in recording.events if isinstance(event, Chunk)]
    assert sum(sizes) == 500_000
    assert max(sizes) < LINE_LIMIT + 50_000


words = st.sampled_from(
    b"a1 |a2 |* |+ |OK |+OK |250 |354 |334 |DATA|AUTH |IDLE|RETR 1|BDAT 5|RCPT TO:<x>|STARTTLS|{3}|{9+}|."
    b"|AUTHENTICATE PLAIN|NOOP|\n|\r\n|\r\n".split(b"|")
)
texts = st.lists(st.one_of(words, st.binary(max_size=5)), max_size=25).map(b"".join)


@settings(max_examples=200, deadline=None)
@given(texts, texts, st.sampled_from(["imap", "pop3", "smtp", "lmtp", "managesieve"]))
def test_no_byte_is_lost_and_each_direction_keeps_its_order(client: bytes, server: bytes, protocol: str) -> None:
    events = [Chunk(None, direction, data) for direction, data in ((IN, client), (OUT, server)) if data]
    said = turns(in_order(Recording("test", events, timed=False, protocol=protocol)))
    assert b"".join(data for direction, data in said if direction is IN) == client
    assert b"".join(data for direction, data in said if direction is OUT) == server
