"""How much room the recordings of one user, and all on one file system, still have, while many processes write them.

The theory. Two numbers make the room that is taken: what files were measured to take, and what was written since by all
workers, which they count together. Who writes takes room in portions before it writes, so nobody overshoots; when the
room seems to be used up, it is measured again before anybody is refused. One user's directory is measured by who writes
there; a whole file system by the housekeeper (``taps/housekeeper.py``), who publishes it. Who makes room is the
housekeeper too, and it is called before there is none.

Knows: sizes, portions, when to measure. Must not know: which recordings are removed, who waits for what.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

from rawlog.engine.tally import Share
from rawlog.events import Direction
from rawlog.recorder.limits import Limit
from rawlog.recorder.sinks import FileSink
from rawlog.recorder.stock import stem_of
from rawlog.settings.values import Space

PORTION = 16 << 10
"""Bytes that a recording takes at a time: with the 48 KiB that a recorder holds back they are the 64 KiB of P20."""
ASK_AGAIN = 2.0
"""Seconds until a place is measured, or the housekeeper called, again: listing 10,000 recordings takes some 20 ms."""
NEARLY = 10
"""When less than a tenth is left, it is time to make room."""
DEVICES = 16
"""File systems with recordings whose size is published; more have no common limit."""

_FIELDS = 3  # device, bytes measured, bytes that had been counted then
_DEVICE = b"device "

Measured = tuple[int, int]  # bytes in the files, and what was counted as written before they were looked at


class Room:
    """What may be written in one place. ``measure`` looks at the files, ``short`` is called when room gets scarce."""

    def __init__(
        self,
        what: str,
        most: int,
        key: bytes,
        written: Share,
        measure: Callable[[], Measured],
        short: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._refusal = f"limit of {most} bytes of {what} reached"
        self._most = most
        self._key = key
        self._written = written
        self._measure = measure
        self._short = short
        self._clock = clock
        self._asked = clock()
        self._called = float("-inf")
        self._measured = measure()

    def take(self, size: int) -> str:
        """Take room for so many bytes; why that can't be, or nothing."""
        if self._used() + size > self._most - self._most // NEARLY:
            self._is_scarce(size)
        if self._used() + size > self._most:
            return self._refusal
        self._written.add(self._key, size)
        return ""

    def _used(self) -> int:
        measured, counted = self._measured
        return measured + max(0, self._written.total(self._key) - counted)

    def _is_scarce(self, size: int) -> None:
        """Look again, and call for help if it is so."""
        now = self._clock()
        if now - self._asked >= ASK_AGAIN:
            self._asked = now
            self._measured = self._measure()
        if self._used() + size > self._most - self._most // NEARLY and now - self._called >= ASK_AGAIN:
            self._called = now
            self._short()


class RoomLimit(Limit):
    """The limits of one recording, and the room of the places it counts for. ``sinks`` say what is in its files."""

    def __init__(self, base: Limit, rooms: Sequence[Room], sinks: Collection[FileSink]) -> None:
        super().__init__(0)
        self._base = base
        self._rooms = rooms
        self._sinks = list({id(sink): sink for sink in sinks}.values())
        self._taken = 0
        self._refused = ""

    def reached(self, recorded: int, more: int) -> str:
        """Why ``more`` bytes can't follow the ``recorded`` ones, or nothing."""
        if why := self._base.reached(recorded, more):
            return why
        written = sum([sink.written for sink in self._sinks])
        growth = 1 + written // (recorded or 1)  # time stamps can make a file several times as long
        missing = written + more * growth - self._taken
        if missing > 0 or self._refused:
            self._refused = self._take(max(PORTION, missing))
        return self._refused

    def _take(self, size: int) -> str:
        for room in self._rooms:
            if why := room.take(size):
                return why
        self._taken += size
        return ""


class Totals:
    """What the recordings on each file system take, as the housekeeper found it. Made before the fork."""

    def __init__(self) -> None:
        self._table = memoryview(mmap.mmap(-1, DEVICES * _FIELDS * 8)).cast("Q")

    def publish(self, device: int, measured: Measured) -> None:
        """For the housekeeper. Who reads in between sees one number old; a moment later they agree."""
        for at in range(0, len(self._table), _FIELDS):
            if self._table[at] in (0, device):
                self._table[at + 1], self._table[at + 2] = measured
                self._table[at] = device
                return

    def of(self, device: int) -> Measured:
        """What was found on a file system; (0, 0) where nobody has looked yet."""
        for at in range(0, len(self._table), _FIELDS):
            if self._table[at] == device:
                return self._table[at + 1], self._table[at + 2]
        return 0, 0


class Rooms:
    """The rooms of one process. ``written`` is where it counts, ``call`` wakes the housekeeper.

    ``user_size`` and ``total_size`` are the limits of a user's directory and of a file system.
    """

    def __init__(
        self, user_size: int | None, total_size: Space, written: Share, totals: Totals, call: Callable[[], None]
    ) -> None:
        self._user_size = user_size
        self._total_size = total_size
        self._written = written
        self._totals = totals
        self._call = call
        self._known: WeakValueDictionary[bytes, Room] = WeakValueDictionary()

    def limit(self, base: Limit, path: str, sinks: Mapping[Direction, FileSink], *, own: bool) -> Limit:
        """The limits of a recording at ``path`` (without its ending); ``own``: its directory is one user's."""
        rooms = [self._of_device(sink) for sink in list(sinks.values())[:1]]
        if own and self._user_size is not None:
            rooms.append(self._of_user(str(Path(path).parent), self._user_size))
        found = [room for room in rooms if room is not None]
        return RoomLimit(base, found, sinks.values()) if found else base

    def _of_user(self, directory: str, most: int) -> Room:
        key = os.fsencode(directory)

        def measure() -> Measured:
            counted = self._written.total(key)
            return size_of(directory), counted

        return self._kept(key, lambda: Room("one user", most, key, self._written, measure, self._call))

    def _of_device(self, sink: FileSink) -> Room | None:
        try:
            device, system = os.fstat(sink.fd).st_dev, os.fstatvfs(sink.fd)
        except OSError:  # it does not answer; that is no reason not to record
            return None
        most = self._total_size.most(system.f_blocks * system.f_frsize)
        if most is None:
            return None
        key, measure = key_of(device), partial(self._totals.of, device)
        return self._kept(key, lambda: Room("all recordings", most, key, self._written, measure, self._call))

    def _kept(self, key: bytes, make: Callable[[], Room]) -> Room:
        """One room for all recordings in a place, as long as there are any."""
        room = self._known.get(key)
        if room is None:
            self._known[key] = room = make()
        return room


def key_of(device: int) -> bytes:
    """Under which key the bytes written on a file system are counted; no directory is called so."""
    return _DEVICE + b"%d" % device


def size_of(directory: str) -> int:
    """Bytes of the recordings in a directory; 0 where it can't be read."""
    size = 0
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if stem_of(entry.name):
                with contextlib.suppress(OSError):  # gone meanwhile
                    status = entry.stat(follow_symlinks=False)
                    size += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return size
