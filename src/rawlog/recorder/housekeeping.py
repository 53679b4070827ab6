"""Which recordings have to go: those that are too old, and the oldest of those that take too much room.

Knows: the limits and their order. Must not know: how recordings are found and removed (``stock.py``), and what is in
them.

Age comes first, then the room of one user, then the room of all on one file system; always the oldest first. What is
being written is counted but never chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from rawlog.recorder.stock import Lying
from rawlog.settings.values import Space


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a recording is kept, bytes that those of one user may take, and those on one file system.

    None, or an empty Space: no limit.
    """

    keep: int | None = None
    user_size: int | None = None
    total_size: Space = field(default_factory=Space)


@dataclass(frozen=True, slots=True)
class Going:
    """A recording that has to go, and why: ``age``, ``user`` or ``total``."""

    item: Lying
    why: str


def choose(
    items: Iterable[Lying],
    limits: Limits,
    *,
    now: float,
    busy: Callable[[Lying], bool],
    capacity: Callable[[Lying], int],
) -> list[Going]:
    """What has to go, the oldest first.

    ``busy`` says what is being written, ``capacity`` how many bytes the file system of a recording has. A user's
    recordings are those that lie in one directory below the one that was named; directly in that, nobody's.
    """
    staying = sorted(items, key=lambda item: (item.changed, item.path))
    asked: dict[str, bool] = {}

    def may_go(item: Lying) -> bool:
        if item.path not in asked:
            asked[item.path] = not busy(item)
        return asked[item.path]

    going: list[Going] = []

    def take(chosen: Iterable[Lying], why: str) -> None:
        gone = list(chosen)
        going.extend(Going(item, why) for item in gone)
        paths = {item.path for item in gone}
        staying[:] = [item for item in staying if item.path not in paths]

    if limits.keep is not None:
        oldest = now - limits.keep
        take((item for item in staying if item.changed < oldest and may_go(item)), "age")
    if limits.user_size is not None:
        for user in sorted({item.directory for item in staying if item.folders}):
            take(_over([i for i in staying if i.directory == user], limits.user_size, may_go), "user")
    for device in sorted({item.device for item in staying}):
        there = [item for item in staying if item.device == device]
        most = limits.total_size.most(capacity(there[0]))
        if most is not None:
            take(_over(there, most, may_go), "total")
    return sorted(going, key=lambda one: (one.item.changed, one.item.path))


def _over(items: list[Lying], most: int, may_go: Callable[[Lying], bool]) -> Iterator[Lying]:
    """The oldest ones without which the others take no more than ``most`` bytes."""
    size = sum(item.size for item in items)
    for item in items:
        if size <= most:
            return
        if may_go(item):
            size -= item.size
            yield item
