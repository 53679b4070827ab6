"""Conversations while they happen: the lines of each recording as its events come.

Knows: that the protocol, the client's direction and the user are learned on the way. Must not know: files, clocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

from rawlog.dialogue.beginning import Beginning
from rawlog.dialogue.exchange import Exchange, Pairer
from rawlog.events import Direction, Event, Mark, Recording
from rawlog.protocols.framing import Framer
from rawlog.protocols.registry import FRAMERS
from rawlog.views.exchanges import ExchangeLines, exchange_json
from rawlog.views.jsonl import json_lines
from rawlog.views.text import CUT, Transcript
from rawlog.views.time_column import Time

Form = Literal["text", "exchanges", "json", "exchanges-json"]


class Lines(Protocol):
    """Makes lines of events."""

    def feed(self, event: Event) -> Iterator[str]:
        """The lines that an event completes."""

    def end(self) -> Iterator[str]:
        """The lines that were not complete."""


class Live:
    """One recording as it grows.

    ``user`` is who logged in, as soon as that is known. Nothing is given until the first words have told the protocol.
    """

    def __init__(
        self,
        name: str,
        form: Form,
        *,
        bodies: bool = False,
        time: Time = "wall",
        colour: bool = False,
        cut: int | None = CUT,
    ) -> None:
        self._name = name
        self._form = form
        self._bodies = bodies
        self._time: Time = time
        self._colour = colour
        self._cut = cut
        self._user = ""
        self._framer: Framer | None = None
        self._lines: Lines | None = None
        self._beginning = Beginning()
        self._olds: list[bool] = []  # of the events in it, which are old

    @property
    def user(self) -> str:
        """Who logged in, empty while nobody knows."""
        return self._user or (self._framer.user if self._framer else "") or ""

    def feed(self, event: Event, *, old: bool) -> list[str]:
        """The lines that an event completes; ``old`` ones are read, not shown."""
        if isinstance(event, Mark) and event.name == "login":
            self._user = event.detail.get("user", "")
        if self._lines is None:
            self._olds.append(old)
            return self._begin() if self._beginning.take(event) else []
        lines = list(self._lines.feed(event))
        return [] if old else lines

    def end(self) -> list[str]:
        """The lines of what was not complete."""
        lines = self._begin() if self._lines is None else []
        return [*lines, *(self._lines.end() if self._lines else ())]

    def _begin(self) -> list[str]:
        self._lines = self._made(*self._beginning.told())
        first = zip(self._beginning.events, self._olds, strict=True)
        return [line for event, old in first for line in self.feed(event, old=old)]

    def _made(self, protocol: str | None, client: Direction) -> Lines:
        if self._form == "json":
            return _Json(self._name)
        if self._form == "text":
            transcript = Transcript(
                protocol, client, bodies=self._bodies, colour=self._colour, time=self._time, cut=self._cut
            )
            self._framer = transcript.framer
            return transcript
        pairer = Pairer(protocol, client) if protocol in FRAMERS else None
        self._framer = pairer.framer if pairer else None
        lines = ExchangeLines(self._time, colour=self._colour, cut=self._cut)
        as_json = self._form == "exchanges-json"
        return _Exchanges(pairer, lambda e: iter([exchange_json(self._name, e)]) if as_json else lines.lines(e))


class _Json:
    """Events as JSON."""

    def __init__(self, name: str) -> None:
        self._name = name

    def feed(self, event: Event) -> Iterator[str]:
        return json_lines(Recording(self._name, [event]))

    def end(self) -> Iterator[str]:
        return iter(())


class _Exchanges:
    """A line for each exchange; none where the protocol is not known."""

    def __init__(self, pairer: Pairer | None, show: Callable[[Exchange], Iterator[str]]) -> None:
        self._pairer = pairer
        self._show = show

    def feed(self, event: Event) -> Iterator[str]:
        for exchange in self._pairer.feed(event) if self._pairer else ():
            yield from self._show(exchange)

    def end(self) -> Iterator[str]:
        for exchange in self._pairer.end() if self._pairer else ():
            yield from self._show(exchange)
