"""Cards travel as they are."""

from __future__ import annotations

import os

from rawlog.events import Direction
from rawlog.taps.unbreakable_place import Card, Place, decode_card


def test_a_card_comes_back() -> None:
    files = [(Direction.IN, "/home/ä\udcff/x.in"), (Direction.OUT, "/home/x.out")]
    card = Card("rawlog(ü)", True, False, True, files)
    assert decode_card(card.encode()) == card


def test_a_place_closes_its_descriptors() -> None:
    fds = os.pipe()
    Place(0, b"", fds).close()
    for fd in fds:
        try:
            os.fstat(fd)
        except OSError:
            continue
        raise AssertionError(f"{fd} is open")
