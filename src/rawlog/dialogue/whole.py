"""One conversation as a whole: the bytes of each direction, cut into fragments, and put back where they came from.

Knows: how to take a recording into memory, inflate what was recorded compressed, cut it, and give its chunks other
bytes. Must not know: what is replaced and why (sharing.py, pseudonyms.py), files.

It is for recordings that are read to be copied. One recording is in memory at a time; a recorder writes no more than
64 MiB of one conversation unless it was told to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rawlog.dialogue.exchange_pieces import who_is_client
from rawlog.dialogue.redact import Masker
from rawlog.errors import RawlogError
from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.protocols.framing import Fragment
from rawlog.protocols.registry import FRAMERS, framer_for

Edit = tuple[int, int, bytes]
"""The bytes [start, end) of one direction become others."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A conversation in memory. ``fragments`` of each direction lie end to end and cover its ``streams``."""

    recording: Recording
    protocol: str
    client: Direction
    events: Sequence[Event]
    streams: Mapping[Direction, bytes]
    fragments: Mapping[Direction, Sequence[Fragment]]


def take_whole(recording: Recording) -> Whole | None:
    """Takes a recording into memory; None when no byte was recorded.

    Raises RawlogError when nobody knows its protocol: then nobody knows what is secret in it.
    """
    events = list(recording.events)
    if not any(isinstance(event, Chunk) for event in events):
        return None
    if recording.protocol not in FRAMERS:
        raise RawlogError(
            f"{recording.name}: its protocol is not seen, so its secrets are not; "
            f"name it with --protocol: one of {', '.join(FRAMERS)}"
        )
    client = who_is_client(events)[0]
    events = _inflated(events, recording.protocol, client)
    streams = {
        direction: b"".join(e.data for e in events if isinstance(e, Chunk) and e.direction is direction)
        for direction in Direction
    }
    return Whole(recording, recording.protocol, client, events, streams, _cut(events, recording.protocol, client))


def _cut(events: Iterable[Event], protocol: str, client: Direction) -> dict[Direction, list[Fragment]]:
    """The fragments of each direction in the order of their offsets."""
    framer = framer_for(protocol, client=client, hold_limit=None)
    made: dict[Direction, list[Fragment]] = {direction: [] for direction in Direction}
    for event in events:
        if isinstance(event, Chunk):
            for fragment in framer.feed(event.direction, event.data):
                made[fragment.direction].append(fragment)
    for direction in (client, client.other):
        for fragment in framer.end(direction):
            made[fragment.direction].append(fragment)
    return made


def _inflated(events: list[Event], protocol: str, client: Direction) -> list[Event]:
    """The events with the text of what was recorded as it was compressed (RFC 4978); the same when nothing was."""
    if any(isinstance(event, Mark) and event.name == "compress" for event in events):
        return events  # inflated when it was recorded
    masker = Masker(framer_for(protocol, client=client, hold_limit=None, wire_compressed=True), keep=True)
    made: list[Event] = []
    found: set[str] = set()

    def take(new: Iterable[Event]) -> None:
        for event in new:
            made.append(event)
            if isinstance(event, Mark):
                found.add(event.name)

    for event in events:
        if isinstance(event, Mark):
            made.append(event)
        else:
            take(masker.chunk(event.at, event.direction, event.data))
    for direction in (client, client.other):
        take(masker.end(direction))
    return made if found == {"compress"} else events  # what can't be inflated was text already


def with_edits(events: Iterable[Event], edits: Mapping[Direction, Sequence[Edit]]) -> Iterator[Event]:
    """The events with the edits made; what replaces bytes of several chunks stands in the first of them.

    Edits of one direction are in order and do not overlap.
    """
    places = dict.fromkeys(Direction, 0)
    waiting = {direction: list(reversed(edits.get(direction, ()))) for direction in Direction}
    for event in events:
        if isinstance(event, Mark):
            yield event
            continue
        start = places[event.direction]
        places[event.direction] = start + len(event.data)
        data = _edited(event.data, start, waiting[event.direction])
        if data:
            yield Chunk(event.at, event.direction, data)


def _edited(data: bytes, start: int, waiting: list[Edit]) -> bytes:
    """The bytes at offset ``start`` with the edits made that are next; takes those away that are done."""
    parts: list[bytes] = []
    at, end = start, start + len(data)
    while waiting and waiting[-1][0] < end:
        begin, stop, text = waiting[-1]
        parts.append(data[at - start : max(begin, at) - start])
        if begin >= start:
            parts.append(text)
        at = min(stop, end)
        if stop > end:
            break
        waiting.pop()
    parts.append(data[at - start :])
    return b"".join(parts)


def with_streams(events: Iterable[Event], streams: Mapping[Direction, bytes]) -> Iterator[Event]:
    """The events with other bytes of the same number in each direction, cut where they were cut."""
    places = dict.fromkeys(Direction, 0)
    for event in events:
        if isinstance(event, Mark):
            yield event
            continue
        start = places[event.direction]
        end = places[event.direction] = start + len(event.data)
        yield Chunk(event.at, event.direction, streams[event.direction][start:end])
