"""A row laid open: the lines of both sides in the order of time, with bodies folded; and what is in those.

Knows: how stretches of the two streams become lines. Must not know: HTTP, how a page looks. Secrets are masked here as
everywhere, also in recordings that hold them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rawlog.dialogue.redact import MASK
from rawlog.events import Chunk, Direction
from rawlog.protocols.fragments import Kind, Span
from rawlog.reading.stretches import GRAIN, Stretches
from rawlog.views.escape import neutral
from rawlog.views.mime import outline
from rawlog.web.index import Index

ITEMS = 200
"""Lines and folds that are given at once."""

LINE_SHOWN = 1000
"""Bytes of a line that are shown; a longer one can be read like a folded body."""

TEXT_PIECE = 64 * 1024
"""Bytes of a body that are given at once."""

OUTLINE_LIMIT = 4 << 20
"""Bytes of a message that are looked at for its structure."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A line, or a body that is folded. ``start`` and ``end`` are offsets of its direction."""

    at: int | None
    direction: Direction
    start: int
    end: int
    data: bytes
    body: Kind | None = None


def laid_open(
    index: Index, stretches: Stretches, row: Mapping[str, Any], since: Mapping[Direction, int] | None = None
) -> dict[str, Any]:
    """The lines and folds of a row, from the offsets ``since`` on, and where to go on (None: that was all)."""
    since = since or {}
    spans = {index.client: row.get("said", ()), index.client.other: row.get("heard", ())}
    sides = [_items(index, stretches, direction, spans[direction], since.get(direction, 0)) for direction in spans]
    merged = heapq.merge(*sides, key=lambda item: item.at or 0)
    items = list(islice(merged, ITEMS))
    following = None
    if next(merged, None) is not None:
        ends = dict(since) | {item.direction: item.end for item in items}
        following = {_side(index, direction): ends.get(direction, 0) for direction in Direction}
    return {"items": [_shown(index, item) for item in items], "next": following}


def body_text(
    index: Index, stretches: Stretches, direction: Direction, start: int, end: int, at: int
) -> dict[str, Any]:
    """What is in a body, from offset ``at`` on, as lines of neutral text; at its start also the structure of a message.

    ``next`` is where to go on, None at the end.
    """
    end = min(end, index.known(direction))
    stop = min(end, at + TEXT_PIECE)
    data = _bytes(index, stretches, direction, at, stop)
    lines = data.split(b"\n")
    if stop < end and len(lines) > 1:  # an unfinished line comes with the next piece
        stop -= len(lines.pop())
    structure: list[str] = []
    if at == start:
        kind = next((body.kind for body in index.bodies(direction, start, end)), None)
        whole = data if end <= stop else _bytes(index, stretches, direction, start, min(end, start + OUTLINE_LIMIT))
        structure = list(outline(whole, dotted=kind is Kind.BLOCK))
    if lines and not lines[-1]:
        lines.pop()
    text = [neutral(line.removesuffix(b"\r")) for line in lines]
    return {"lines": text, "outline": structure, "next": stop if stop < end and data else None}


def _items(
    index: Index, stretches: Stretches, direction: Direction, spans: Sequence[Span], since: int
) -> Iterator[_Item]:
    """The lines and bodies of one side, in order."""
    for start, end in spans:
        start = max(start, since)
        reader = _Reader(index, stretches, direction, start, end)
        for body in index.bodies(direction, start, max(start, end)):
            yield from _lines(reader, body.start)
            yield _Item(reader.time(), direction, body.start, body.end, b"", body.kind)
            reader.skip(body.end)
        yield from _lines(reader, end)


class _Reader:
    """Reads one side from ``at`` on, without its secrets."""

    def __init__(self, index: Index, stretches: Stretches, direction: Direction, at: int, end: int) -> None:
        self.direction = direction
        self.at = at
        self._index = index
        self._stretches = stretches
        self._end = end
        self._chunks = stretches.read(direction, at, end)
        self._rest: Chunk | None = None

    def time(self) -> int | None:
        """That of the next byte."""
        self._rest = self._rest or next(self._chunks, None)
        return self._rest.at if self._rest else None

    def upto(self, stop: int) -> Iterator[Chunk]:
        """The bytes up to offset ``stop``."""
        while self.at < stop and (chunk := self._rest or next(self._chunks, None)) is not None:
            data = chunk.data[: stop - self.at]
            self._rest = Chunk(chunk.at, chunk.direction, chunk.data[len(data) :]) if data != chunk.data else None
            start, self.at = self.at, self.at + len(data)
            yield Chunk(chunk.at, chunk.direction, _masked(self._index, self.direction, start, data))

    def skip(self, stop: int) -> None:
        """Goes on at ``stop``: what is far away is not read."""
        if stop - self.at > GRAIN:
            self.at, self._rest = stop, None
            self._chunks = self._stretches.read(self.direction, stop, self._end)
        for _ in self.upto(stop):
            pass


def _lines(reader: _Reader, stop: int) -> Iterator[_Item]:
    """What comes up to ``stop``, cut at line ends. A line has the time of its first byte."""
    line, begun, at = b"", reader.at, None
    for chunk in reader.upto(stop):
        for piece in _split(chunk.data):
            at = at if line else chunk.at
            line += piece
            if piece.endswith(b"\n"):
                yield _Item(at, reader.direction, begun, begun + len(line), line)
                begun, line = begun + len(line), b""
    if line:
        yield _Item(at, reader.direction, begun, begun + len(line), line)


def _split(data: bytes) -> list[bytes]:
    """Lines with their LF."""
    *lines, rest = data.split(b"\n")
    return [line + b"\n" for line in lines] + ([rest] if rest else [])


def _masked(index: Index, direction: Direction, start: int, data: bytes) -> bytes:
    """The bytes at offset ``start`` without their secrets."""
    text = bytearray(data)
    for a, b in index.secrets(direction, start, start + len(data)):
        inside = slice(max(a, start) - start, min(b, start + len(data)) - start)
        text[inside] = text[inside].translate(MASK)
    return bytes(text)


def _bytes(index: Index, stretches: Stretches, direction: Direction, start: int, end: int) -> bytes:
    return b"".join(chunk.data for chunk in _Reader(index, stretches, direction, start, end).upto(end))


def _shown(index: Index, item: _Item) -> dict[str, Any]:
    """An item as JSON can say it."""
    shown: dict[str, Any] = {"side": _side(index, item.direction), "at": item.at}
    place = {"start": item.start, "end": item.end}
    if item.body is not None:
        return {**shown, **place, "fold": item.body.value}
    text = item.data.removesuffix(b"\n").removesuffix(b"\r")
    if len(text) > LINE_SHOWN:
        return {**shown, **place, "text": neutral(text[:LINE_SHOWN]) + " …"}
    return {**shown, "text": neutral(text)}


def _side(index: Index, direction: Direction) -> str:
    return "client" if direction is index.client else "server"
