"""The pair: one file of what was read (``.in``), one of what was written (``.out``), as Dovecot writes them.

Knows: where Dovecot puts time stamps (always in ``rawlog_dir``, with ``-t`` in the ``rawlog`` program) and the marks
of reads (``-b``), and how to take them out again. Must not know: files and their names, protocols, clocks.

The two rules, as observed on Dovecot 2.3.19.1:

* Stamps. A stamp stands at each line start, and a line ends with LF and nothing else. A line that came in several
  reads keeps the stamp of its first piece. All lines of one read share one stamp.
* Boundaries. Each read is written as ``<<<`` LF, its bytes, ``>>>`` LF. Nothing is escaped and no LF is added.
  With stamps too, the stamps stand inside, at true line starts only: a read that goes on with a line has none.

Limits of the format, which no reader can repair: a stamp says when a line began, not when each piece of it came; a
payload of ``>>>`` LF ``<<<`` LF looks like a boundary; and when nobody says whether a file has stamps, a payload whose
first line looks like one is taken for one. The native format has none of these limits.
"""

from __future__ import annotations

import re

from rawlog.errors import FormatError
from rawlog.events import Chunk, Direction, Mark
from rawlog.formats.base import STAMP, STAMP_BEGUN, stamp, stamp_time

BLOCK_START = b"<<<\n"
BLOCK_END = b">>>\n"

BLOCK_LIMIT = 1 << 20
"""Longest block held to give it out in one piece. Reads are 8 KiB in Dovecot and at most 256 KiB here; what is longer
is not a block of any writer we know, and is given out in several chunks instead of filling the memory."""

_NEITHER: frozenset[Direction] = frozenset()

_SAME_STAMP_LINES = re.compile(rb"([0-9]{1,12}\.[0-9]{6}) [^\n]*+\n(?:\1 [^\n]*+\n)*+")


class PairEncoder:
    """Writes the pair. ``stamps`` is ``-t`` (and what ``rawlog_dir`` always does), ``boundaries`` is ``-b``."""

    single = False
    has_marks = False
    """So nobody needs to make any."""
    __slots__ = ("_boundaries", "_in_line", "_stamps")

    def __init__(self, stamps: bool, boundaries: bool = False) -> None:
        self._stamps = stamps
        self._boundaries = boundaries
        self._in_line = _NEITHER  # directions whose last read did not end with its line

    def chunk(self, at: int | None, direction: Direction, data: bytes) -> bytes:
        """The bytes for one read. Nothing for an empty one."""
        if not data:
            return b""
        if self._stamps:
            head = self._head(at, direction, data) if self._in_line or data[-1] != 10 else stamp(at)
            one_line = data.find(b"\n", 0, -1) < 0  # or part of one: nearly every command
            data = head + data if one_line else b"".join((head, _stamped(head or stamp(at), data)))
        return b"<<<\n%b>>>\n" % data if self._boundaries else data

    def pieces(self, at: int | None, direction: Direction, data: bytes) -> tuple[bytes | memoryview, ...]:
        """The same as :meth:`chunk`, in pieces that need not be joined: for large reads a copy less."""
        if not self._stamps or self._boundaries or not data:
            return (self.chunk(at, direction, data),)
        head = self._head(at, direction, data)
        return (head, _stamped(head, data)) if head else (_stamped(stamp(at), data),)

    def mark(self, mark: Mark) -> bytes:
        """Nothing: the pair has no place for marks."""
        return b""

    def end(self, direction: Direction) -> bytes:
        """Nothing: everything is written at once."""
        return b""

    def _head(self, at: int | None, direction: Direction, data: bytes) -> bytes:
        """The stamp in front of a read; nothing when the read goes on with a line."""
        goes_on = direction in self._in_line
        self._in_line = self._in_line - {direction} if data[-1] == 10 else self._in_line | {direction}
        return b"" if goes_on else stamp(at)


