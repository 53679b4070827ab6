"""A stretch of a conversation that is not in the recording, and how a recording says so.

Knows: what a gap is, and the line that stands for it in formats without marks. Must not know: sinks, formats, why it
came to it. A recording with a hole must show the hole: a reader who can't see it draws wrong conclusions.
"""

from __future__ import annotations

import time
from collections import Counter

from rawlog.events import Direction, Mark


class Gap:
    """Bytes that were not recorded. ``since`` and ``until``: times of the first and the last of them, microseconds."""

    __slots__ = ("cause", "lost", "since", "until")

    def __init__(self, cause: str, since: int | None, until: int | None) -> None:
        self.cause = cause
        self.since = since
        self.until = until
        self.lost: Counter[Direction] = Counter()

    def add(self, at: int | None, direction: Direction, size: int) -> None:
        """One more piece that is not recorded."""
        self.until = at
        self.lost[direction] += size

    def mark(self) -> Mark:
        """The gap as an event, for formats that have marks. It stands where recording goes on."""
        return Mark(
            self.until,
            "gap",
            {
                "cause": self.cause,
                **{direction.value: str(self.lost[direction]) for direction in Direction},
                "from": utc(self.since),
                "to": utc(self.until),
            },
        )

    def line(self, direction: Direction) -> bytes:
        """The gap as a line of its own in the stream of ``direction``, for Dovecot's formats."""
        return gap_line(self.lost[direction], self.since, self.until, self.cause)


def gap_line(size: int, since: int | None, until: int | None, cause: str) -> bytes:
    r"""The line that stands for bytes which are not in a recording. Times in microseconds since the epoch.

    >>> gap_line(7, 1795385217427810, 1795385219000000, "No space").decode()
    '[rawlog: 7 bytes not recorded from 2026-11-22T22:06:57.427810Z to 2026-11-22T22:06:59.000000Z: No space]\r\n'
    """
    return f"[rawlog: {size} bytes not recorded from {utc(since)} to {utc(until)}: {cause}]\r\n".encode()


def begin_line(cause: str) -> bytes:
    """The line at the place where recording stops although the sink works; how much is missing is said later."""
    return f"[rawlog: not recorded from here on: {cause}]\r\n".encode()


def utc(at: int | None) -> str:
    """A time in microseconds since the epoch as ISO 8601 in UTC; ``?`` when it is not known."""
    if at is None:
        return "?"
    seconds, micros = divmod(at, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{micros:06d}Z"
