"""Fragments are positions; a lane begins with nothing."""

from __future__ import annotations

import pytest

from rawlog.events import Direction
from rawlog.protocols.fragments import Fragment, Kind, Lane, Mode, Span, within


def test_a_fragment_holds_no_bytes_and_no_secrets_by_default() -> None:
    fragment = Fragment(Direction.IN, Kind.LITERAL, 3, 8)
    assert (fragment.data, fragment.secrets) == (b"", ())


def test_fragments_do_not_change() -> None:
    fragment = Fragment(Direction.IN, Kind.LINE, 0, 2, b"\r\n")
    with pytest.raises(AttributeError):
        fragment.end = 3  # type: ignore[misc]


def test_a_new_lane() -> None:
    lane = Lane(Direction.OUT)
    assert (lane.direction, lane.mode, lane.begin, lane.tape.size) == (Direction.OUT, Mode.LINES, 0, 0)
    assert (lane.held, lane.ended, lane.pin, lane.secret_at, lane.undecided) == (False, False, None, None, [])


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], ()),
        ([(0, 5), (25, 30)], ()),
        ([(12, 14), (10, 11)], ((10, 11), (12, 14))),
        ([(5, 12), (18, 30)], ((10, 12), (18, 20))),
        ([(0, 100)], ((10, 20),)),
        ([(11, 15), (13, 14), (14, 17), (17, 18)], ((11, 17), (17, 18))),
        ([(11, 12), (11, 12)], ((11, 12),)),
        ([(12, 12)], ()),
    ],
)
def test_the_spans_within_a_fragment(spans: list[Span], expected: tuple[Span, ...]) -> None:
    assert within(spans, 10, 20) == expected
