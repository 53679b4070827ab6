"""Several recordings on one time line: the client's leg and the backend's, or all connections of a client.

Knows: how sequences in the order of time become one. Must not know: how a line looks (text.py), files.

A recording is opened when its time has come, so that many short ones in a row need no more files than overlap.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from rawlog.dialogue.exchange_pieces import who_is_client
from rawlog.errors import RawlogError
from rawlog.events import Recording
from rawlog.views.jsonl import json_lines
from rawlog.views.text import CUT, Transcript
from rawlog.views.time_column import Time, TimeColumn
from rawlog.views.window import EVERYTHING, Window

T = TypeVar("T")

Timed = tuple[int | None, str]  # a line, and when it was said


def timeline(
    recordings: Sequence[Recording],
    *,
    bodies: bool = False,
    colour: bool = False,
    time: Time = "wall",
    cut: int | None = CUT,
    window: Window = EVERYTHING,
) -> Iterator[str]:
    """The lines of all conversations in the order of time, each with the number of its recording: ``[1]``, ``[2]``.

    The options are those of ``text.render``. Raises RawlogError when a recording has no times.
    """

    def lines(recording: Recording) -> Iterator[Timed]:
        client, events = who_is_client(recording.events)
        fits = window.fits(recording)
        transcript = Transcript(recording.protocol, client, bodies=bodies, colour=colour, cut=cut, fits=fits)
        for event in events:
            yield from transcript.timed(event)
        yield from transcript.timed(None)

    column = TimeColumn(time)
    width = len(str(len(recordings)))
    for number, (at, line) in _merged(recordings, lines):
        yield from column.new_day(at)
        yield f"{column.show(at)}[{number + 1:>{width}}] {line}"


def timeline_json(recordings: Sequence[Recording], *, window: Window = EVERYTHING) -> Iterator[str]:
    """The events of all recordings in the order of time, as JSON, one a line."""

    def lines(recording: Recording) -> Iterator[Timed]:
        fits = window.fits(recording)
        for event in recording.events:
            if fits.has(event.at):
                yield from ((event.at, line) for line in json_lines(Recording(recording.name, [event])))

    return (line for _, (_, line) in _merged(recordings, lines))


def _merged(
    recordings: Sequence[Recording], lines: Callable[[Recording], Iterator[Timed]]
) -> Iterator[tuple[int, Timed]]:
    """The lines of all in the order of time, with the number of the recording; in each, the order stays."""
    waiting = sorted(((_started(recording), number) for number, recording in enumerate(recordings)), reverse=True)
    open_ones: list[tuple[int, int, Timed, Iterator[Timed]]] = []
    while waiting or open_ones:
        while waiting and (not open_ones or waiting[-1][0] <= open_ones[0][0]):
            at, number = waiting.pop()
            _put(open_ones, at, number, lines(recordings[number]))
        if open_ones:
            at, number, line, rest = heapq.heappop(open_ones)
            yield number, line
            _put(open_ones, at, number, rest)


def _put(open_ones: list[tuple[int, int, Timed, Iterator[Timed]]], at: int, number: int, rest: Iterator[Timed]) -> None:
    """The next line of a recording waits for its turn; one that has no time, or an earlier one, comes at once."""
    line = next(rest, None)
    if line is not None:
        heapq.heappush(open_ones, (max(at, line[0] or at), number, line, rest))


def _started(recording: Recording) -> int:
    if not recording.timed:
        raise RawlogError(f"{recording.name}: has no times, so it has no place on a time line; leave it out")
    return next((event.at for event in _taken(recording.events) if event.at is not None), 0)


def _taken(events: Iterable[T]) -> Iterable[T]:
    """The first events: enough to find one that has a time."""
    return (event for event, _ in zip(events, range(100), strict=False))
