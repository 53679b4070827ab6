"""Any stretch of one side of a recording, without reading all that precedes it.

Knows: that a decoder can be copied, so that reading can begin again where it has been before. Must not know: what the
bytes mean, what is secret in them; offsets are those of the stream of one direction, as everywhere in the house.

The first time, everything up to the stretch is decoded; on the way a copy of the decoder is put aside every megabyte.
Who decodes the recording anyway (follow_recording.py) can spare that.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from rawlog.errors import RawlogError
from rawlog.events import Chunk, Direction, Event
from rawlog.formats.base import Decoder
from rawlog.reading.follow_recording import GrowingFile, NotARecordingError, decoder_for
from rawlog.reading.names import halves_of
from rawlog.reading.source import PIECE_SIZE, Source, unreadable
from rawlog.reading.unseal import is_sealed

GRAIN = 1 << 20
"""Bytes of a file between two copies of the decoder: decoding them takes a few milliseconds, a copy little memory."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Up to ``offset`` of the file ``decoder`` has given so much of each direction."""

    offset: int
    given: dict[Direction, int]
    decoder: Decoder


def files_of(name: str) -> list[GrowingFile]:
    """The files of a recording as far as they are there: its name is the path of the only one, or the stem of a pair.

    A file that is called ``.in`` or ``.out`` alone is a half, unless its content says that it is all in one.
    """
    if Path(name).is_file():
        suffix = Path(name.removesuffix(".age")).suffix[1:]
        return [GrowingFile(name, direction=Direction(suffix) if suffix in ("in", "out") else None)]
    found = []
    for direction in Direction:
        paths = [path for path in halves_of(name, direction) if Path(path).is_file()]
        found += [GrowingFile(path, direction=direction) for path in paths[:1]]
    return found


def is_sealed_recording(name: str) -> bool:
    """Whether any of its files is sealed: then they can't be followed, and are read from the beginning each time."""
    return any(is_sealed(_head(file.path)) for file in files_of(name))


def _head(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read(PIECE_SIZE)


class Stretches:
    """The bytes of the recording ``name``, piece by piece."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._places: dict[str, list[_Place]] = {}
        self._noted: dict[str, dict[Direction, int]] = {}
        self._lock = threading.Lock()

    def note(self, file: GrowingFile, decoder: Decoder, events: Sequence[Event]) -> None:
        """Somebody has read the file up to ``file.taken``, from its beginning on, and got these events at last."""
        given = self._noted.setdefault(file.path, dict.fromkeys(Direction, 0))
        for event in events:
            if isinstance(event, Chunk):
                given[event.direction] += len(event.data)
        self._keep(file.path, file.taken, given, decoder)

    def read(self, direction: Direction, start: int, end: int) -> Iterator[Chunk]:
        """The bytes from ``start`` to ``end``, as far as they are there, with their times. Raises RawlogError."""
        for file in files_of(self._name):
            if file.half in (None, direction):
                try:
                    yield from self._read(file, direction, start, end)
                except OSError as error:
                    raise unreadable(file.path, error) from None
                except NotARecordingError:
                    raise RawlogError(f"{file.path}: not a recording") from None

    def _read(self, file: GrowingFile, direction: Direction, start: int, end: int) -> Iterator[Chunk]:
        head = _head(file.path)
        if is_sealed(head):
            yield from _from_the_beginning(file, direction, start, end)
            return
        first = _Place(0, dict.fromkeys(Direction, 0), decoder_for(file, head))
        places = self._places.get(file.path, [])
        number = bisect_right(places, start, key=lambda place: place.given[direction])
        place = places[number - 1] if number else first
        with open(file.path, "rb", buffering=0) as source:
            offset, given, decoder = place.offset, dict(place.given), deepcopy(place.decoder)
            source.seek(offset)
            while given[direction] < end and (piece := source.read(PIECE_SIZE)):
                yield from _cut(decoder.feed(piece), given, direction, start, end)
                offset += len(piece)
                self._keep(file.path, offset, given, decoder)
            if given[direction] < end:
                yield from _cut(decoder.end(), given, direction, start, end)

    def _keep(self, path: str, offset: int, given: dict[Direction, int], decoder: Decoder) -> None:
        """A place to begin at, unless there is one near."""
        with self._lock:
            places = self._places.setdefault(path, [])
            if offset >= (places[-1].offset if places else 0) + GRAIN:
                places.append(_Place(offset, dict(given), deepcopy(decoder)))


def _from_the_beginning(file: GrowingFile, direction: Direction, start: int, end: int) -> Iterator[Chunk]:
    """The same for a file that is sealed, of which nothing is kept."""
    source = Source(file.path)
    decoder, given = decoder_for(file, source.head), dict.fromkeys(Direction, 0)
    for piece in source:
        if given[direction] >= end:
            return
        yield from _cut(decoder.feed(piece), given, direction, start, end)
    yield from _cut(decoder.end(), given, direction, start, end)


def _cut(
    events: Sequence[Event], given: dict[Direction, int], direction: Direction, start: int, end: int
) -> Iterator[Chunk]:
    """What lies between ``start`` and ``end`` of some events; counts them in ``given``."""
    found = []
    for event in events:
        if isinstance(event, Chunk):
            at = given[event.direction]
            given[event.direction] = at + len(event.data)
            if event.direction is direction and at < end and at + len(event.data) > start:
                found.append(Chunk(event.at, direction, event.data[max(0, start - at) : end - at]))
    yield from found
