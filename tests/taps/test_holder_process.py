"""A holder as a process: it reads every state before it goes on as other code."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rawlog.engine.bounds import Limits
from rawlog.engine.ledger import Journal, Ledger
from rawlog.engine.pipes import why_not
from rawlog.errors import FormatError
from rawlog.taps.holder_memory import Memory
from rawlog.taps.holder_process import rehearse
from rawlog.taps.unbreakable_place import Place

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"rawlog_relay = unbreakable: {why_not()}")


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    ledger = Ledger(2)
    for slot in range(2):
        ledger.clear(slot)
    yield ledger
    os.close(ledger.fd)


def memory(ledger: Ledger) -> Memory:
    places = [Place(slot, b"[]", []) for slot in range(2)]
    return Memory(os.dup(ledger.fd), 2, Limits(), -1, 0, -1, [], places, {}, {}, 0, b"", [])


def test_states_that_can_be_read_are_no_hindrance(ledger: Ledger) -> None:
    journal = Journal(ledger, 1)
    journal.settle(journal.end, (0, 0), b"\x80\x05N.")  # a pickled None; the other has no state yet
    rehearse(memory(ledger))


def test_a_state_that_can_not_be_read_is(ledger: Ledger) -> None:
    journal = Journal(ledger, 1)
    journal.settle(journal.end, (0, 0), b"cno.such.module\nThing\n.")
    with pytest.raises(FormatError, match="can't be read by the code on the disk: No module named 'no'"):
        rehearse(memory(ledger))
