"""A recording becomes lines; nothing is lost, and what is folded needs no memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.protocols.fragments import Kind
from rawlog.protocols.framing import Framer
from rawlog.protocols.registry import framer_for
from rawlog.reading.opener import open_paths
from rawlog.views.fold import HELD_LIMIT, LINE_LIMIT, Fold, Line, fold
from tests.support import golden

IN, OUT = Direction.IN, Direction.OUT


def framer(protocol: str | None = "imap") -> Framer | None:
    return framer_for(protocol, hold_limit=None) if protocol else None


def text(items: list[Line | Fold | Mark], direction: Direction) -> bytes:
    """What the items of one direction stand for, a folded byte as ``?``."""
    parts = [
        item.data if isinstance(item, Line) else b"?" * item.size
        for item in items
        if not isinstance(item, Mark) and item.direction is direction
    ]
    return b"".join(parts)


APPEND: list[Event] = [
    Chunk(1, OUT, b"* OK hi\r\n"),
    Chunk(2, IN, b"a1 APPEND x {9"),
    Chunk(3, IN, b"}\r\n"),
    Chunk(4, OUT, b"+ go\r\n"),
    Chunk(5, IN, b"one\r\n"),
    Chunk(6, IN, b"two\n\r\n"),
    Mark(7, "gap", {}),
    Chunk(8, OUT, b"a1 OK\r\n"),
]


def test_a_literal_is_folded_into_its_size() -> None:
    assert list(fold(APPEND, framer())) == [
        Line(1, OUT, b"* OK hi\r\n"),
        Line(2, IN, b"a1 APPEND x {9}\r\n"),
        Line(4, OUT, b"+ go\r\n"),
        Fold(5, IN, Kind.LITERAL, 9),
        Line(6, IN, b"\r\n"),
        Mark(7, "gap", {}),
        Line(8, OUT, b"a1 OK\r\n"),
    ]


def test_with_bodies_each_line_of_it_is_there_with_its_time() -> None:
    assert list(fold(APPEND, framer(), bodies=True))[3:6] == [
        Line(5, IN, b"one\r\n", body=True),
        Line(6, IN, b"two\n", body=True),
        Line(6, IN, b"\r\n"),
    ]


def test_without_a_framer_all_is_plain_lines() -> None:
    events = [Chunk(1, IN, b"GET / HT"), Chunk(2, IN, b"TP/1.0\r\n\r\nrest")]
    assert list(fold(events, None)) == [
        Line(1, IN, b"GET / HTTP/1.0\r\n"),
        Line(2, IN, b"\r\n"),
        Line(2, IN, b"rest"),
    ]


def test_lines_come_out_as_soon_as_they_are_complete() -> None:
    taken: list[Event] = []

    def live() -> Iterator[Event]:
        for event in APPEND:
            taken.append(event)
            yield event

    items = fold(live(), framer())
    assert next(items) == Line(1, OUT, b"* OK hi\r\n")
    assert len(taken) == 1


@pytest.mark.parametrize("bodies", [False, True])
def test_a_long_literal_is_not_kept(bodies: bool) -> None:
    size = 400 * 65536

    def events() -> Iterator[Event]:
        yield Chunk(1, OUT, b"* OK hi\r\n")
        yield Chunk(2, IN, b"a1 APPEND x {%d+}\r\n" % size)
        for _ in range(400):
            held.append(cutter.lanes[IN].tape.size)
            yield Chunk(3, IN, (b"x" * 75 + b"\n") * 862 + b"x" * 24)

    held: list[int] = []
    cutter = framer_for("imap", hold_limit=None)
    total = 0
    for item in fold(events(), cutter, bodies=bodies):
        assert not isinstance(item, Mark)
        total += item.size if isinstance(item, Fold) else len(item.data)
    assert total > size
    assert max(held) <= 65536


def test_a_client_alone_does_not_wait_for_a_server_for_ever() -> None:
    count = HELD_LIMIT // 65536 + 10
    line = b"a1 " + b"x" * 1018 + b"\r\n"
    shown = 0
    for item in fold((Chunk(1, IN, line * 64) for _ in range(count)), framer()):
        assert isinstance(item, Line)
        shown += len(item.data)
    assert shown == count * 64 * len(line)


def test_a_line_without_end_comes_in_pieces() -> None:
    items = list(fold([Chunk(1, IN, b"x" * 100_000) for _ in range(3)], None))
    assert text(items, IN) == b"x" * 300_000
    assert all(isinstance(item, Line) and len(item.data) <= 2 * LINE_LIMIT for item in items)


RECORDINGS = list(open_paths([golden.FOLDER]))


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name.rpartition("golden/")[2])
def test_nothing_of_a_real_recording_is_lost(recording: Recording) -> None:
    events = list(recording.events)
    open_items = list(fold(events, framer(recording.protocol), bodies=True))
    folded_items = list(fold(events, framer(recording.protocol)))
    for direction in Direction:
        whole = b"".join(event.data for event in events if isinstance(event, Chunk) and event.direction is direction)
        assert text(open_items, direction) == whole
        assert len(text(folded_items, direction)) == len(whole)


words = st.sampled_from(
    b"a1 |a2 |* |+ |OK |+OK |250 |354 |DATA|AUTH PLAIN|IDLE|RETR 1|BDAT 5|APPEND x|STARTTLS|{3}|{9+}|.|\x16\x03"
    b"|LOGIN a b|NOOP|\n|\r\n|\r\n".split(b"|")
)
chunks = st.builds(
    Chunk,
    st.integers(0, 9),
    st.sampled_from(Direction),
    st.lists(st.one_of(words, st.binary(max_size=5)), min_size=1, max_size=6).map(b"".join).filter(bool),
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(chunks, max_size=12),
    st.sampled_from([None, "imap", "pop3", "smtp", "lmtp", "managesieve"]),
    st.booleans(),
)
def test_nothing_of_anything_is_lost(events: list[Chunk], protocol: str | None, bodies: bool) -> None:
    items = list(fold(events, framer(protocol), bodies=bodies))
    for direction in Direction:
        whole = b"".join(event.data for event in events if event.direction is direction)
        shown = text(items, direction)
        assert len(shown) == len(whole)
        assert shown == whole or not bodies
