"""Our own format: one file for a conversation, loss-free, with the time and the length of each read, and with marks.

Knows: the public format that docs/formats/native.md describes, version 1. Must not know: files, protocols, clocks.

The first line is ``rawlog 1`` and a JSON object of texts. Then each event has a line of its own, and a chunk its bytes
after that, closed by an LF::

    1795385217.427810 in 9
    a2 NOOP
    1795385217.430000 mark login {"user": "alice"}

A crash tears at most the end. What is torn is given as far as it is there, and a mark ``gap`` says what is missing.
A writer that failed in the middle of an event and goes on later begins with a mark ``gap``: it is written after an LF
of its own, so that the reader finds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from rawlog.errors import FormatError
from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.formats.base import stamp, stamp_time

MAGIC = b"rawlog "
VERSION = 1

EVENT_LIMIT = 1 << 20
"""Longest data of one event, and longest line. Reads are at most 256 KiB; with a limit, a damaged length can't make
a reader take a whole file into its memory. A longer chunk is written as several."""

_EVENT = re.compile(
    rb"([0-9]{1,12}\.[0-9]{6}|-) (?:(in|out) ([0-9]{1,7})|mark ([a-z][a-z0-9_.-]*) (\{[^\n]*\}))\n",
)
_NEXT_EVENT = re.compile(rb"\n(?=%b)" % _EVENT.pattern)
_NEXT_GAP = re.compile(rb"\n(?=(?:[0-9]{1,12}\.[0-9]{6}|-) mark gap \{[^\n]*\}\n)")
_HEADER = re.compile(rb"rawlog ([0-9]{1,9}) ([^\n]*)\n")


class NativeEncoder:
    """Writes the native format. ``header`` holds what is known at the start: ``name``, ``protocol``, ``server``, ..."""

    single = True

    def __init__(self, header: Mapping[str, str]) -> None:
        self._header = b"%b%d %b\n" % (MAGIC, VERSION, _json(header))

    def chunk(self, at: int | None, direction: Direction, data: bytes) -> bytes:
        """One event for one read. Nothing for an empty one."""
        if len(data) > EVENT_LIMIT:
            parts = (data[cut : cut + EVENT_LIMIT] for cut in range(0, len(data), EVENT_LIMIT))
            return b"".join(self.chunk(at, direction, part) for part in parts)
        if not data:
            return b""
        side = b"in" if direction is Direction.IN else b"out"
        return b"%b%b%b %d\n%b\n" % (self._first(), _time(at), side, len(data), data)

    def mark(self, mark: Mark) -> bytes:
        """One line. A name is lower-case letters, digits, ``_``, ``.``, ``-``; what else it has becomes ``_``."""
        name = re.sub(r"[^a-z0-9_.-]", "_", mark.name)
        name = name if name[:1].isalpha() else "x" + name
        empty_line = b"\n" if name == "gap" else b""
        return b"%b%b%bmark %b %b\n" % (self._first(), empty_line, _time(mark.at), name.encode(), _json(mark.detail))

    def end(self, direction: Direction) -> bytes:
        """The first line, when nothing ever happened."""
        return self._first()

    def _first(self) -> bytes:
        header, self._header = self._header, b""
        return header


def _time(at: int | None) -> bytes:
    return b"- " if at is None else stamp(at)


def _json(detail: Mapping[str, str]) -> bytes:
    return json.dumps(dict(detail)).encode("ascii")


class NativeDecoder:
    """Reads the native format. ``header`` is what the first line says, once it was read.

    Raises FormatError, which names ``name``, when the first line is not one of this format or version. Nothing else
    raises: damage is passed over up to the next event, and a mark ``gap`` with its ``cause`` stands in its place.
    """

    def __init__(self, *, name: str = "recording") -> None:
        self.header: Mapping[str, str] = {}
        self._name = name
        self._begun = False
        self._buffer = b""
        self._at: int | None = None
        self._skipped = 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that ``data`` completes."""
        return self._decode(data, final=False)

    def end(self) -> list[Event]:
        """What was held back: the torn end of the recording, if it has one."""
        events = self._decode(b"", final=True)
        if self._skipped:
            events.append(self._gap(cause="damaged", skipped=self._skipped))
        return events

    def _decode(self, data: bytes, *, final: bool) -> list[Event]:
        buffer = self._buffer + data
        events: list[Event] = []
        position = 0 if self._begun else self._read_header(buffer)
        while self._begun and position < len(buffer):
            ahead = self._event(buffer, position, events, final)
            if ahead == position:
                break
            position = ahead
        self._buffer = buffer[position:]
        if final and not self._begun and buffer:
            self._skipped = len(buffer)
        return events

    def _read_header(self, buffer: bytes) -> int:
        """Reads the first line. Returns where the events begin, 0 while the line is not whole."""
        found = _HEADER.match(buffer)
        if not found:
            may_become_one = buffer.startswith(MAGIC) or MAGIC.startswith(buffer)
            if may_become_one and b"\n" not in buffer and len(buffer) <= EVENT_LIMIT:
                return 0
            raise FormatError(f"{self._name}: line 1: 'rawlog {VERSION}' expected, got {buffer[:1]!r}")
        if int(found[1]) != VERSION:
            raise FormatError(
                f"{self._name}: line 1: format version {int(found[1])}, only version {VERSION} is known here; "
                "read it with a newer rawlog"
            )
        self.header = _texts(found[2]) or {}
        self._begun = True
        return found.end()

    def _event(self, buffer: bytes, position: int, events: list[Event], final: bool) -> int:
        """Reads what stands at ``position``. Returns where the next event begins; the same when more is needed."""
        if buffer[position] == 10:
            return position + 1
        found = _EVENT.match(buffer, position)
        if not found:
            return self._skip(buffer, position, final)
        detail = _texts(found[5]) if found[4] else {}
        length = int(found[3] or 0)
        if detail is None or length > EVENT_LIMIT:
            return self._skip(buffer, position, final)
        end = found.end() if found[4] else self._data_end(buffer, found.end(), length, final)
        if end < 0:
            return position
        if self._skipped:
            events.append(self._gap(cause="damaged", skipped=self._skipped))
            self._skipped = 0
        self._at = None if found[1] == b"-" else stamp_time(found[1])
        if found[4]:
            events.append(Mark(self._at, found[4].decode(), detail))
            return end
        data = buffer[found.end() : end]
        if data:
            events.append(Chunk(self._at, Direction.IN if found[2] == b"in" else Direction.OUT, data))
        if len(data) < length:
            events.append(self._gap(cause="torn", missing=length - len(data)))
        return end

    def _data_end(self, buffer: bytes, start: int, length: int, final: bool) -> int:
        """Where the bytes of a chunk end: all there, or torn. Negative when more must be seen to know it."""
        end = start + length
        if end >= len(buffer) and not final:
            return -1
        if end == len(buffer) or buffer[end : end + 1] == b"\n":
            return end
        if gap := _NEXT_GAP.search(buffer, start):
            return min(end, gap.start())
        last_line = buffer.rfind(b"\n", start, end)
        may_be_gap = last_line >= 0 and b"\n" not in buffer[last_line + 1 :] and len(buffer) - last_line < EVENT_LIMIT
        return -1 if may_be_gap and not final else min(end, len(buffer))

    def _skip(self, buffer: bytes, position: int, final: bool) -> int:
        """Passes over what is no event: up to the next one, or as far as it can't be one."""
        found = _NEXT_EVENT.search(buffer, position)
        if found:
            end = found.start()
        elif final or len(buffer) - position > EVENT_LIMIT:
            end = len(buffer)
        else:
            end = max(position, buffer.rfind(b"\n", position))
        self._skipped += end - position
        return end

    def _gap(self, *, cause: str, **counts: int) -> Mark:
        return Mark(self._at, "gap", {"cause": cause, **{name: str(count) for name, count in counts.items()}})


def _texts(line: bytes) -> dict[str, str] | None:
    """A JSON object as texts by name; None when it is none. A value that is not a text is given as JSON."""
    try:
        value = json.loads(line)
        return {name: text if isinstance(text, str) else json.dumps(text) for name, text in value.items()}
    except (ValueError, RecursionError, AttributeError):
        return None
