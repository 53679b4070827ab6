"""Exchanges for people and programs: one line for each command, with its latency and result.

Knows: how such a line looks, and its JSON form. Must not know: files, options.

A line holds the time, the latency, the status, the bytes sent and received, the command; behind the command of one that
failed stands what the server said. ``…`` in the place of the latency: no answer. A line may be followed by those in
which a text was found.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from rawlog.dialogue.exchange import Exchange, pairing_of
from rawlog.dialogue.search_text import Scan
from rawlog.events import Recording
from rawlog.views.escape import neutral, neutral_text
from rawlog.views.time_column import WIDTHS, Time, TimeColumn
from rawlog.views.units import duration_text, iso_text, size_text
from rawlog.views.window import EVERYTHING, Window

CUT = 120
"""Bytes of a command that are shown in its line."""

_RED, _YELLOW, _DIM, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"

Wanted = Callable[[Exchange], bool]


def every(exchange: Exchange) -> bool:
    """All of them."""
    return True


class ExchangeLines:
    """Makes the lines of one recording. Commands longer than ``cut`` bytes are cut; None shows what is kept."""

    def __init__(self, time: Time, *, colour: bool = False, cut: int | None = CUT) -> None:
        self.column = TimeColumn(time)
        self._colour = colour
        self._cut = cut
        self._indent = " " * WIDTHS[time]

    def lines(self, exchange: Exchange) -> Iterator[str]:
        """The line of an exchange; before it the date when that is another one."""
        at = exchange.began if exchange.began is not None else exchange.first
        yield from self.column.new_day(at)
        said = self._said(exchange)
        took = "…" if exchange.is_command and not exchange.answered else duration_text(exchange.latency)
        sizes = f"{size_text(exchange.sent):>5} {size_text(exchange.received):>5}"
        line = f"{took:>7}  {exchange.status:<7} {sizes}  {said}"
        colour = _RED if exchange.failed else _YELLOW if took == "…" else ""
        if self._colour:
            yield f"{_DIM}{self.column.show(at)}{_PLAIN}{colour}{line}{_PLAIN if colour else ''}"
        else:
            yield self.column.show(at) + line

    def found(self, exchange: Exchange) -> Iterator[str]:
        """The lines in which texts were found."""
        for hit in exchange.hits:
            yield f"{self._indent}{'':>7}  {'':<7} {'':>5} {'':>5}    {neutral(hit.line)}"

    def _said(self, exchange: Exchange) -> str:
        command, answer = exchange.command, exchange.answer
        if self._cut is not None:
            command, answer = _cut(command, self._cut), _cut(answer, self._cut)
        said = neutral(command) if exchange.is_command else f"({neutral_text(exchange.verb)})"
        if exchange.verb == "IDLE" and exchange.answered and exchange.talking is not None:
            said += f" ({duration_text(exchange.talking)})"
        if exchange.failed or not exchange.is_command:
            said += f" → {neutral(answer)}"
        return said


def exchange_lines(
    recording: Recording,
    lines: ExchangeLines,
    *,
    wanted: Wanted = every,
    window: Window = EVERYTHING,
) -> Iterator[str]:
    """The lines of the exchanges that are ``wanted`` and begin in the window."""
    for exchange in selected(recording, wanted=wanted, window=window, on_start=lines.column.begin):
        yield from lines.lines(exchange)


def exchange_json_lines(recording: Recording, *, wanted: Wanted = every, window: Window = EVERYTHING) -> Iterator[str]:
    """The same as JSON, one object a line; docs/formats/jsonl.md has the names."""
    for exchange in selected(recording, wanted=wanted, window=window):
        yield exchange_json(recording.name, exchange)


def exchange_json(name: str, exchange: Exchange) -> str:
    """One exchange of the recording ``name`` as a JSON object."""
    return json.dumps({"recording": name, **exchange_fields(exchange)}).replace("\x7f", "\\u007f")


def exchange_fields(exchange: Exchange) -> dict[str, object]:
    """What is known of an exchange, by name. Times are in microseconds."""
    return {
        "number": exchange.number,
        "at": exchange.began if exchange.began is not None else exchange.first,
        "time": iso_text(exchange.began if exchange.began is not None else exchange.first),
        "verb": exchange.verb,
        "tag": exchange.tag,
        "command": _text(exchange.command),
        "status": exchange.status,
        "answer": _text(exchange.answer),
        "replies": [_text(reply) for reply in exchange.replies] if len(exchange.replies) > 1 else [],
        "failed": exchange.failed,
        "latency": exchange.latency,
        "first_latency": exchange.first_latency,
        "talking": exchange.talking,
        "sent": exchange.sent,
        "received": exchange.received,
    }


def selected(
    recording: Recording,
    *,
    wanted: Wanted = every,
    window: Window = EVERYTHING,
    scan: Scan | None = None,
    on_start: Callable[[int | None], None] = lambda at: None,
) -> Iterator[Exchange]:
    """The exchanges that are ``wanted`` and begin in the window; ``on_start`` hears the time of the first event.

    Raises RawlogError when there is a window, and the recording has no times.
    """
    paired = pairing_of(recording, scan=scan)
    if paired is None:
        return
    pairer, events = paired
    fits = window.fits(recording)
    for event in events:
        on_start(event.at)
        fits.begin(event.at)
        yield from _those(pairer.feed(event), wanted, fits.has)
    yield from _those(pairer.end(), wanted, fits.has)


def _those(exchanges: list[Exchange], wanted: Wanted, has: Callable[[int | None], bool]) -> Iterator[Exchange]:
    for exchange in exchanges:
        if has(exchange.began if exchange.began is not None else exchange.first) and wanted(exchange):
            yield exchange


def _cut(text: bytes, cut: int) -> bytes:
    return text if len(text) <= cut else text[:cut] + "…".encode()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
