"""Texts and regular expressions, found in both directions of a conversation while it is cut.

Knows: lines, and where in the stream they are. Must not know: exchanges, the search language. As with grep, a match
lies within one line; a line over the limit is searched in pieces. What is found waits only until it is known to which
fragment it belongs.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rawlog.dialogue.search_literal import literal_in
from rawlog.events import Direction

LINE_LIMIT = 64 * 1024
"""A longer line is searched in pieces of about this size."""

SHOWN = 200
"""Bytes of a matching line that are kept, from a little before the match on."""

_BEFORE = 40  # of them before the match
_WHOLE_LINE = re.compile(rb"\$|\\[AZ]")  # what has another meaning in a block of lines, which end with CR LF


@dataclass(frozen=True, slots=True)
class Text:
    """What is looked for: ``pattern`` as it is, or as a regular expression (Python's, on bytes).

    ``direction`` None means both. Raises re.error when ``pattern`` is no regular expression.
    """

    pattern: bytes
    direction: Direction | None = None
    is_regex: bool = False
    ignore_case: bool = False

    def __post_init__(self) -> None:
        self.compiled()

    @property
    def literal(self) -> bytes:
        """What stands in every line where it is found, in lower case when case is ignored; empty: nothing certain."""
        literal = literal_in(self.pattern) if self.is_regex else self.pattern
        return literal.lower() if self.ignore_case else literal

    def compiled(self) -> re.Pattern[bytes]:
        """The expression that finds it; ``^`` matches at the start of each line."""
        flags = re.MULTILINE | (re.IGNORECASE if self.ignore_case else 0)
        return re.compile(self.pattern if self.is_regex else re.escape(self.pattern), flags)


@dataclass(frozen=True, slots=True)
class Hit:
    """The text number ``text`` was found at ``offset``; ``line`` is what stands around it, ``at`` where that begins."""

    text: int
    offset: int
    line: bytes
    at: int


class Scan:
    """Looks for some texts in one conversation."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self._sides = {
            direction: _Side([(n, t) for n, t in enumerate(texts) if t.direction in (None, direction)])
            for direction in Direction
        }

    def append(self, direction: Direction, data: bytes) -> None:
        """The next bytes."""
        self._sides[direction].append(data)

    def take(self, direction: Direction, end: int) -> list[Hit]:
        """What was found before offset ``end`` and not taken yet; a line ends there at the latest."""
        return self._sides[direction].take(end)

    def thin(self, direction: Direction, start: int, end: int) -> None:
        """All bytes from ``start`` to ``end`` belong together: one hit for each text is enough."""
        self._sides[direction].thin(start, end)

    def forget(self) -> None:
        """Nobody will take what was found so far; whether it was, ``seen`` still knows."""
        for side in self._sides.values():
            side.forget()

    def seen(self, text: int) -> bool:
        """Whether this text was found anywhere so far."""
        return any(text in side.seen for side in self._sides.values())


class _Side:
    def __init__(self, texts: list[tuple[int, Text]]) -> None:
        self.seen: set[int] = set()
        self._finders = [_Finder(number, text) for number, text in texts]
        self._rest = b""  # the line in progress
        self._at = 0  # its offset
        self._hits: deque[Hit] = deque()

    def append(self, data: bytes) -> None:
        if not self._finders:
            return
        lines = data.rfind(b"\n") + 1
        if lines:
            self._search(self._rest + data[:lines])
            self._rest = data[lines:]
        else:
            self._rest += data
        if len(self._rest) > LINE_LIMIT:
            self._search(self._rest)
            self._rest = b""

    def take(self, end: int) -> list[Hit]:
        if not self._finders:
            return []
        if self._at < end and self._rest:
            part = self._rest[: end - self._at]
            self._rest = self._rest[len(part) :]
            self._search(part)
        taken = []
        while self._hits and self._hits[0].offset < end:
            taken.append(self._hits.popleft())
        return taken

    def forget(self) -> None:
        self._hits.clear()

    def thin(self, start: int, end: int) -> None:
        inside: dict[int, Hit] = {}
        others = []
        for hit in self._hits:
            if start <= hit.offset < end:
                inside.setdefault(hit.text, hit)
            else:
                others.append(hit)
        self._hits = deque(sorted([*inside.values(), *others], key=lambda hit: hit.offset))

    def _search(self, block: bytes) -> None:
        """Looks through whole lines."""
        found = [hit for finder in self._finders for hit in finder.hits(block, self._at)]
        if found:
            self.seen.update(hit.text for hit in found)
            self._hits.extend(sorted(found, key=lambda hit: hit.offset))
        self._at += len(block)


class _Finder:
    """Finds one text in blocks of whole lines."""

    def __init__(self, number: int, text: Text) -> None:
        self._number = number
        self._pattern = text.compiled()
        self._literal = text.literal
        self._lowered = text.ignore_case
        self._line_wise = _WHOLE_LINE.search(text.pattern) is not None

    def hits(self, block: bytes, at: int) -> Iterator[Hit]:
        """The first match in each line of a block that begins at offset ``at``."""
        lowered = block.lower() if self._lowered and self._literal else block
        position = 0
        while position < len(block):
            start = self._candidate(block, lowered, position)
            if start < 0:
                return
            begin = block.rfind(b"\n", 0, start) + 1
            end = block.find(b"\n", start)
            end = len(block) if end < 0 else end
            line = block[begin:end].rstrip(b"\r")
            if found := self._pattern.search(line):
                cut = max(0, found.start() - _BEFORE)
                yield Hit(self._number, at + begin + found.start(), line[cut : cut + SHOWN], at + begin + cut)
            position = end + 1

    def _candidate(self, block: bytes, lowered: bytes, position: int) -> int:
        """Somewhere in the next line that may match; negative when there is none."""
        if self._literal:
            return lowered.find(self._literal, position)
        if self._line_wise:
            return position
        found = self._pattern.search(block, position)
        return found.start() if found else -1
