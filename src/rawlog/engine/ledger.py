"""Memory that outlives the process that writes to it: what happened to bytes in flight, and the record not yet written.

Knows: places for conversations, a commit word, pieces of a journal, who owns what a pipe holds. Must not know:
sockets, files, formats, what a recording looks like. It is what makes a killed worker's successor go on at the very
byte: everything counts from the moment one aligned 64-bit number is stored, and a store happens or it does not.

A conversation has a slot of :data:`SLOT` bytes::

    word  0  state: FREE, LIVE or DONE
          1  silent: 0, or why nothing more is recorded (see holder)
          2  area: number of the journal's area plus 1, or 0
          3  appended: bytes ever put into the journal; THE COMMIT of a piece
          4  base of IN, 5 base of OUT: ``appended`` when the last turn of that direction began; 0: not to be recorded
          6  copy: which of the two checkpoints counts; THE COMMIT of a flush
          7  origin: ``appended`` when the area was empty
          8  bytes of IN that there was no room for, 9 of OUT; they only grow
         16  checkpoint 0, and behind it checkpoint 1: start, files' sizes, length of the state, the state

A piece in the journal is (time, direction and size, bytes), padded to 8. The area holds the pieces from ``origin`` to
``appended``; those before ``start`` are in the files. A state that is longer than :data:`INLINE` bytes lies in a region
of its own.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rawlog.events import Direction

FREE, LIVE, DONE = 0, 1, 2

SMALL, LARGE = 16 << 10, 512 << 10
"""Bytes of an area of the journal: of a conversation of commands and answers, and of one that moves much."""
SMALLS, LARGES = 2048, 64
"""How many of them there are: 64 MiB of addresses, of which only what was ever used takes memory."""
MUCH = 6 << 10
"""Bytes of a piece that is more than a command or an answer: room for larger ones follows it."""
READ_MAX = 224 << 10
"""Bytes of the largest piece."""
SLOT = 1024
BLOB = 1 << 20
"""Bytes of the longest state. It is read and written, not mapped: Dovecot limits address space (vsz_limit)."""
PIPES = 8192
"""Pipes that can be owned: two for each conversation that stands still, and some."""
INLINE = 416

_STATE, _SILENT, _AREA, _APPENDED, _BASE, _COPY, _ORIGIN, _LOST = 0, 1, 2, 3, 4, 6, 7, 8
_CHECKPOINTS, _CHECKPOINT = 16, 56  # words
_HEAD = 8  # words before the owners
_PIECE = struct.Struct("=qII")
_SIDES = (Direction.IN, Direction.OUT)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is true once a flush is done: up to where the journal is in the files, their sizes, and a state."""

    start: int
    sizes: tuple[int, int]
    state: bytes


