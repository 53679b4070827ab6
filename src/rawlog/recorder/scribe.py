"""Writes the journal of an unbreakable conversation into its files, each byte once, whoever dies in between.

Knows: a journal in shared memory, an encoder that can be pickled, files that only we write. Must not know: sockets,
what the bytes mean (the reader does). It is the recorder of :mod:`rawlog.engine.splice`: there nothing may wait in the
memory of a process.

A flush encodes all pieces, writes them, and then settles the journal: the sizes of the files and the encoder's state
are stored, and count from one store on. Who is killed before that store leaves files that are longer than what counts;
the successor cuts them to that size and does the same flush again, from the same state. When a file can't be written
it is cut likewise, and the flush is tried again later; the journal takes what comes meanwhile, and what does not fit
is counted and marked as a gap.
"""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable, Mapping
from typing import Protocol

from rawlog.engine.ledger import READ_MAX, Journal
from rawlog.events import Direction, Event, Mark
from rawlog.formats.base import Encoder
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.gap import Gap, begin_line
from rawlog.recorder.limits import Limit
from rawlog.recorder.sinks import FileSink
from rawlog.recorder.track import FIRST_RETRY, LAST_RETRY, advice_for, cause_of

STEP = 64 << 10
PIECES = 128
"""Bytes, and pieces, that are encoded, written and settled at a time: who is killed often must get on."""
SLOW_READ = 16 << 10
"""Bytes of the largest read of a conversation that has to be understood: a step of it shall be short, too."""

_SIDES = (Direction.IN, Direction.OUT)
_Encoded = tuple[list[bytes], list[bytes]]


class Reader(Protocol):
    """What stands between the bytes and the record: it may mask, inflate, hold back. It can be pickled."""

    @property
    def slow(self) -> bool:
        """Whether it has to understand what it sees."""

    @property
    def plain(self) -> bool:
        """Whether it gives everything as it is, from now on."""

    def chunk(self, at: int, direction: Direction, data: bytes) -> list[Event]:
        """What is to be recorded now."""

    def end(self, direction: Direction) -> list[Event]:
        """The same at the end of a direction."""


class _State:
    """What must survive: pickled at each checkpoint."""

    def __init__(self, encoder: Encoder, reader: Reader) -> None:
        self.encoder = encoder
        self.reader = reader
        self.in_line = [False, False]
        self.told = [0, 0]  # lost bytes that a gap in the files tells of
        self.recorded = 0  # bytes of the conversation, both directions
        self.gap: Gap | None = None  # open while a limit is reached
        self.closed = False


