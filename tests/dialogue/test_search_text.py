"""Texts are found line by line, however the bytes come."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.dialogue.search_text import LINE_LIMIT, SHOWN, Hit, Scan, Text
from rawlog.events import Direction

IN, OUT = Direction.IN, Direction.OUT
END = 1 << 40


def hits(data: bytes, *texts: Text, step: int | None = None) -> list[Hit]:
    scan = Scan(texts)
    step = step or len(data) or 1
    for start in range(0, len(data), step):
        scan.append(IN, data[start : start + step])
    return scan.take(IN, END)


def offsets(data: bytes, *texts: Text, step: int | None = None) -> list[tuple[int, int]]:
    return [(hit.text, hit.offset) for hit in hits(data, *texts, step=step)]


DATA = b"a1 NOOP\r\na2 FETCH 1 FETCH\r\n\r\nlast FETCH"


@pytest.mark.parametrize("step", [None, 1, 3])
def test_the_first_match_of_each_line_counts(step: int | None) -> None:
    assert offsets(DATA, Text(b"FETCH"), step=step) == [(0, 12), (0, 34)]
    assert offsets(DATA, Text(b"fetch"), step=step) == []
    assert offsets(DATA, Text(b"fetch", ignore_case=True), Text(b"a"), step=step) == [
        (1, 0),
        (1, 9),
        (0, 12),
        (1, 30),
        (0, 34),
    ]


@pytest.mark.parametrize("step", [None, 1, 3])
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (rb"^a2", [9]),
        (rb"^$", [27]),
        (rb"NOOP$", [3]),
        (rb"\Aa\d", [0, 9]),
        (rb"FETCH\Z", [20, 34]),
        (rb"NOOP\s+a2", []),
        (rb"\s*FETCH$", [19, 33]),
        (rb"[^x]+", [0, 9, 29]),
        (rb"f(?i:etch)|last", [29]),
    ],
)
def test_expressions_lie_within_a_line(pattern: bytes, found: list[int], step: int | None) -> None:
    assert [offset for _, offset in offsets(DATA, Text(pattern, is_regex=True), step=step)] == found


def test_only_in_one_direction() -> None:
    scan = Scan([Text(b"x", IN), Text(b"x", OUT), Text(b"x")])
    scan.append(IN, b"x\n")
    assert [hit.text for hit in scan.take(IN, END)] == [0, 2]
    assert scan.seen(0) and scan.seen(2) and not scan.seen(1)


def test_what_was_taken_ends_a_line() -> None:
    scan = Scan([Text(b"ab")])
    scan.append(IN, b"..a")
    assert scan.take(IN, 3) == []
    scan.append(IN, b"b\r\nab\r\n")
    assert [hit.offset for hit in scan.take(IN, 100)] == [6]
    scan.append(IN, b"xab and ab")
    assert [hit.offset for hit in scan.take(IN, 14)] == [11]
    scan.append(IN, b"\n")
    assert [hit.offset for hit in scan.take(IN, 100)] == [18]


def test_of_a_line_what_is_around_the_match_is_kept() -> None:
    (hit,) = hits(b"x" * 1000 + b"needle" + b"y" * 1000 + b"\r\n", Text(b"needle"))
    assert (hit.offset, hit.at, len(hit.line)) == (1000, 960, SHOWN)
    assert hit.line.startswith(b"x" * 40 + b"needle")


def test_one_hit_is_enough_for_bytes_that_belong_together() -> None:
    scan = Scan([Text(b"a"), Text(b"b")])
    scan.append(IN, b"a\n" * 10 + b"b\n" * 10 + b"a\n")
    scan.thin(IN, 2, 40)
    assert [(hit.text, hit.offset) for hit in scan.take(IN, END)] == [(0, 0), (0, 2), (1, 20), (0, 40)]


def test_hits_can_be_forgotten_but_not_that_there_were_any() -> None:
    scan = Scan([Text(b"a")])
    scan.append(IN, b"a\n")
    scan.forget()
    assert scan.take(IN, END) == []
    assert scan.seen(0)


def test_a_line_without_end_is_searched_in_pieces() -> None:
    scan = Scan([Text(b"a")])
    for _ in range(10):
        scan.append(IN, b"." * LINE_LIMIT + b"a")
    assert len(scan.take(IN, END)) == 10


def test_a_bad_expression_is_told_at_once() -> None:
    with pytest.raises(re.error):
        Text(b"(", is_regex=True)
    assert offsets(b"(\n", Text(b"(")) == [(0, 0)]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"b", b"ab", b"\n", b"\r\n", b" "]), max_size=30).map(b"".join),
    st.sampled_from([b"a", b"ab", rb"^a", rb"b$", rb"a\s*b", rb"^$", rb"\Ab", rb"[^b]b"]),
    st.integers(1, 5),
)
def test_it_finds_what_a_look_at_each_line_finds(data: bytes, pattern: bytes, step: int) -> None:
    expected, at = [], 0
    for line in data.split(b"\n"):
        if (line or b"\n" in data[at:]) and (found := re.search(pattern, line.rstrip(b"\r"))):
            expected.append((0, at + found.start()))
        at += len(line) + 1
    assert offsets(data, Text(pattern, is_regex=True), step=step) == expected
