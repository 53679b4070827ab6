"""Which recordings go: by age, by user, by total; the oldest first, and nothing that is being written."""

from __future__ import annotations

import random

import pytest

from rawlog.recorder.housekeeping import Limits, choose
from rawlog.recorder.stock import Lying
from rawlog.settings.values import Space

NOW = 1_000_000.0


def lying(age: float, size: int = 10, user: str = "alice", *, device: int = 1, stem: str = "") -> Lying:
    folders = (user,) if user else ()
    return Lying("/raw", folders, stem or f"s{age}", (), size, NOW - age, device)


def gone(
    items: list[Lying], limits: Limits, busy: frozenset[str] = frozenset(), capacity: int = 1000, free: int = 1000
) -> list[str]:
    random.Random(1).shuffle(items)
    chosen = choose(items, limits, now=NOW, busy=lambda i: i.stem in busy, capacity=lambda _: (capacity, free))
    return [f"{one.item.stem} {one.why}" for one in chosen]


def test_without_limits_everything_stays() -> None:
    assert gone([lying(9e5), lying(1)], Limits()) == []


def test_age() -> None:
    assert gone([lying(3), lying(5), lying(8)], Limits(keep=5)) == ["s8 age"]


def test_the_oldest_of_a_user_go() -> None:
    items = [lying(1), lying(2), lying(3), lying(9, user="bob"), lying(10, 500, user="")]
    assert gone(items, Limits(user_size=20)) == ["s3 user"]


def test_the_oldest_of_all_go() -> None:
    items = [lying(1), lying(2, user="bob"), lying(3, user=""), lying(4)]
    assert gone(items, Limits(total_size=Space(size=25))) == ["s4 total", "s3 total"]
    assert gone(items, Limits(total_size=Space(percent=1, size=10**9))) == ["s4 total", "s3 total", "s2 total"]


def test_each_file_system_has_its_own_total() -> None:
    items = [lying(1), lying(2, device=2), lying(3, 30, device=2)]
    assert gone(items, Limits(total_size=Space(size=20))) == ["s3 total"]


def test_what_is_old_does_not_count_any_more() -> None:
    items = [lying(1), lying(2), lying(100, 1000)]
    assert gone(items, Limits(keep=50, user_size=20, total_size=Space(size=20))) == ["s100 age"]


def test_what_is_being_written_counts_but_stays() -> None:
    items = [lying(1), lying(2), lying(3)]
    assert gone(items, Limits(user_size=20), frozenset(("s3",))) == ["s2 user"]
    assert gone(items, Limits(keep=0), frozenset(("s3", "s2", "s1"))) == []


def test_the_newest_may_go_when_it_alone_is_too_large() -> None:
    assert gone([lying(1, 100)], Limits(user_size=20)) == ["s1 user"]


@pytest.mark.parametrize("seed", range(20))
def test_no_limit_is_exceeded_and_no_more_than_needed_goes(seed: int) -> None:
    dice = random.Random(seed)
    items = [lying(n, dice.randrange(1, 50), dice.choice(("alice", "bob", "")), stem=f"s{n}") for n in range(40)]
    limits = Limits(user_size=200, total_size=Space(size=500))
    chosen = choose(items, limits, now=NOW, busy=lambda _: False, capacity=lambda _: (10**9, 10**9))
    left = [item for item in items if item not in {one.item for one in chosen}]
    assert sum(item.size for item in left) <= 500
    for user in ("alice", "bob"):
        mine = [item for item in items if item.folders == (user,)]
        kept = [item for item in left if item.folders == (user,)]
        assert sum(item.size for item in kept) <= 200
        assert kept == mine[: len(kept)], "what is kept is newer than what went"


def test_what_must_stay_free() -> None:
    limits = Limits(min_free=Space(percent=2))
    assert gone([lying(1), lying(2), lying(3)], limits, free=20) == []
    assert gone([lying(1), lying(2), lying(3)], limits, free=9) == ["s3 free", "s2 free"]
    assert gone([lying(1), lying(2), lying(3)], limits, frozenset(("s3",)), free=15) == ["s2 free"]
    assert len(gone([lying(1), lying(2), lying(3)], limits, free=-1000)) == 3


def test_what_goes_anyway_makes_free() -> None:
    items = [lying(1), lying(2), lying(30), lying(40, device=2)]
    assert gone(items, Limits(keep=20, min_free=Space(size=25)), free=15) == ["s40 age", "s30 age"]
    items = [lying(1), lying(2), lying(3), lying(4)]
    limits = Limits(total_size=Space(size=30), min_free=Space(size=30))
    assert gone(items, limits, free=15) == ["s4 total", "s3 free"]


def test_some_room_is_left_for_what_comes() -> None:
    items = [lying(1), lying(2), lying(3), lying(4), lying(5)]
    assert gone(items, Limits(user_size=50, spare=10)) == ["s5 user"]
    assert gone(items, Limits(total_size=Space(size=55), spare=10)) == []
    assert gone(items, Limits(total_size=Space(size=54), spare=5)) == ["s5 total"]
