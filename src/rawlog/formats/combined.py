"""The combined stream: both directions in one, a line each, as Dovecot sends them to ``rawlog_dir = tcp:HOST:PORT``.

Knows: how lines of two directions share a stream, and both forms of it that exist. Must not know: files, sockets,
protocols, clocks.

``STAMP I: line`` is a whole line of IN with its ending, ``O:`` one of OUT. A line waits for its LF, and its stamp is
the time of the LF. Bytes without LF wait until they and the next read reach 8192 together; then they are written as
``I>`` or ``O>``, and what follows has a stamp and mark of its own, be it only CR LF.

Dovecot 2.3 writes nothing after such a piece and drops an unfinished line at the end of the conversation. Newer
versions write LF after each piece, and the unfinished line as a last piece; so does this encoder. The decoder reads
both.

Limits of the format: no time for the pieces of a line, no order between a line and what came before its end, no marks.
In a piece, text from the 8192nd byte on that looks like stamp and mark is taken for one, as 2.3 writes it there.
"""

from __future__ import annotations

import re

from rawlog.errors import FormatError
from rawlog.events import Chunk, Direction, Mark
from rawlog.formats.base import stamp, stamp_time

PIECE_SIZE = 8192
"""Dovecot's limit: so many bytes without LF are not kept waiting."""

COMBINED_HEAD = re.compile(rb"([0-9]{1,12}\.[0-9]{6}) ([IO])([:>]) ")
"""Stamp and mark at the start of a line. Groups: time, direction, kind."""

_HEAD_BEGUN = re.compile(rb"[0-9]{1,12}(?:\.[0-9]{0,6}|\.[0-9]{6} (?:[IO][:>]?)?)?\Z")
_HEAD_INSIDE = re.compile(rb"([0-9]{10}\.[0-9]{6}) ([IO])([:>]) ")
_HEAD_INSIDE_SIZE = 21
_LETTERS = {b"I": Direction.IN, b"O": Direction.OUT}


class CombinedEncoder:
    """Writes the combined stream."""

    single = True

    def __init__(self) -> None:
        self._waiting = {Direction.IN: b"", Direction.OUT: b""}
        self._last: int | None = None

    def chunk(self, at: int | None, direction: Direction, data: bytes) -> bytes:
        """The lines that this read completes."""
        self._last = at
        whole = data.rfind(b"\n") + 1
        written = b""
        if whole:
            head = _head(at, direction, b":")
            lines = self._waiting[direction] + data[:whole]
            written = head + lines[:-1].replace(b"\n", b"\n" + head) + b"\n"
            self._waiting[direction] = b""
        rest = self._waiting[direction] + data[whole:]
        if len(rest) >= PIECE_SIZE:
            written += _head(at, direction, b">") + rest + b"\n"
            rest = b""
        self._waiting[direction] = rest
        return written

    def mark(self, mark: Mark) -> bytes:
        """Nothing: the stream has no place for marks."""
        return b""

    def end(self, direction: Direction) -> bytes:
        """The unfinished line of that direction, with the time of the last event."""
        rest, self._waiting[direction] = self._waiting[direction], b""
        return _head(self._last, direction, b">") + rest + b"\n" if rest else b""


def _head(at: int | None, direction: Direction, kind: bytes) -> bytes:
    return stamp(at) + (b"I" if direction is Direction.IN else b"O") + kind + b" "


class CombinedDecoder:
    """Reads the combined stream, of either form.

    Lines of one direction that follow each other under the same stamp come out as one chunk. A line without stamp
    and mark is data of the direction last seen (IN at first); with ``strict`` it raises FormatError, which names
    ``name`` and the line.
    """

    def __init__(self, *, strict: bool = False, name: str = "recording") -> None:
        self._strict = strict
        self._name = name
        self._line = 1
        self._at: int | None = None
        self._direction = Direction.IN
        self._kind = b""  # b":" or b">" inside a line, empty at a line start
        self._given = 0
        self._held = b""
        self._runs: list[tuple[int | None, Direction, list[bytes]]] = []

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that ``data`` completes."""
        return self._decode(data, final=False)

    def end(self) -> list[Chunk]:
        """The chunks of what was held back."""
        return self._decode(b"", final=True)

    def _decode(self, data: bytes, *, final: bool) -> list[Chunk]:
        data, self._held = self._held + data, b""
        self._runs = []
        position = 0
        while position < len(data):
            position = self._text(data, position, final) if self._kind else self._start(data, position, final)
        return [Chunk(at, direction, b"".join(pieces)) for at, direction, pieces in self._runs]

    def _start(self, data: bytes, position: int, final: bool) -> int:
        """Reads stamp and mark. Returns where the text begins."""
        if found := COMBINED_HEAD.match(data, position):
            return self._open(found)
        if not final and _HEAD_BEGUN.match(data, position):
            self._held = data[position:]
            return len(data)
        if self._strict:
            got = data[position : position + 1]
            raise FormatError(f"{self._name}: line {self._line}: timestamp and mark expected, got {got!r}")
        self._kind = b":"
        return position

    def _open(self, found: re.Match[bytes]) -> int:
        self._at = stamp_time(found[1])
        self._direction = _LETTERS[found[2]]
        self._kind = found[3]
        self._given = 0
        return found.end()

    def _text(self, data: bytes, position: int, final: bool) -> int:
        """Gives the text of a line or piece, as far as it is there. Returns where the next thing begins."""
        lf = data.find(b"\n", position)
        end = lf if lf >= 0 else len(data)
        if self._kind == b">":
            from_here = position + max(0, PIECE_SIZE - self._given)
            if found := _HEAD_INSIDE.search(data, from_here, end):
                self._give(data[position : found.start()])
                return self._open(found)
            if lf < 0 and not final:
                return self._give_but_a_head(data, position, from_here)
        elif lf >= 0:
            end += 1
        self._give(data[position:end])
        if lf >= 0:
            self._kind = b""
            self._line += 1
        return max(end, lf + 1)

    def _give_but_a_head(self, data: bytes, position: int, from_here: int) -> int:
        """A stamp and mark may have begun at the very end: keeps so much back."""
        end = max(position, min(len(data), max(from_here, len(data) - _HEAD_INSIDE_SIZE + 1)))
        self._give(data[position:end])
        self._held = data[end:]
        return len(data)

    def _give(self, text: bytes) -> None:
        self._given += len(text)
        if not text:
            return
        if self._runs and self._runs[-1][:2] == (self._at, self._direction):
            self._runs[-1][2].append(text)
        else:
            self._runs.append((self._at, self._direction, [text]))
