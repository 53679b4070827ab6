"""A recording as a conversation for people: time, who, what.

Knows: how a line of the conversation looks, with and without colours. Must not know: files, formats, whether it writes
to a terminal (the caller decides about colours).

``C:`` is a line of the client and ``S:`` one of the server, without its CR LF. ``C|`` is a line of a literal or body,
``C*`` says how much of it is folded, ``**`` is a mark. Text is neutral (see escape.py). A line that ends with bare LF
ends with ``\\n`` here, one that does not end at all with a single backslash; ``\\[+N bytes]`` is what was cut off.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal

from rawlog.dialogue.merge import in_order
from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.protocols.fragments import Kind
from rawlog.protocols.guess import guess_protocol
from rawlog.protocols.registry import FRAMERS, framer_for
from rawlog.views.escape import neutral, neutral_text
from rawlog.views.fold import Fold, Line, fold
from rawlog.views.jsonl import json_lines

__all__ = ["json_lines", "render"]

CUT = 1000
"""Bytes of a line that are shown. A longer one is data rather than dialogue."""

_LOOK = 20  # events that are looked at to see who is the client
_KINDS = {Kind.LITERAL: "a literal", Kind.BLOCK: "a message or list", Kind.OPAQUE: "data that is not understood"}
_COLOURS = {"C": "\x1b[36m", "S": "\x1b[32m", "*": "\x1b[33m"}
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"

Time = Literal["wall", "relative", "none"]


def render(
    recording: Recording,
    *,
    bodies: bool = False,
    colour: bool = False,
    time: Time = "wall",
    cut: int | None = CUT,
) -> Iterator[str]:
    """The conversation line by line, without line endings, as it is read.

    ``bodies`` shows literals and messages instead of their sizes. ``time`` is ``wall`` (local time, with a line for
    each new day), ``relative`` (seconds since the first event) or ``none``. Lines longer than ``cut`` bytes are cut;
    None shows them whole. A recording without stamps is put in order first, and has no times.
    """
    client, events = _who(in_order(recording).events)
    framer = None
    if recording.protocol in FRAMERS:
        framer = framer_for(recording.protocol, client=client, hold_limit=None)
    column = _Column(time if recording.timed else "none")
    for item in fold(events, framer, bodies=bodies):
        yield from column.new_day(item.at)
        if isinstance(item, Mark):
            who, text = "*", "** " + _mark(item)
        else:
            who = "C" if item.direction is client else "S"
            text = who + (_folded(item) if isinstance(item, Fold) else _line(item, cut))
        yield _coloured(column.show(item.at), who, text) if colour else column.show(item.at) + text


def _who(events: Iterable[Event]) -> tuple[Direction, Iterator[Event]]:
    """Which direction is the client's, and the events from the first one on."""
    seen: list[Event] = []
    heads = dict.fromkeys(Direction, b"")
    events = iter(events)
    protocol, client = None, Direction.IN
    while protocol is None and len(seen) < _LOOK and (event := next(events, None)) is not None:
        seen.append(event)
        if isinstance(event, Chunk):
            heads[event.direction] += event.data
            protocol, client = guess_protocol(heads[Direction.IN], heads[Direction.OUT])
    return client, chain(seen, events)


def _line(line: Line, cut: int | None) -> str:
    """Sign and text of a line."""
    text, ending = line.data, "\\"
    if text.endswith(b"\n"):
        text, ending = text[:-1], "\\n"
        if text.endswith(b"\r"):
            text, ending = text[:-1], ""
    if cut is not None and len(text) > cut:
        ending = f" \\[+{len(text) - cut} bytes]{ending}"
        text = text[:cut]
    shown = neutral(text) + ending
    return ("|" if line.body else ":") + (" " + shown if shown else "")


def _folded(folded: Fold) -> str:
    return f"* {folded.size} {'byte' if folded.size == 1 else 'bytes'} of {_KINDS[folded.kind]}"


def _mark(mark: Mark) -> str:
    detail = (f"{neutral_text(name)}={neutral_text(value)}" for name, value in mark.detail.items())
    return " ".join([neutral_text(mark.name), *detail])


def _coloured(time: str, who: str, text: str) -> str:
    return f"{_DIM}{time}{_PLAIN}{_COLOURS[who]}{text[:2]}{_PLAIN}{text[2:]}"


class _Column:
    """The column of times."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._first: int | None = None
        self._day = ""

    def new_day(self, at: int | None) -> Iterator[str]:
        """A line with the date, when it is another one than before."""
        if self._time != "wall" or at is None:
            return
        day = clock.strftime("%Y-%m-%d %z", clock.localtime(at // 1_000_000))
        if day != self._day:
            self._day = day
            yield f"-- {day}"

    def show(self, at: int | None) -> str:
        """The time and a blank, always of the same width."""
        if self._time == "none":
            return ""
        if self._time == "wall":
            if at is None:
                return " " * 13
            return clock.strftime("%H:%M:%S", clock.localtime(at // 1_000_000)) + f".{at // 1000 % 1000:03d} "
        if at is None:
            return " " * 11
        if self._first is None:
            self._first = at
        return f"{(at - self._first) / 1_000_000:10.3f} "
