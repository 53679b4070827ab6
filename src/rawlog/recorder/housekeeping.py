"""Which recordings have to go: those that are too old, and the oldest of those that take too much room.

Knows: the limits and their order. Must not know: how recordings are found and removed (``stock.py``), and what is in
them.

Age comes first, then the room of one user, then the room of all on one file system, then what must stay free there;
always the oldest first. What is being written is counted but never chosen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from rawlog.recorder.stock import Lying
from rawlog.settings.model import Settings
from rawlog.settings.values import Space


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a recording is kept, bytes that those of one user may take, and those on one file system, and what
    has to stay free there.

    None, or an empty Space: no limit. ``spare``: one part in so many of the room is left free for what comes; 0: none.
    """

    keep: int | None = None
    user_size: int | None = None
    total_size: Space = field(default_factory=Space)
    min_free: Space = field(default_factory=Space)
    spare: int = 0

    def usable(self, size: int) -> int:
        """What may be used of a room of ``size`` bytes."""
        return size - size // self.spare if self.spare else size


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings ask for."""
    return Limits(
        settings.rawlog_keep,
        settings.rawlog_max_user_size,
        settings.rawlog_max_total_size,
        settings.rawlog_min_free_space,
    )


def capacity_of(item: Lying) -> tuple[int, int]:
    """Bytes of the file system that a recording lies on, and how many of them are free."""
    answer = os.statvfs(item.top)
    return answer.f_blocks * answer.f_frsize, answer.f_bavail * answer.f_frsize


@dataclass(frozen=True, slots=True)
class Going:
    """A recording that has to go, and why: ``age``, ``user``, ``total`` or ``free``."""

    item: Lying
    why: str


def choose(
    items: Iterable[Lying],
    limits: Limits,
    *,
    now: float,
    busy: Callable[[Lying], bool],
    capacity: Callable[[Lying], tuple[int, int]],
) -> list[Going]:
    """What has to go, the oldest first.

    ``busy`` says what is being written, ``capacity`` how many bytes the file system of a recording has, and how many of
    them are free. A user's recordings are those that lie in one directory below the one that was named; directly in
    that, nobody's.
    """
    everything = sorted(items, key=lambda item: (item.changed, item.path))
    going: dict[str, Going] = {}
    asked: dict[str, bool] = {}

    def may_go(item: Lying) -> bool:
        if item.path not in asked:
            asked[item.path] = not busy(item)
        return asked[item.path]

    def take(chosen: Iterable[Lying], why: str) -> None:
        going.update((item.path, Going(item, why)) for item in list(chosen))

    def staying(some: list[Lying]) -> list[Lying]:
        return [item for item in some if item.path not in going]

    if limits.keep is not None:
        oldest = now - limits.keep
        take((item for item in everything if item.changed < oldest and may_go(item)), "age")
    if limits.user_size is not None:
        for theirs in _grouped(everything, lambda item: item.directory if item.folders else None):
            take(_over(staying(theirs), limits.usable(limits.user_size), may_go), "user")
    for there in _grouped(everything, lambda item: item.device):
        size, free = capacity(there[0])
        most = limits.total_size.most(size)
        if most is not None:
            take(_over(staying(there), limits.usable(most), may_go), "total")
        left = staying(there)
        free += sum(item.size for item in there) - sum(item.size for item in left)
        missing = limits.min_free.least(size) - free
        take(_over(left, sum(item.size for item in left) - missing, may_go), "free")
    return sorted(going.values(), key=lambda one: (one.item.changed, one.item.path))


def _grouped(items: list[Lying], key: Callable[[Lying], Hashable]) -> list[list[Lying]]:
    """The items with the same key together, in their order; not those whose key is None."""
    groups: dict[Hashable, list[Lying]] = {}
    for item in items:
        if (found := key(item)) is not None:
            groups.setdefault(found, []).append(item)
    return list(groups.values())


def _over(items: list[Lying], most: int, may_go: Callable[[Lying], bool]) -> Iterator[Lying]:
    """The oldest ones without which the others take no more than ``most`` bytes."""
    size = sum(item.size for item in items)
    for item in items:
        if size <= most:
            return
        if may_go(item):
            size -= item.size
            yield item
