"""What holds for every recording that is copied to be shared, whatever was said in it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawlog.dialogue.pseudonyms import pseudonymous
from rawlog.dialogue.pseudonyms_names import Names
from rawlog.dialogue.sharing import shareable
from rawlog.events import Chunk, Direction, Event, Recording
from rawlog.protocols.registry import FRAMERS

IN, OUT = Direction.IN, Direction.OUT
NAMES = Names(b"k" * 32)
BOUNDED = settings(max_examples=80, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])

CLIENT = [
    b"a LOGIN u {3}\r\n", b"p w\r\n", b"a LOGIN u p\r\n", b"b AUTHENTICATE PLAIN\r\n", b"AGEAYg==\r\n",
    b"DATA\r\n", b".\r\n", b"c APPEND box {9}\r\n", b"X: alice\r\n", b"MAIL FROM:<alice@b>\r\n",
    b"BDAT 7 LAST\r\n", b"PASS alice\r\n", b"USER x\r\n", b"d FETCH 1 (BODY[])\r\n", b'PUTSCRIPT "x" {4+}\r\n',
    b"AUTH LOGIN\r\n", b"*\r\n", b"RETR 1\r\n", b"\n.\n", b"\0\xff", b"\r\n",
]  # fmt: skip
SERVER = [
    b"* OK hi\r\n", b"+ \r\n", b"+ VXNlcm5hbWU6\r\n", b"a OK x\r\n", b"b NO alice\r\n", b"220 alice\r\n",
    b"250 ok\r\n", b"334 AAAA\r\n", b"354 go\r\n", b"+OK\r\n", b"-ERR\r\n", b"OK\r\n",
    b"* 1 FETCH (BODY[] {9}\r\n", b"Subject: a\r\n", b")\r\n", b".\r\n", b"235 ok\r\n", b'"alice"\r\n',
    b"* LIST () NIL alice\r\n", b"\x16\x03", b"\0\xff\n",
]  # fmt: skip
pieces = st.lists(
    st.tuples(st.just(IN), st.sampled_from(CLIENT) | st.binary(min_size=1, max_size=20))
    | st.tuples(st.just(OUT), st.sampled_from(SERVER) | st.binary(min_size=1, max_size=20)),
    min_size=1,
    max_size=25,
)


def streams(recording: Recording) -> dict[Direction, bytes]:
    chunks = [event for event in recording.events if isinstance(event, Chunk)]
    return {d: b"".join(chunk.data for chunk in chunks if chunk.direction is d) for d in Direction}


@pytest.mark.parametrize("protocol", FRAMERS)
def test_pseudonyms_move_nothing(protocol: str) -> None:
    @given(pieces)
    @BOUNDED
    def check(said: list[tuple[Direction, bytes]]) -> None:
        events: list[Event] = [Chunk(at, direction, data) for at, (direction, data) in enumerate(said)]
        recording = Recording("x", events, protocol=protocol)
        safe, made = shareable(recording).recording, pseudonymous(recording, NAMES).recording
        for direction in Direction:
            old, new = streams(safe)[direction], streams(made)[direction]
            assert len(old) == len(new)
            assert [i for i, c in enumerate(old) if c in b"\r\n{}()<>"] == [
                i for i, c in enumerate(new) if c in b"\r\n{}()<>"
            ] or b"\0" in old
        assert b"alice" not in b"".join(streams(made).values()).lower()
        again = pseudonymous(recording, NAMES).recording
        assert streams(again) == streams(made)

    check()
