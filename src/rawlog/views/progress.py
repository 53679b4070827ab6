"""How far a long piece of work is: one line on a terminal that is written over and over, and goes away at the end.

Knows: the terminal, and how often an eye wants news. Must not know: the work. Nothing is shown where there is no
terminal, nor for what is done in a second.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TextIO

PATIENCE = 1.0
"""Seconds without any line: most work is done by then."""

INTERVAL = 0.2
"""Seconds between two lines."""

_WIDTH = 24
_CLEAR = "\r\x1b[K"


class Progress:
    """Use it as a context manager, and call it with how much is done, of how much in all, and what is counted."""

    def __init__(self, stream: TextIO, what: str) -> None:
        self._stream = stream
        self._what = what
        self._shows = stream.isatty()
        self._next = time.monotonic() + PATIENCE
        self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def __call__(self, done: int, total: int) -> None:
        """Work has gone on."""
        if not self._shows or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + INTERVAL
        self._shown = True
        part = done / total if total else 1.0
        bar = "#" * round(part * _WIDTH)
        self._stream.write(f"{_CLEAR}{self._what} [{bar:<{_WIDTH}}] {done:,} of {total:,}")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away, so that something else can be written."""
        if self._shown:
            self._shown = False
            self._stream.write(_CLEAR)
            self._stream.flush()
