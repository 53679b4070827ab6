"""The column of times in front of what happened.

Knows: the three ways to show a time. Must not know: what happened.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator
from typing import Literal

Time = Literal["wall", "relative", "none"]

WIDTHS = {"wall": 13, "relative": 11, "none": 0}


class TimeColumn:
    """Shows times as ``wall`` (local time), ``relative`` (seconds since the start) or not at all (``none``).

    The start is the first time it is told, by ``begin`` or ``show``.
    """

    def __init__(self, time: Time) -> None:
        self._time = time
        self._first: int | None = None
        self._day = ""

    def begin(self, at: int | None) -> None:
        """Something happened, whether it is shown or not."""
        if self._first is None:
            self._first = at

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
        if at is None:
            return " " * WIDTHS[self._time]
        if self._time == "wall":
            return clock.strftime("%H:%M:%S", clock.localtime(at // 1_000_000)) + f".{at // 1000 % 1000:03d} "
        self.begin(at)
        return f"{(at - (self._first or 0)) / 1_000_000:10.3f} "
