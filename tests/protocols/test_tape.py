"""The tape of one direction: lines and counts, however the bytes came."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.protocols.tape import Tape


def tape(*chunks: bytes) -> Tape:
    made = Tape()
    for chunk in chunks:
        made.append(chunk)
    return made


def test_empty() -> None:
    empty = tape(b"")
    assert (empty.size, empty.start, empty.end) == (0, 0, 0)
    assert empty.line_length() is None
    assert empty.take(5) == empty.peek(5) == empty.give_back() == b""
    assert empty.skip(5) == 0


@pytest.mark.parametrize("chunks", [(b"one\ntwo\nthr",), (b"on", b"e\nt", b"wo\nthr"), (b"one\n", b"two\n", b"thr")])
def test_lines(chunks: tuple[bytes, ...]) -> None:
    lines = tape(*chunks)
    assert lines.line_length() == lines.line_length() == 4
    assert lines.take(4) == b"one\n"
    assert lines.line_length() == 4
    assert lines.take(4) == b"two\n"
    assert lines.line_length() is None
    assert (lines.size, lines.start, lines.end) == (3, 8, 11)
    lines.append(b"ee\n")
    assert lines.line_length() == 6


def test_line_feed_before_what_was_looked_at() -> None:
    """Bytes are taken that are no line: what was scanned already moves with them."""
    lines = tape(b"abc", b"def")
    assert lines.line_length() is None
    assert lines.take(2) == b"ab"
    lines.append(b"g\nh\n")
    assert lines.line_length() == 6
    assert lines.take(6) == b"cdefg\n"
    assert lines.line_length() == 2


def test_take_more_than_there_is() -> None:
    assert tape(b"ab", b"c").take(10) == b"abc"
    assert tape(b"ab", b"c").skip(10) == 3


def test_peek_leaves_everything() -> None:
    peeked = tape(b"ab", b"cd")
    peeked.skip(1)
    assert peeked.peek(2) == b"bc"
    assert (peeked.start, peeked.size) == (1, 3)


def test_a_read_that_is_taken_whole_is_not_copied() -> None:
    data = b"x" * 1000
    assert tape(data).take(len(data)) is data


def test_give_back_does_not_count() -> None:
    given_back = tape(b"line\nrest")
    given_back.skip(5)
    assert given_back.give_back() == b"rest"
    assert (given_back.start, given_back.end, given_back.size) == (5, 5, 0)
    given_back.append(b"new\n")
    assert given_back.line_length() == 4


def test_a_mebibyte_byte_by_byte() -> None:
    """Every byte is looked at a fixed number of times, else this would take minutes."""
    long = Tape()
    for _ in range(1024 * 1024):
        long.append(b"a")
        assert long.line_length() is None
    long.append(b"\n")
    assert long.line_length() == 1024 * 1024 + 1
    for _ in range(1024 * 1024):
        long.skip(1)
    assert long.take(2) == b"\n"


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.binary(max_size=6)),
            st.tuples(st.sampled_from(["take", "skip", "peek"]), st.integers(0, 8)),
            st.tuples(st.sampled_from(["line", "back"]), st.none()),
        )
    )
)
def test_like_a_simple_queue(steps: list[tuple[str, bytes | int | None]]) -> None:
    real, model, start = Tape(), b"", 0
    for step, value in steps:
        if isinstance(value, bytes):
            real.append(value)
            model += value
        elif step == "line":
            assert real.line_length() == (model.find(b"\n") + 1 or None)
        elif step == "back":
            assert real.give_back() == model
            model = b""
        else:
            assert isinstance(value, int)
            head = model[:value]
            assert getattr(real, step)(value) == (len(head) if step == "skip" else head)
            if step != "peek":
                model, start = model[len(head) :], start + len(head)
        assert (real.start, real.size, real.end) == (start, len(model), start + len(model))