class Scribe:
    """Records one conversation. ``files`` by direction; a direction without one is not recorded.

    Made over a journal that a predecessor has left, it cuts the files to what counts and goes on from there; ``lapsed``
    is True when that is not possible, since the state was too long to be kept.
    """

    def __init__(
        self,
        journal: Journal,
        files: Mapping[Direction, FileSink],
        encoder: Encoder,
        reader: Reader,
        *,
        name: str,
        report: Callable[[str], None],
        flusher: Flusher,
        now: Callable[[], int],
        limit: Limit | None = None,
    ) -> None:
        self.name = name
        self._limit = limit
        self.journal = journal
        self._files = files
        self._report = report
        self._flusher = flusher
        self._now = now
        self._told: set[str] = set()
        self._retry_at = 0.0
        self._delay = 0.0
        self._trouble = ""
        self._since: int | None = None
        checkpoint = journal.checkpoint()
        self._sizes = self._cut(checkpoint.sizes)
        self.lapsed = checkpoint.start > 8 and not checkpoint.state
        self._kept = checkpoint.state or pickle.dumps(_State(encoder, reader), protocol=5)
        self._begin_again()
        journal.on_dirty = self._dirty
        journal.holed = list(journal.lost) != self._state.told
        if journal.used or journal.holed:
            self._dirty()

    def _begin_again(self) -> None:
        """From the last checkpoint."""
        self._state: _State = pickle.loads(self._kept)
        self._encoded: _Encoded = ([], [])

    def _cut(self, wanted: tuple[int, int]) -> tuple[int, int]:
        """Cut the files to what counts; their sizes then. Somebody else may have made one shorter."""
        sizes = [0, 0]
        for side, direction in enumerate(_SIDES):
            file = self._files.get(direction)
            if file is not None:
                sizes[side] = min(wanted[side], os.fstat(file.fd).st_size)
                with contextlib.suppress(OSError):
                    os.ftruncate(file.fd, sizes[side])
        return sizes[0], sizes[1]

    def _dirty(self) -> None:
        if self._since is None:
            self._since = self._now()
        self._flusher.add(self)

    # -- a flush ------------------------------------------------------------------------------------------------------

    @property
    def behind(self) -> bool:
        """Whether a predecessor has left so much that it should be flushed at once."""
        return self.journal.full or self.journal.holed

    def flush(self) -> bool:
        """Write what waits, unless a failed file is to be left alone for a while. True when something still waits."""
        journal = self.journal
        while journal.used or journal.holed:
            if self._trouble and self._flusher.now() < self._retry_at:
                return True
            if not self._write(self._encode):
                return True
        return False

    def _write(self, encode: Callable[[], int]) -> bool:
        """Encode and write a step, and settle it; False when a file can't be written.

        What else is raised kills the process, and the ledger must say in whose conversation.
        """
        ledger = self.journal.ledger
        before = ledger.current
        ledger.work_on(self.journal.slot)
        try:
            self._settle(encode())
        except OSError as error:
            self._failed(error)
            ledger.work_on(before)
            return False
        ledger.work_on(before)
        self._trouble, self._delay, self._since = "", 0.0, None
        return True

    def _settle(self, upto: int) -> None:
        """Write what is encoded, which is the journal up to there; from then on it counts."""
        sizes = list(self._sizes)
        for side, direction in enumerate(_SIDES):
            file, pieces = self._files.get(direction), self._encoded[side]
            if file is not None and pieces:
                before = file.written
                file.write(b"".join(pieces))
                sizes[side] += file.written - before
                pieces.clear()
        self._kept = pickle.dumps(self._state, protocol=5)
        self._sizes = sizes[0], sizes[1]
        try:
            self.journal.settle(upto, self._sizes, self._kept)
        except ValueError:  # it is kept in this process only, and a successor says that it can't go on
            self.journal.settle(upto, self._sizes, b"")
        self.journal.holed = list(self.journal.lost) != self._state.told

    def _encode(self, *, everything: bool = False) -> int:
        """Some pieces as bytes for the files, and what is missing behind them; returns up to where."""
        reader, size, upto = self._state.reader, 0, self.journal.end
        for number, (at, direction, data, end) in enumerate(self.journal.pieces(), 1):
            if reader.plain:
                self._put_bytes(at, direction, bytes(data))
            else:
                self._put(reader.chunk(at, direction, bytes(data)))
            size += len(data)
            if (size >= STEP or number >= PIECES) and not everything:
                upto = end
                break
        self.journal.read_max = SLOW_READ if reader.slow else READ_MAX
        if upto == self.journal.end:
            self._tell_gap()
        return upto

    def _tell_gap(self) -> None:
        lost = self.journal.lost
        for side, direction in enumerate(_SIDES):
            missing = lost[side] - self._state.told[side]
            if missing:
                gap = Gap(self._trouble or "no room in the journal", self._since, self._now())
                gap.add(self._now(), direction, missing)
                self._line(side, gap.line(direction))
        self._state.told = list(lost)

    def _put(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Mark):
                self._encoded[0].append(self._state.encoder.mark(event))
            else:
                self._put_bytes(event.at, event.direction, event.data)

    def _put_bytes(self, at: int | None, direction: Direction, data: bytes) -> None:
        if direction not in self._files:
            return
        state, size = self._state, len(data)
        if self._limit is not None and (cause := self._limit.reached(state.recorded, size)):
            self._refuse(at, direction, size, cause)
            return
        if state.gap is not None:
            self._end_gap(state.gap)
        state.recorded += size
        self._append(at, direction, data)

    def _append(self, at: int | None, direction: Direction, data: bytes) -> None:
        side = direction is Direction.OUT
        self._state.in_line[side] = data[-1] != 10
        self._encoded[side].append(self._state.encoder.chunk(at, direction, data))

    def _refuse(self, at: int | None, direction: Direction, size: int, cause: str) -> None:
        """A limit is reached: the recording says so once, and how much is missing when it goes on, or ends."""
        gap = self._state.gap
        if gap is None:
            gap = self._state.gap = Gap(cause, at, at)
            self._tell(f"recording to {self._path()} stops: {cause}; the conversation goes on")
            self._line(_SIDES.index(direction), begin_line(cause))
        gap.add(at, direction, size)

    def _end_gap(self, gap: Gap) -> None:
        self._state.gap = None
        for direction in gap.lost:
            self._line(_SIDES.index(direction), gap.line(direction))

    def _line(self, side: int, line: bytes) -> None:
        """A line of ours in the stream of a direction."""
        if _SIDES[side] in self._files:
            self._append(self._now(), _SIDES[side], b"\r\n" + line if self._state.in_line[side] else line)

    def _failed(self, error: OSError) -> None:
        """Nothing of this flush counts: cut the files, and take back what encoder and reader have learned."""
        self._cut(self._sizes)
        self._begin_again()
        self._trouble = cause_of(error)
        self._delay = min(self._delay * 2, LAST_RETRY) or FIRST_RETRY
        self._retry_at = self._flusher.now() + self._delay
        self._tell(
            f"recording to {self._path()} failed: {self._trouble}; {advice_for(error)}; "
            "the conversation goes on and recording is tried again"
        )

    # -- the end ------------------------------------------------------------------------------------------------------

    def close(self, at: int, reason: str) -> None:
        """The conversation is over. Writes everything, and says what could not be written."""
        if self.journal.used > STEP:
            self.flush()
        if not self._state.closed and not self._write(lambda: self._encode_end(at, reason)):
            waiting = [0, 0]
            for _, direction, data, _ in self.journal.pieces():
                waiting[direction is Direction.OUT] += len(data)
            lost = [waiting[side] + self.journal.lost[side] - self._state.told[side] for side in range(2)]
            self._tell(f"{lost[0]} bytes of .in and {lost[1]} bytes of .out are not in the recording ({self._trouble})")
            self.journal.release()
        self._files = {}

    def _encode_end(self, at: int, reason: str) -> int:
        state = self._state
        self._encode(everything=True)
        for direction in _SIDES:
            self._put(state.reader.end(direction))
        if state.gap is not None:
            self._end_gap(state.gap)
        self._put([Mark(at, "closed", {"reason": reason})])
        for side, direction in enumerate(_SIDES):
            self._encoded[side].append(state.encoder.end(direction))
        state.closed = True
        return self.journal.end

    def stop(self, cause: str) -> None:
        """Nothing more is recorded, and what waits neither; the files say so. For what always kills the recorder."""
        self._tell(f"recording to {self._path()} stops: {cause}; the conversation goes on unrecorded")
        self._begin_again()
        for side in range(2):
            self._line(side, begin_line(cause))
        with contextlib.suppress(OSError):
            self._settle(self.journal.end)
        self.journal.release()

    def _path(self) -> str:
        return next(iter(self._files.values())).name.rpartition(".")[0] if self._files else "no file"

    def _tell(self, sentence: str) -> None:
        """Report something, once."""
        if sentence not in self._told:
            self._told.add(sentence)
            with contextlib.suppress(Exception):
                self._report(f"{self.name}: {sentence}")
