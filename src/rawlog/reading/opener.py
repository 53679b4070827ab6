"""From paths to recordings: whatever Rawlog or Dovecot wrote, in one call.

Knows: which file belongs to which, how to tell the formats by what a file begins with, and how two halves with stamps
become one timeline. Must not know: what the bytes mean beyond the guess of a protocol, and how recordings are shown.

Files are read in pieces when the events are taken, and again each time they are taken.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from rawlog.errors import FormatError, RawlogError
from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.formats.base import STAMP, Decoder
from rawlog.formats.combined import COMBINED_HEAD, CombinedDecoder
from rawlog.formats.dovecot import BLOCK_START, PairDecoder
from rawlog.formats.native import MAGIC, NativeDecoder
from rawlog.protocols.guess import guess_protocol
from rawlog.reading.directory import recordings_below
from rawlog.reading.names import halves_of, parse_name, stem_of
from rawlog.reading.source import HEAD_SIZE, Source, unreadable


def open_recording(path: str | os.PathLike[str], *, protocol: str | None = None, strict: bool = False) -> Recording:
    """The recording at ``path``: one half of a pair (which means the pair, or that half alone where the other is
    missing), the common stem of a pair, a combined or a native file, or ``-`` for standard input.

    ``protocol`` is guessed unless given. ``timed`` is False for a pair without stamps: then all of IN comes before all
    of OUT. With ``strict``, a damaged file raises FormatError with its name and line when its events are taken.
    Raises RawlogError or FormatError, in one line, when there is nothing to read or it is no recording.
    """
    name = os.fspath(path)
    halves = _halves(name)
    if halves:
        return _pair(stem_of(name) if len(halves) > 1 else next(iter(halves.values())).name, halves, protocol, strict)
    source = Source(name)
    if source.head.startswith(MAGIC) or (name.endswith((".rawlog", ".rawlog.age")) and not source.head):
        return _native(source, protocol)
    if COMBINED_HEAD.match(source.head):
        return _combined(source, protocol, strict)
    return _pair(source.name, {_direction(source): source}, protocol, strict)


def open_paths(
    paths: Iterable[str | os.PathLike[str]],
    *,
    protocol: str | None = None,
    on_error: Callable[[RawlogError], None] | None = None,
) -> Iterator[Recording]:
    """The recordings at ``paths``, in that order, each pair once. A directory means all recordings in it and below,
    sorted by their start. They are opened one after the other, as they are taken.

    ``on_error`` is told of what can't be opened, and the next one follows; without it the error is raised.
    """
    seen: set[str] = set()
    for given in paths:
        name = os.fspath(given)
        for path in recordings_below(name, on_error=on_error) if Path(given).is_dir() else [name]:
            if stem_of(path) in seen:
                continue
            seen.add(stem_of(path))
            try:
                yield open_recording(path, protocol=protocol)
            except RawlogError as error:
                if on_error is None:
                    raise
                on_error(error)


# -- which files -------------------------------------------------------------------------------------------------------


def _halves(path: str) -> dict[Direction, Source]:
    """The halves of the pair that ``path`` belongs to, or is the stem of; empty when that is no pair."""
    stem = stem_of(path)
    names_half = stem != path
    if path == "-" or (not names_half and Path(path).exists()):
        return {}
    halves = {
        direction: Source(half)
        for direction in Direction
        for half in sorted(halves_of(stem, direction), key=path.__eq__)  # of two the one that was named
        if Path(half).exists()
    }
    named = next((half for half in halves.values() if half.path == path), None)
    if names_half and not named:
        raise unreadable(path, FileNotFoundError())
    if named and not parse_name(Path(path).name) and _is_one_file(named.head):
        return {}
    return halves


def _is_one_file(head: bytes) -> bool:
    return head.startswith(MAGIC) or COMBINED_HEAD.match(head) is not None


def _direction(source: Source) -> Direction:
    """Which half of a pair a file without a telling name is: the server's words are taken for OUT."""
    text = _beginning(source, PairDecoder(Direction.IN))[Direction.IN]
    protocol, client = guess_protocol(text, b"")
    looks_like_half = protocol or STAMP.match(source.head) or source.head.startswith(BLOCK_START)
    if not looks_like_half:
        raise FormatError(f"{source.name}: not a recording; name an .in or .out file, a combined or a .rawlog file")
    return client


# -- from files to events ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Again:
    """Events that can be taken again: each time from the beginning."""

    take: Callable[[], Iterator[Event]]

    def __iter__(self) -> Iterator[Event]:
        return self.take()


def _decoded(source: Source, decoder: Decoder) -> Iterator[Event]:
    at: int | None = None
    for piece in source:
        for event in decoder.feed(piece):
            at = event.at
            yield event
    for event in decoder.end():
        at = event.at
        yield event
    if source.cut:
        yield Mark(at, "gap", {"cause": source.cut})


def _beginning(source: Source, decoder: Decoder) -> Mapping[Direction, bytes]:
    """The first bytes of both directions, as far as the head of the file holds them."""
    events = list(decoder.feed(source.head))
    if len(source.head) < HEAD_SIZE:
        events += decoder.end()
    chunks = [event for event in events if isinstance(event, Chunk)]
    return {
        direction: b"".join(chunk.data for chunk in chunks if chunk.direction is direction) for direction in Direction
    }


def _pair(name: str, halves: Mapping[Direction, Source], protocol: str | None, strict: bool) -> Recording:
    heads = dict.fromkeys(Direction, b"")
    timed = True
    for direction, source in halves.items():
        decoder = PairDecoder(direction)
        heads[direction] = _beginning(source, decoder)[direction]
        timed = timed and (decoder.stamps is not False or not source.head)
    protocol = protocol or guess_protocol(heads[Direction.IN], heads[Direction.OUT])[0]

    def events() -> Iterator[Event]:
        sides = [
            _decoded(halves[direction], PairDecoder(direction, strict=strict, name=halves[direction].name))
            for direction in (Direction.IN, Direction.OUT)
            if direction in halves
        ]
        return heapq.merge(*sides, key=_time) if timed else chain(*sides)

    return Recording(name, _Again(events), timed=timed, protocol=protocol)


def _time(event: Event) -> int:
    """For the merge, which takes IN first where two are equal, and keeps the order within each direction."""
    return event.at or 0


def _combined(source: Source, protocol: str | None, strict: bool) -> Recording:
    heads = _beginning(source, CombinedDecoder())
    protocol = protocol or guess_protocol(heads[Direction.IN], heads[Direction.OUT])[0]
    events = _Again(lambda: _decoded(source, CombinedDecoder(strict=strict, name=source.name)))
    return Recording(source.name, events, protocol=protocol)


def _native(source: Source, protocol: str | None) -> Recording:
    decoder = NativeDecoder(name=source.name)
    heads = _beginning(source, decoder)
    protocol = protocol or decoder.header.get("protocol")
    protocol = protocol or guess_protocol(heads[Direction.IN], heads[Direction.OUT])[0]
    return Recording(source.name, _Again(lambda: _decoded(source, NativeDecoder(name=source.name))), protocol=protocol)
