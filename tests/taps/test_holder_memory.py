"""What a holder remembers comes back as it was, and is refused where it would be misread."""

from __future__ import annotations

import dataclasses
import os

import pytest

from rawlog.engine.bounds import Limits
from rawlog.engine.pipes import Pipe, why_not
from rawlog.errors import FormatError
from rawlog.events import Direction
from rawlog.taps import holder_memory
from rawlog.taps.holder_memory import Memory, recall
from rawlog.taps.unbreakable_place import Card, Place

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"rawlog_relay = unbreakable: {why_not()}")

CARD = Card("rawlog(ü\udcff)", True, False, True, [(Direction.IN, "/home/\udce4/x.in")], 7, 8)
MEMORY = Memory(
    ledger=9,
    room=1000,
    limits=Limits(drain=1.5),
    front=-1,
    worker=4711,
    channel=10,
    pipes=[Pipe(0, 11, 12), Pipe(1, 13, 14)],
    places=[Place(3, CARD.encode(), [15, 16, 17])],
    numbers={3: 44},
    strikes={3: 2},
    count=45,
    last_word=b"Fenough",
    outgoing=[b"A", b"E43"],
)


def test_it_comes_back_as_it_was() -> None:
    fd = MEMORY.store()
    assert recall(fd) == MEMORY
    assert recall(fd) == MEMORY
    os.close(fd)


def test_all_descriptors_are_known_and_none_that_is_missing() -> None:
    assert MEMORY.descriptors == [9, 10, 11, 12, 13, 14, 15, 16, 17]
    assert dataclasses.replace(MEMORY, front=8).descriptors[1] == 8


def test_another_version_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    fd = MEMORY.store()
    monkeypatch.setattr(holder_memory, "VERSION", 99)
    with pytest.raises(FormatError, match=r"kept as version \d+, the code on the disk speaks version 99$"):
        recall(fd)
    os.close(fd)