def _stamped(text: bytes, data: bytes) -> bytes | memoryview:
    """A read with a stamp behind each LF in it, but not behind one at its end: that stamp belongs to the next read."""
    body = data.replace(b"\n", b"\n" + text)
    return memoryview(body)[: -len(text)] if data[-1] == 10 else body


class PairDecoder:
    """Reads one half of a pair.

    ``stamps`` and ``boundaries`` say what the file has; None means: look at its beginning. Lines that follow each
    other under the same stamp come out as one chunk; with boundaries each read comes out as one chunk. A chunk's time
    is the last stamp seen (so a continued line has the time of its beginning), None before the first.

    What can't be understood is data. With ``strict``, a line without the stamp it must have raises FormatError, which
    names ``name`` and the line of the file.
    """

    def __init__(
        self,
        direction: Direction,
        stamps: bool | None = None,
        boundaries: bool | None = None,
        *,
        strict: bool = False,
        name: str = "recording",
    ) -> None:
        self.direction = direction
        self.stamps = stamps
        self.boundaries = boundaries
        self._undecided = b""
        self._place = _Place(name, strict)
        self._blocks = _Blocks(self._place)
        self._lines = _StampedLines(self._place)

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that ``data`` completes."""
        if self.stamps is None or self.boundaries is None:
            self._undecided += data
            if not self._decide(self._undecided, final=False):
                return []
            data, self._undecided = self._undecided, b""
        return self._decode(data, final=False)

    def end(self) -> list[Chunk]:
        """The chunks of what was held back."""
        self._decide(self._undecided, final=True)
        data, self._undecided = self._undecided, b""
        return self._decode(data, final=True)

    def _decide(self, head: bytes, *, final: bool) -> bool:
        """Sees from the first bytes which form this is. False while they are too few."""
        if not final and self.boundaries is not False and len(head) < 4 and BLOCK_START.startswith(head):
            return False
        if self.boundaries is None:
            self.boundaries = head.startswith(BLOCK_START)
        if self.stamps is None:
            at = len(BLOCK_START) if self.boundaries and head.startswith(BLOCK_START) else 0
            if not final and STAMP_BEGUN.match(head, at):
                return False
            self.stamps = STAMP.match(head, at) is not None
        return True

    def _decode(self, data: bytes, *, final: bool) -> list[Chunk]:
        if not self.boundaries:
            runs = self._runs(data, final=final)
        else:
            runs = []
            for block, complete in self._blocks.feed(data, final=final):
                pieces = self._runs(block, final=complete)
                if pieces:
                    runs.append((pieces[-1][0], b"".join(piece for _, piece in pieces)))
                if complete:
                    self._place.pass_text(BLOCK_END + BLOCK_START)
        return [Chunk(at, self.direction, text) for at, text in runs]

    def _runs(self, data: bytes, *, final: bool) -> list[tuple[int | None, bytes]]:
        if self.stamps:
            return self._lines.feed(data, final=final)
        self._place.pass_text(data)
        return [(None, data)] if data else []


class _Place:
    """Where in the file the reader is, for the messages of strict reading."""

    def __init__(self, name: str, strict: bool) -> None:
        self.name = name
        self.strict = strict
        self.line = 1

    def pass_text(self, text: bytes) -> None:
        if self.strict:
            self.line += text.count(b"\n")

    def expect(self, what: str, got: bytes) -> None:
        if self.strict:
            raise FormatError(f"{self.name}: line {self.line}: {what} expected, got {got[:1]!r}")


class _StampedLines:
    """Takes the stamps out. Holds back an unfinished stamp, nothing else."""

    def __init__(self, place: _Place) -> None:
        self._place = place
        self._at: int | None = None
        self._in_line = False
        self._held = b""
        self._runs: list[tuple[int | None, list[bytes]]] = []

    def feed(self, data: bytes, *, final: bool) -> list[tuple[int | None, bytes]]:
        """The runs of text under one stamp. ``final``: what is held back is text after all."""
        data, self._held = self._held + data, b""
        position = 0
        while position < len(data):
            position = self._step(data, position, final)
        runs, self._runs = self._runs, []
        return [(at, b"".join(pieces)) for at, pieces in runs]

    def _step(self, data: bytes, position: int, final: bool) -> int:
        """Understands what stands at ``position``. Returns where the next thing begins."""
        if self._in_line:
            return self._rest_of_line(data, position)
        if found := _SAME_STAMP_LINES.match(data, position):
            self._at = stamp_time(found[1])
            self._give(data[found.end(1) + 1 : found.end()].replace(b"\n%b " % found[1], b"\n"))
            return found.end()
        if found := STAMP.match(data, position):
            self._at = stamp_time(found[1])
            self._in_line = True
            return found.end()
        if not final and STAMP_BEGUN.match(data, position):
            self._held = data[position:]
            return len(data)
        self._place.expect("timestamp", data[position : position + 1])
        return self._rest_of_line(data, position)

    def _rest_of_line(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position) + 1
        self._in_line = not end
        end = end or len(data)
        self._give(data[position:end])
        return end

    def _give(self, text: bytes) -> None:
        self._place.pass_text(text)
        if self._runs and self._runs[-1][0] == self._at:
            self._runs[-1][1].append(text)
        else:
            self._runs.append((self._at, [text]))


class _Blocks:
    """Finds the blocks of ``-b``: a block ends where ``>>>`` LF is followed by ``<<<`` LF or by the end of the file.

    What stands where a block should start is taken as a block without its first mark.
    """

    def __init__(self, place: _Place) -> None:
        self._place = place
        self._inside = False
        self._buffer = b""
        self._searched = 0

    def feed(self, data: bytes, *, final: bool) -> list[tuple[bytes, bool]]:
        """Blocks in order, each with True, or False when the block goes on."""
        buffer = self._buffer + data
        blocks: list[tuple[bytes, bool]] = []
        start = self._enter(buffer, final)
        if self._inside:
            start = self._cut(buffer, start, blocks)
        if final:
            blocks.append((_without_end_mark(buffer[start:]), True))
            start = len(buffer)
        self._buffer = buffer[start:]
        return blocks

    def _enter(self, buffer: bytes, final: bool) -> int:
        """Passes the very first mark of the file. Returns where its block begins."""
        if self._inside or (not final and len(buffer) < 4 and BLOCK_START.startswith(buffer)):
            return 0
        self._inside = bool(buffer)
        if buffer.startswith(BLOCK_START):
            self._place.pass_text(BLOCK_START)
            return len(BLOCK_START)
        if buffer:
            self._place.expect("<<<", buffer)
        return 0

    def _cut(self, buffer: bytes, start: int, blocks: list[tuple[bytes, bool]]) -> int:
        """Gives the blocks that are complete. Returns where the unfinished one begins."""
        search = max(start, self._searched)
        while (end := buffer.find(BLOCK_END, search)) >= 0:
            after = buffer[end + 4 : end + 8]
            if after == BLOCK_START:
                blocks.append((buffer[start:end], True))
                start = search = end + 8
            elif BLOCK_START.startswith(after):  # the file ends here, or so it looks: show what came
                blocks.append((buffer[start:end], False))
                self._searched = 0
                return end
            else:
                search = end + 4
        if len(buffer) - start > BLOCK_LIMIT:
            blocks.append((buffer[start:-3], False))
            start = len(buffer) - 3
        self._searched = max(search, len(buffer) - 3) - start
        return start


def _without_end_mark(rest: bytes) -> bytes:
    """The rest of a file without the mark that closes it, nor a first mark that was cut short after it."""
    mark = rest.rfind(BLOCK_END)
    return rest[:mark] if mark >= 0 and BLOCK_START.startswith(rest[mark + 4 :]) else rest
