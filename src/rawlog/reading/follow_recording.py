"""One recording while it grows: its files, what has been read of them, and the order of what comes.

Knows: decoders, and that one half of a pair may be written a little later than the other. Must not know: directories,
clocks.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rawlog.errors import FormatError
from rawlog.events import Direction, Event
from rawlog.formats.base import Decoder
from rawlog.formats.combined import COMBINED_HEAD, CombinedDecoder
from rawlog.formats.dovecot import PairDecoder
from rawlog.formats.native import MAGIC, NativeDecoder
from rawlog.reading.names import parse_name
from rawlog.reading.unseal import is_sealed

SETTLE = 500_000
"""Microseconds that a half of a pair may be behind the other. Recorders write both at least that often."""

READ_LIMIT = 8 << 20
"""Bytes that are taken of one file at once, so that a fast one does not keep the others waiting."""


class NotARecordingError(Exception):
    """A file is none; it may be anything."""


@dataclass(slots=True)
class GrowingFile:
    """A file: ``seen`` bytes were there before the following began, ``taken`` are read.

    ``direction`` says which half of a pair it is where its name doesn't.
    """

    path: str
    seen: int = 0
    taken: int = 0
    direction: Direction | None = None

    @property
    def half(self) -> Direction | None:
        """Which half of a pair it is, None for all in one."""
        name = parse_name(self.path.rpartition("/")[2])
        return name.direction if name else self.direction


Note = Callable[[GrowingFile, Decoder, Sequence[Event]], None]


class GrowingRecording:
    """Gives the events of a recording as they are written. ``note`` is told what each reading of a file has given."""

    def __init__(self, note: Note | None = None) -> None:
        self._note = note
        self._decoders: dict[str, Decoder] = {}
        self._waiting: dict[Direction, deque[Event]] = {direction: deque() for direction in Direction}
        self._last = dict.fromkeys(Direction, 0)  # the last time seen in each half

    def begin(self, files: list[GrowingFile]) -> Iterator[Event]:
        """What was there before the following began, in order. Raises OSError, NotARecordingError, FormatError."""
        for file in files:
            file.taken = 0
        return heapq.merge(*(self._old(file) for file in files), key=lambda event: event.at or 0)

    def take(self, file: GrowingFile) -> Iterator[Event]:
        """What has been added to a file, as far as it need not wait. Raises as ``begin``."""
        half = file.half
        for event in self._read(file, READ_LIMIT):
            if event.at is None or half is None:
                yield event
            else:
                self._waiting[half].append(event)
                self._last[half] = max(event.at, self._last[half])

    def settled(self, now: int | None) -> Iterator[Event]:
        """What has waited, in order, as far as nothing can precede it any more; all of it when ``now`` is None."""
        while any(self._waiting.values()):
            half = min((d for d in Direction if self._waiting[d]), key=lambda d: self._waiting[d][0].at or 0)
            at = self._waiting[half][0].at or 0
            if now is not None and self._last[half.other] < at and now - at < SETTLE:
                return
            yield self._waiting[half].popleft()

    def _old(self, file: GrowingFile) -> Iterator[Event]:
        while file.taken < file.seen:
            events = self._read(file, min(READ_LIMIT, file.seen - file.taken))
            if not events and file.taken < file.seen:
                continue
            yield from events

    def _read(self, file: GrowingFile, size: int) -> list[Event]:
        with open(file.path, "rb", buffering=0) as source:
            source.seek(file.taken)
            piece = source.read(size)
        if not piece:
            file.seen = min(file.seen, file.taken)  # it has been cut
            return []
        if file.path not in self._decoders:
            self._decoders[file.path] = decoder_for(file, piece)
        file.taken += len(piece)
        decoder = self._decoders[file.path]
        events = list(decoder.feed(piece))
        if self._note is not None:
            self._note(file, decoder, events)
        return events


def decoder_for(file: GrowingFile, head: bytes) -> Decoder:
    """The decoder for a file that begins with ``head``. Raises NotARecordingError when that is no recording."""
    if is_sealed(head):
        raise FormatError(f"{file.path}: is sealed; when it is finished: rawlog show --identity FILE")
    if head.startswith(MAGIC):
        return NativeDecoder(name=file.path)
    if COMBINED_HEAD.match(head):
        return CombinedDecoder()
    half = file.half
    if half is None:
        raise NotARecordingError(file.path)
    return PairDecoder(half)
