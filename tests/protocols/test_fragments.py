"""Fragments are positions; a lane begins with nothing."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from rawlog.events import Direction
from rawlog.protocols.fragments import Fragment, Kind, Lane, Mode


def test_a_fragment_holds_no_bytes_and_no_secrets_by_default() -> None:
    fragment = Fragment(Direction.IN, Kind.LITERAL, 3, 8)
    assert (fragment.data, fragment.secrets) == (b"", ())


def test_fragments_do_not_change() -> None:
    fragment = Fragment(Direction.IN, Kind.LINE, 0, 2, b"\r\n")
    with pytest.raises(FrozenInstanceError):
        fragment.end = 3  # type: ignore[misc]


def test_a_new_lane() -> None:
    lane = Lane(Direction.OUT)
    assert (lane.direction, lane.mode, lane.begin, lane.tape.size) == (Direction.OUT, Mode.LINES, 0, 0)
    assert (lane.held, lane.ended, lane.pin, lane.secret_at, lane.undecided) == (False, False, None, None, [])