class Ledger:
    """The whole memory, for ``places`` conversations. ``fd`` makes it again in a process that has no copy of it.

    ``reclaim()`` is called when all areas are taken; it has to settle some journals.
    """

    def __init__(self, places: int, fd: int | None = None, *, smalls: int = SMALLS, larges: int = LARGES) -> None:
        self.places = places
        self._slots = 8 * (_HEAD + PIPES)
        self._areas = -(-(self._slots + places * SLOT) // mmap.PAGESIZE) * mmap.PAGESIZE
        self._smalls = smalls
        self._blobs = self._areas + smalls * SMALL + larges * LARGE
        self.fd = os.memfd_create("rawlog-ledger", os.MFD_CLOEXEC) if fd is None else fd
        try:
            os.ftruncate(self.fd, self._blobs + places * 2 * BLOB)
            self.bytes = memoryview(mmap.mmap(self.fd, self._blobs))
        except OSError:
            os.close(self.fd)
            raise
        self.words = self.bytes.cast("Q")
        self.owners = self.words[_HEAD : _HEAD + PIPES]
        self.reclaim: Callable[[], None] = _nothing
        self._free = {False: list(range(smalls)), True: list(range(smalls, smalls + larges))}

    @property
    def current(self) -> int | None:
        """The slot that is being worked on: whose fault it is when the worker dies by itself."""
        return self.words[0] - 1 if self.words[0] else None

    def work_on(self, slot: int | None) -> None:
        """Say so before anything of it is touched; None: nothing more."""
        self.words[0] = 0 if slot is None else slot + 1

    # -- pipes --------------------------------------------------------------------------------------------------------

    def own(self, pipe: int, owner: int) -> None:
        """What the pipe holds from now on belongs to ``owner``: twice the slot, plus 1 for OUT, plus 1; 0: nobody."""
        self.owners[pipe] = owner

    def owner(self, pipe: int) -> tuple[int, Direction] | None:
        """Slot and direction of what the pipe holds."""
        value = self.owners[pipe]
        return ((value - 1) >> 1, _SIDES[(value - 1) & 1]) if value else None

    # -- slots --------------------------------------------------------------------------------------------------------

    def word(self, slot: int) -> int:
        """Where the words of a slot begin."""
        return (self._slots + slot * SLOT) >> 3

    def state(self, slot: int) -> int:
        """FREE, LIVE or DONE."""
        return self.words[self.word(slot) + _STATE]

    def set_state(self, slot: int, state: int) -> None:
        """Say what a slot is."""
        self.words[self.word(slot) + _STATE] = state

    def silent(self, slot: int) -> int:
        """Whether, and since which stage, nothing is recorded."""
        return self.words[self.word(slot) + _SILENT]

    def set_silent(self, slot: int, stage: int) -> None:
        """Record nothing more."""
        self.words[self.word(slot) + _SILENT] = stage

    def clear(self, slot: int) -> None:
        """Make a slot new: LIVE, nothing in it."""
        begin = self.word(slot)
        self.bytes[8 * begin : 8 * begin + SLOT] = bytes(SLOT)
        self.words[begin + _APPENDED] = 8  # so that no base is 0 by chance
        self.words[begin + _CHECKPOINTS] = 8
        self.words[begin + _STATE] = LIVE

    def blob(self, slot: int, copy: int) -> int:
        """Where a long state begins."""
        return self._blobs + (2 * slot + copy) * BLOB

    # -- areas --------------------------------------------------------------------------------------------------------

    def area(self, number: int) -> int:
        """Where an area begins."""
        large = max(0, number - self._smalls)
        return self._areas + (number - large) * SMALL + large * LARGE

    def area_size(self, number: int) -> int:
        """Bytes of an area."""
        return SMALL if number < self._smalls else LARGE

    def take_area(self, large: bool) -> int | None:
        """A free area of the wanted size, or of the other one."""
        if not any(self._free.values()):
            self.reclaim()
        free = self._free[large] or self._free[not large]
        return free.pop() if free else None

    def give_area(self, number: int) -> None:
        """It is free again."""
        self._free[number >= self._smalls].append(number)

    def claim_areas(self, taken: set[int]) -> None:
        """Take over from a predecessor: these areas are in use."""
        for free in self._free.values():
            free[:] = [number for number in free if number not in taken]


class Journal:
    """The pieces of one conversation that are not yet in its files. Made anew, it goes on where another one was killed.

    ``due`` is True when it should be flushed at once. ``holed``: bytes were lost, so what follows must not be put in
    before the hole is in the files. ``read_max``: bytes of the largest piece. ``on_dirty()`` is called when the first
    piece comes.
    """

    # fmt: off
    __slots__ = (
        "_appended", "_area", "_begin", "_bytes", "_end", "_full", "_large", "_much", "_start", "_word", "_words",
        "due", "holed", "ledger", "on_dirty", "read_max", "slot",
    )
    # fmt: on

    def __init__(self, ledger: Ledger, slot: int) -> None:
        self.slot = slot
        self.ledger = ledger
        self._words = ledger.words
        self._bytes = ledger.bytes
        self._word = ledger.word(slot)
        self._appended = self._words[self._word + _APPENDED]
        self._start = self._words[self._checkpoint()]
        area = self._words[self._word + _AREA]
        self._area: int | None = area - 1 if area and self._appended > self._start else None
        self._begin = self._end = self._full = 0
        self._large = self._much = False
        if self._area is not None:
            self._settle_in(self._area)
        self.read_max = READ_MAX
        self.due = self.holed = False
        self.on_dirty: Callable[[], None] = _nothing

    @property
    def area(self) -> int | None:
        """The area it has, if any."""
        return self._area

    @property
    def end(self) -> int:
        """What to settle when everything is in the files."""
        return self._appended

    @property
    def used(self) -> int:
        """Bytes in it."""
        return self._appended - self._start

    @property
    def full(self) -> bool:
        """Whether it is to be flushed at once; also true where a predecessor has left so much."""
        return self._area is not None and self.used >= self._full

    # -- a turn -------------------------------------------------------------------------------------------------------

    def room(self) -> memoryview | None:
        """Where the bytes of a next piece may be put; None when there is no room left."""
        if self.holed or (self._area is None and not self._open()):
            return None
        at = self._begin + self._appended + 16
        return self._bytes[at : min(self._end, at + self.read_max)] if at < self._end else None

    def _open(self) -> bool:
        """Take an area; False when there is none."""
        area = self.ledger.take_area(self._large)
        if area is None:
            return False
        self._area = area
        self._words[self._word + _ORIGIN] = self._appended
        self._words[self._word + _AREA] = area + 1
        self._settle_in(area)
        self.on_dirty()
        return True

    def widen(self) -> None:
        """Take a large area, when nothing is in the small one."""
        if not self.used:
            self.release()
            self._large = True

    def _settle_in(self, area: int) -> None:
        """Remember where the area is: where piece 0 would lie if it had all pieces that ever were, and its end."""
        place, size = self.ledger.area(area), self.ledger.area_size(area)
        self._begin = place - self._words[self._word + _ORIGIN]
        self._end = place + size
        self._full = size // 2 if size == SMALL else size // 4

    def begin(self, side: int) -> None:
        """A turn of a direction (0 IN, 1 OUT) begins: what a pipe of it holds from now on is not yet recorded."""
        self._words[self._word + _BASE + side] = self._appended

    def skip(self, side: int) -> None:
        """What a pipe of this direction holds from now on is not to be recorded."""
        self._words[self._word + _BASE + side] = 0

    def recorded(self, side: int) -> bool:
        """Whether what a pipe of this direction holds has been put in here, or need not be."""
        base = self._words[self._word + _BASE + side]
        return not base or self._words[self._word + _APPENDED] > base

    def commit(self, at: int, side: int, size: int) -> None:
        """The ``size`` bytes in :meth:`room` count."""
        _PIECE.pack_into(self._bytes, self._begin + self._appended, at, side, size)
        self._appended += 16 + (size + 7 & ~7)
        self._words[self._word + _APPENDED] = self._appended
        if self._appended - self._start >= self._full:
            self.due = True
        if size >= MUCH:
            self._much = True

    def lose(self, side: int, size: int) -> None:
        """Bytes that there was no room for."""
        self._words[self._word + _LOST + side] += size
        self.due = self.holed = True
        self.on_dirty()

    # -- a flush ------------------------------------------------------------------------------------------------------

    @property
    def lost(self) -> tuple[int, int]:
        """Bytes that there never was room for, of IN and OUT."""
        begin = self._word + _LOST
        return self._words[begin], self._words[begin + 1]

    def pieces(self) -> Iterator[tuple[int, Direction, memoryview, int]]:
        """What is in it: time, direction, bytes, and what to settle when everything up to here is in the files."""
        at = self._start
        while at < self._appended:
            place = self._begin + at
            time, side, size = _PIECE.unpack_from(self._bytes, place)
            at += 16 + (size + 7 & ~7)
            yield time, _SIDES[side], self._bytes[place + 16 : place + 16 + size], at

    def checkpoint(self) -> Checkpoint:
        """What counts."""
        begin = self._checkpoint()
        start, size_in, size_out, length = self._words[begin : begin + 4]
        if length <= INLINE:
            state = bytes(self._bytes[8 * begin + 32 : 8 * begin + 32 + length])
        else:
            where = self.ledger.blob(self.slot, self._words[self._word + _COPY])
            state = os.pread(self.ledger.fd, length, where)
        return Checkpoint(start, (size_in, size_out), state)

    def settle(self, upto: int, sizes: tuple[int, int], state: bytes) -> None:
        """The pieces up to there are in the files, which have these sizes now.

        Raises ValueError for a state that is too long.
        """
        if len(state) > BLOB:
            raise ValueError(f"a state of {len(state)} bytes; {BLOB} is the limit")
        copy = 1 - self._words[self._word + _COPY]
        begin = self._word + _CHECKPOINTS + copy * _CHECKPOINT
        struct.pack_into("=QQQQ", self._bytes, 8 * begin, upto, *sizes, len(state))
        if len(state) <= INLINE:
            self._bytes[8 * begin + 32 : 8 * begin + 32 + len(state)] = state
        else:
            os.pwrite(self.ledger.fd, state, self.ledger.blob(self.slot, copy))
        self._words[self._word + _COPY] = copy
        self._start = upto
        if upto == self._appended:
            self._large, self._much = self._much, False
            self.due = False
            self.release()

    def release(self) -> None:
        """Give the area back."""
        if self._area is not None:
            self._words[self._word + _AREA] = 0
            self.ledger.give_area(self._area)
            self._area = None

    def _checkpoint(self) -> int:
        return self._word + _CHECKPOINTS + self._words[self._word + _COPY] * _CHECKPOINT


def _nothing() -> None:
    """No journal can be settled."""
