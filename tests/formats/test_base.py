"""The stamp that two formats share."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.formats.base import STAMP, STAMP_BEGUN, STAMP_LIMIT, stamp, stamp_time


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (1795385217427810, b"1795385217.427810 "),
        (1795385217000001, b"1795385217.000001 "),
        (1795385217999999, b"1795385217.999999 "),
        (0, b"0.000000 "),
        (None, b"0.000000 "),
    ],
)
def test_stamp_has_seconds_six_digits_and_one_blank(at: int | None, text: bytes) -> None:
    assert stamp(at) == text


@settings(deadline=None)
@given(st.integers(0, 10**18 - 1))
def test_every_stamp_is_found_again(at: int) -> None:
    found = STAMP.match(stamp(at) + b"a1 NOOP\r\n")
    assert found is not None
    assert stamp_time(found[1]) == at
    assert len(stamp(at)) <= STAMP_LIMIT


@settings(deadline=None)
@given(st.integers(0, 10**18 - 1), st.data())
def test_every_beginning_of_a_stamp_may_become_one(at: int, data: st.DataObject) -> None:
    text = stamp(at)
    cut = data.draw(st.integers(0, len(text) - 1))
    assert STAMP_BEGUN.match(text[:cut])


@pytest.mark.parametrize("text", [b"x", b".5", b"1.5x", b"1795385217.4278101", b"1 ", b"1234567890123"])
def test_other_text_is_no_beginning_of_a_stamp(text: bytes) -> None:
    assert not STAMP_BEGUN.match(text)
