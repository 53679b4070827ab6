"""The reader behind a login: what it understands survives being pickled at any point."""

from __future__ import annotations

import pickle

import pytest

from rawlog.events import Chunk, Direction
from rawlog.taps.unbreakable_reader import EARLY_LIMIT, PostLoginReader

TALK = [
    (Direction.OUT, b"a1 OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] Logged in\r\n"),
    (Direction.IN, b"a2 LOGIN u sec"),
    (Direction.IN, b"ret\r\n"),
    (Direction.OUT, b"a2 BAD\r\n"),
    (Direction.IN, b"a3 NOOP\r\n"),
    (Direction.OUT, b"a3 OK\r\n"),
]


def read(keep: bool, *, replaced: bool) -> dict[Direction, bytes]:
    reader = PostLoginReader(keep=keep)
    seen = dict.fromkeys(Direction, b"")
    events = []
    for direction, data in TALK:
        events += reader.chunk(1, direction, data)
        if replaced:
            reader = pickle.loads(pickle.dumps(reader))
    for direction in Direction:
        events += reader.end(direction)
    for event in events:
        assert isinstance(event, Chunk)
        seen[event.direction] += event.data
    return seen


@pytest.mark.parametrize("keep", [True, False])
def test_a_pickled_reader_goes_on_as_if_nothing_had_happened(keep: bool) -> None:
    seen = read(keep, replaced=True)
    assert seen == read(keep, replaced=False)
    assert (b"secret" in seen[Direction.IN]) is keep
    assert len(seen[Direction.IN]) == sum(len(data) for direction, data in TALK if direction is Direction.IN)


def test_without_compress_nothing_has_to_be_understood() -> None:
    reader = PostLoginReader(keep=True)
    assert reader.chunk(1, Direction.IN, b"early") == []
    assert reader.chunk(2, Direction.OUT, b"a1 OK\r\n") == [
        Chunk(1, Direction.IN, b"early"),
        Chunk(2, Direction.OUT, b"a1 OK\r\n"),
    ]
    assert not reader.slow
    assert reader.chunk(3, Direction.IN, b"x") == [Chunk(3, Direction.IN, b"x")]


def test_a_client_that_says_much_before_the_answer_is_not_held_for_ever() -> None:
    reader = PostLoginReader(keep=True)
    assert reader.chunk(1, Direction.IN, b"x" * EARLY_LIMIT) == []
    assert len(reader.chunk(1, Direction.IN, b"x")) == 2
