"""What a search has found, for people and programs.

Knows: how the matches of a recording are shown. Must not know: the search language, where recordings lie.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

from rawlog.dialogue.exchange import Exchange
from rawlog.dialogue.search import Query
from rawlog.dialogue.search_text import Scan
from rawlog.events import Recording
from rawlog.views.exchanges import ExchangeLines, exchange_fields, selected
from rawlog.views.listing import shown_name
from rawlog.views.window import EVERYTHING, Window

Show = Literal["lines", "names", "count", "nothing", "json"]


class Matches:
    """Shows the matches of one recording after the other, and counts them.

    ``lines`` makes the lines of exchanges; a recording's name stands above them. Where an expression says nothing about
    exchanges, and for ``names``, the names of recordings are shown.
    """

    def __init__(
        self,
        show: Show,
        *,
        time: Literal["wall", "relative", "none"] = "wall",
        colour: bool = False,
        cut: int | None = None,
        window: Window = EVERYTHING,
    ) -> None:
        self.count = 0
        self._show = show
        self._time = time
        self._colour = colour
        self._cut = cut
        self._window = window

    def lines(self, recording: Recording, query: Query) -> Iterator[str]:
        """What matches in a recording. ``query`` must not ask for anything about the recording any more."""
        if query.decided is not None and self._show in ("lines", "names", "nothing"):
            yield from self._whole(recording, query.decided)
        elif self._show == "lines":
            yield from self._exchanges(recording, query)
        elif self._show == "json":
            for exchange in self._found(recording, query):
                found = [hit.line.decode("utf-8", "backslashreplace") for hit in exchange.hits]
                fields = {"recording": recording.name, **exchange_fields(exchange), "found": found}
                yield json.dumps(fields).replace("\x7f", "\\u007f")
        elif self._show == "count":
            count = sum(1 for _ in self._found(recording, query))
            if count:
                yield f"{shown_name(recording.name)}: {count}"
        elif next(self._found(recording, query), None) is not None and self._show == "names":
            yield shown_name(recording.name)

    def _whole(self, recording: Recording, matches: bool) -> Iterator[str]:
        self.count += matches
        if matches and self._show != "nothing":
            yield shown_name(recording.name)

    def _exchanges(self, recording: Recording, query: Query) -> Iterator[str]:
        lines = ExchangeLines(self._time if recording.timed else "none", colour=self._colour, cut=self._cut)
        titled = False
        for exchange in self._found(recording, query, lines):
            if not titled:
                yield f"== {shown_name(recording.name)}"
                titled = True
            yield from lines.lines(exchange)
            yield from lines.found(exchange)

    def _found(self, recording: Recording, query: Query, lines: ExchangeLines | None = None) -> Iterator[Exchange]:
        scan = Scan(query.texts) if query.texts else None
        start = lines.column.begin if lines else lambda at: None
        for exchange in selected(recording, wanted=query.term.holds, window=self._window, scan=scan, on_start=start):
            self.count += 1
            yield exchange
