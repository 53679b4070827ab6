"""Counting together: exact in one process, never too low over several, and nothing is left of who died."""

from __future__ import annotations

import os

from rawlog.engine.tally import Share, Tally, alone


def taken(whole: Tally) -> Share:
    share = whole.take()
    assert share is not None
    return share


def test_one_process_counts_exactly() -> None:
    share = alone()
    for number in range(3000):
        share.add(b"%d" % number, 1)
    assert {share.total(b"%d" % number) for number in range(3000)} == {1}
    share.add(b"7", 1)
    assert share.total(b"7") == 2
    share.add(b"7", -1)
    share.add(b"7", -1)
    assert share.total(b"7") == 0
    assert share.total(b"never seen") == 0


def test_the_counts_of_all_are_added() -> None:
    whole = Tally(3)
    one, two = taken(whole), taken(whole)
    one.add(b"k", 1)
    two.add(b"k", 1)
    two.add(b"k", 1)
    assert one.total(b"k") == two.total(b"k") == 3


def test_a_forked_process_is_seen_and_forgotten_when_it_is_gone() -> None:
    whole = Tally(2)
    here, there = taken(whole), taken(whole)
    if not (pid := os.fork()):
        there.add(b"192.0.2.1", 1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert here.total(b"192.0.2.1") == 1
    whole.give_back(there)
    assert here.total(b"192.0.2.1") == 0


def test_shares_are_limited_and_used_again() -> None:
    whole = Tally(2)
    first, second = taken(whole), taken(whole)
    assert whole.take() is None
    whole.give_back(first)
    assert taken(whole).number == first.number != second.number


def test_keys_of_others_that_meet_are_never_counted_too_low() -> None:
    whole = Tally(2, 1 << 16)
    one, two = taken(whole), taken(whole)
    for number in range(20_000):
        two.add(b"%d" % number, 1)
    counts = [one.total(b"%d" % number) for number in range(20_000)]
    assert min(counts) == 1
    assert sum(count > 1 for count in counts) < 4000  # two rows: one alone has nearly twice as many


def test_what_all_see_alike_outlives_who_counted_it() -> None:
    whole = Tally(3, exact=False)
    here, there = taken(whole), taken(whole)
    there.add(b"bytes", 1 << 40)
    whole.give_back(there)
    assert here.total(b"bytes") == 1 << 40
    successor = taken(whole)
    successor.add(b"bytes", 1)
    taken(whole)
    assert here.total(b"bytes") == successor.total(b"bytes") == (1 << 40) + 1
