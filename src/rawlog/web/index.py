"""The index of one conversation: its rows, and where its bodies and its secrets are. Built as the events come.

Knows: exchanges, marks, and how much of them is kept. Must not know: files, threads, HTTP. One thread feeds it, others
may read meanwhile. What grows with a conversation is kept small: rows packed, numbers in arrays, and no bodies at all.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from rawlog.dialogue.beginning import Beginning
from rawlog.dialogue.exchange import Exchange, Pairer
from rawlog.dialogue.exchange_pieces import Piece
from rawlog.dialogue.exchange_record import TEXT_LIMIT
from rawlog.dialogue.exchange_summary import Summarizer
from rawlog.events import Direction, Event, Mark
from rawlog.protocols.fragments import Fragment, Kind, Span
from rawlog.protocols.registry import FRAMERS
from rawlog.views.fold import Folder, Line
from rawlog.web.rows import PackedRows, Row, exchange_row, line_row, mark_row, packed

ROWS_LIMIT = 500_000
"""Rows of a conversation that are shown: browsers know no longer pages, and 100 MB of memory hold them."""

NO_TIME = -1
"""Stands in an array for a time or latency that is not known."""

PLAIN, FAILED, UNANSWERED, OTHER = 0, 1, 2, 3
"""What an exchange came to; OTHER is what asks nothing."""

_KINDS = list(Kind)


class Spans:
    """Stretches of one stream, in order, each with a small number."""

    def __init__(self) -> None:
        self._starts, self._ends, self._tags = array("q"), array("q"), bytearray()

    def add(self, start: int, end: int, tag: int = 0) -> None:
        """One more, behind the others."""
        self._tags.append(tag)
        self._ends.append(end)
        self._starts.append(start)  # the last: who reads meanwhile looks here first

    def within(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Those that touch ``[start, end)``: start, end and number of each."""
        at = max(0, bisect_right(self._starts, start) - 1)
        while at < len(self._starts) and self._starts[at] < end:
            if self._ends[at] > start:
                yield self._starts[at], self._ends[at], self._tags[at]
            at += 1


@dataclass(frozen=True, slots=True)
class Body:
    """A literal, a message or something not understood: bytes ``[start, end)`` of its direction."""

    kind: Kind
    start: int
    end: int


class Places:
    """Where the bodies and the secrets of a conversation are, and up to where that is known."""

    def __init__(self) -> None:
        self.known = dict.fromkeys(Direction, 0)
        self.secrets = {direction: Spans() for direction in Direction}
        self.bodies = {direction: Spans() for direction in Direction}

    def note(self, fragment: Fragment) -> None:
        """The next fragment."""
        self.known[fragment.direction] = fragment.end
        if fragment.kind is not Kind.LINE:
            self.bodies[fragment.direction].add(fragment.start, fragment.end, _KINDS.index(fragment.kind))
        for start, end in fragment.secrets:
            self.secrets[fragment.direction].add(start, end)


