"""A recording as a conversation for people: time, who, what.

Knows: how a line of the conversation looks, with and without colours. Must not know: files, formats, whether it writes
to a terminal (the caller decides about colours).

``C:`` is a line of the client and ``S:`` one of the server, without its CR LF. ``C|`` is a line of a literal or body,
``C*`` says how much of it is folded, ``**`` is a mark. Text is neutral (see escape.py). A line that ends with bare LF
ends with ``\\n`` here, one that does not end at all with a single backslash; ``\\[+N bytes]`` is what was cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from rawlog.dialogue.exchange_pieces import who_is_client
from rawlog.dialogue.merge import in_order
from rawlog.events import Direction, Event, Mark, Recording
from rawlog.protocols.fragments import Kind
from rawlog.protocols.registry import FRAMERS, framer_for
from rawlog.views.escape import neutral, neutral_text
from rawlog.views.fold import Fold, Folder, Item, Line
from rawlog.views.jsonl import json_lines
from rawlog.views.mime import MESSAGE_LIMIT, outline
from rawlog.views.time_column import Time, TimeColumn
from rawlog.views.window import EVERYTHING, Fits, Window

__all__ = ["json_lines", "render"]

CUT = 1000
"""Bytes of a line that are shown. A longer one is data rather than dialogue."""

_KINDS = {Kind.LITERAL: "a literal", Kind.BLOCK: "a message or list", Kind.OPAQUE: "data that is not understood"}
_COLOURS = {"C": "\x1b[36m", "S": "\x1b[32m", "*": "\x1b[33m"}
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


def render(
    recording: Recording,
    *,
    bodies: bool | Literal["mime"] = False,
    colour: bool = False,
    time: Time = "wall",
    cut: int | None = CUT,
    window: Window = EVERYTHING,
) -> Iterator[str]:
    """The conversation line by line, without line endings, as it is read.

    ``bodies`` shows literals and messages instead of their sizes, ``mime`` the structure of messages (mime.py).
    ``time`` is ``wall`` (local time, with a line for
    each new day), ``relative`` (seconds since the first event) or ``none``. Lines longer than ``cut`` bytes are cut;
    None shows them whole. Only what lies in the window is shown. A recording without stamps is put in order first, and
    has no times; then a window raises RawlogError.
    """
    fits = window.fits(recording)
    client, events = who_is_client(in_order(recording).events)
    shown = time if recording.timed else "none"
    transcript = Transcript(recording.protocol, client, bodies=bodies, colour=colour, time=shown, cut=cut, fits=fits)
    for event in events:
        yield from transcript.feed(event)
    yield from transcript.end()


class Transcript:
    """The same, event by event, of a conversation as it comes. ``client`` is the direction of the client."""

    def __init__(
        self,
        protocol: str | None,
        client: Direction,
        *,
        bodies: bool | Literal["mime"] = False,
        colour: bool = False,
        time: Time = "wall",
        cut: int | None = CUT,
        fits: Fits | None = None,
    ) -> None:
        self.framer = framer_for(protocol, client=client, hold_limit=None) if protocol in FRAMERS else None
        self._folder = Folder(self.framer, bodies=bodies is True, keep=MESSAGE_LIMIT if bodies == "mime" else 0)
        self._client = client
        self._column = TimeColumn(time)
        self._colour = colour
        self._cut = cut
        self._fits = fits or Fits(EVERYTHING)

    def feed(self, event: Event) -> Iterator[str]:
        """The lines that this event completes."""
        return self._in_column(self._folder.feed(event))

    def end(self) -> Iterator[str]:
        """The lines that were not complete, now that nothing follows."""
        return self._in_column(self._folder.end())

    def timed(self, event: Event | None) -> Iterator[tuple[int | None, str]]:
        """The lines that this event (None: the end) completes, each with its time instead of behind it."""
        for item in self._folder.end() if event is None else self._folder.feed(event):
            self._fits.begin(item.at)
            if self._fits.has(item.at):
                yield from ((item.at, self._coloured(text)) for text in self._texts(item))

    def _in_column(self, items: Iterator[Item]) -> Iterator[str]:
        for item in items:
            self._column.begin(item.at)
            self._fits.begin(item.at)
            if self._fits.has(item.at):
                yield from self._column.new_day(item.at)
                for text in self._texts(item):
                    time = self._column.show(item.at)
                    yield (f"{_DIM}{time}{_PLAIN}" if self._colour else time) + self._coloured(text)

    def _texts(self, item: Item) -> Iterator[str]:
        if isinstance(item, Mark):
            yield "** " + mark_text(item)
            return
        who = "C" if item.direction is self._client else "S"
        if isinstance(item, Line):
            yield who + line_text(item, self._cut)
            return
        yield who + fold_text(item)
        if item.data is not None:
            for line in outline(item.data, dotted=item.kind is Kind.BLOCK):
                yield f"{who}| {line}"

    def _coloured(self, text: str) -> str:
        return f"{_COLOURS[text[0]]}{text[:2]}{_PLAIN}{text[2:]}" if self._colour else text


def line_text(line: Line, cut: int | None) -> str:
    """What stands behind C or S in a line of the conversation: its sign and text."""
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


def fold_text(folded: Fold) -> str:
    """The same for what is folded."""
    return f"* {folded.size} {'byte' if folded.size == 1 else 'bytes'} of {_KINDS[folded.kind]}"


def mark_text(mark: Mark) -> str:
    """A mark's name and details."""
    detail = (f"{neutral_text(name)}={neutral_text(value)}" for name, value in mark.detail.items())
    return " ".join([neutral_text(mark.name), *detail])