class Index:
    """Takes the events of a conversation. ``protocol`` is what is known already."""

    def __init__(self, protocol: str | None = None) -> None:
        self.rows = PackedRows()
        self.pending: list[str] = []  # rows of what is not complete, as it was when ``look`` was called
        self.client = Direction.IN
        self.times, self.latencies, self.results = array("q"), array("q"), bytearray()  # of each row
        self.exchange_rows = array("l")  # the rows that are exchanges
        self.summarizer = Summarizer(protocol)
        self.complete = True  # False: there are more rows than are kept, and nothing more is taken
        self._protocol = protocol
        self._places, self._later = Places(), Places()  # of what is complete, and of what is not
        self._beginning: Beginning | None = Beginning(protocol)
        self._pairer: Pairer | None = None
        self._folder: Folder | None = None
        self._last_words = b""

    @property
    def user(self) -> str:
        """Who logged in, empty while nobody knows."""
        told = self._pairer.framer.user if self._pairer else None
        return self.summarizer.summary.user or told or ""

    def feed(self, event: Event) -> None:
        """The next event."""
        if self._beginning is None:
            self._take(event)
        elif self._beginning.take(event):
            self._begin()

    def look(self) -> None:
        """Make ``pending`` what it is now."""
        if self._beginning is not None:
            guess = Index(self._protocol)  # thrown away: the next event may tell more
            guess._beginning = self._beginning
            guess._begin()
            guess.look()
            self.client = guess.client
            self.pending = [*guess.rows.slice(0, len(guess.rows)), *guess.pending]
            self._places, self._later = guess._places, guess._later
        elif self._pairer is not None:
            self._later = later = Places()
            unfinished = self._pairer.unfinished(lambda piece: later.note(piece.fragment))
            self.pending = [packed(self._described(exchange)) for exchange in unfinished]
            self.summarizer.finish(self._pairer.framer.user)

    def known(self, direction: Direction) -> int:
        """Up to which offset it is known what is secret."""
        return max(self._places.known[direction], self._later.known[direction])

    def bodies(self, direction: Direction, start: int, end: int) -> Iterator[Body]:
        """What is no line between ``start`` and ``end``."""
        done = 0
        for places in (self._places, self._later):  # which may tell of the same, while it becomes complete
            for begin, stop, tag in places.bodies[direction].within(start, end):
                if begin >= done:
                    yield Body(_KINDS[tag], begin, stop)
                    done = stop

    def secrets(self, direction: Direction, start: int, end: int) -> Iterator[Span]:
        """What is secret between ``start`` and ``end``."""
        for places in (self._places, self._later):
            for begin, stop, _ in places.secrets[direction].within(start, end):
                yield begin, stop

    # -- what comes of events ---------------------------------------------------------------------------------------

    def _begin(self) -> None:
        beginning, self._beginning = self._beginning, None
        assert beginning is not None
        protocol, self.client = beginning.told()
        self.summarizer.summary.protocol = protocol or ""
        self._places, self._later = Places(), Places()
        if protocol in FRAMERS:
            self._pairer = Pairer(protocol, self.client, watch=self._watch)
        else:
            self._folder = Folder(None)
        for event in beginning.events:
            self._take(event)

    def _take(self, event: Event) -> None:
        self.summarizer.event(event)
        if isinstance(event, Mark):
            self._row(mark_row(event), event.at)
        if self._pairer is not None:
            for exchange in self._pairer.feed(event):
                self._exchange(exchange)
        elif self._folder is not None:
            for item in self._folder.feed(event):
                if isinstance(item, Line):
                    self._line(item)

    def _exchange(self, exchange: Exchange) -> None:
        self.summarizer.exchange(exchange)
        if len(self.rows) < ROWS_LIMIT:
            self.exchange_rows.append(len(self.rows))
        row = self._described(exchange)
        latency = exchange.latency if exchange.is_command else None
        self._row(row, row["at"], NO_TIME if latency is None else latency, _result(exchange))

    def _described(self, exchange: Exchange) -> Row:
        """Its row. Where there is no status line, the server's last words say what it is about."""
        return exchange_row(exchange, b"" if exchange.answer or not exchange.received else self._last_words)

    def _line(self, line: Line) -> None:
        known = self._places.known
        start = known[line.direction]
        known[line.direction] += len(line.data)
        side = "client" if line.direction is self.client else "server"
        self._row(line_row(line.at, side, line.data, start), line.at)

    def _row(self, row: Row, at: int | None, latency: int = NO_TIME, result: int = OTHER) -> None:
        if len(self.rows) >= ROWS_LIMIT:
            self.complete = False
            return
        self.latencies.append(latency)
        self.results.append(result)
        self.times.append(NO_TIME if at is None else at)
        self.rows.append(packed(row))

    def _watch(self, piece: Piece) -> None:
        """The next piece, before it is paired."""
        fragment = piece.fragment
        self._places.note(fragment)
        if fragment.kind is Kind.LINE and fragment.direction is not self.client:
            self._last_words = piece.text[:TEXT_LIMIT]


def _result(exchange: Exchange) -> int:
    if exchange.failed:
        return FAILED
    if not exchange.is_command:
        return OTHER
    return PLAIN if exchange.answered else UNANSWERED
