"""One timer for all recorders that have something to write.

Knows: who is dirty, and when to look again. Must not know: sinks, formats. A timer for each recorder would cost more
than the writes it saves; with one, a thousand quiet conversations cost nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

INTERVAL = 0.15
"""Seconds a byte may wait before it is written. Together with the 0.05 that a gateway may put off understanding it,
a killed process may lose 0.2; with Dovecot's ``rawlog`` it is 1.0."""


class Flushable(Protocol):
    """What a flusher flushes."""

    def flush(self) -> bool:
        """Writes what waits. True when something still waits: ask again later."""


class Flusher:
    """Calls ``flush`` on what was added, at most :data:`INTERVAL` seconds later.

    ``call_later(seconds, callback)`` is that of the event loop; ``now`` is its clock in seconds from anywhere, for
    retries.
    """

    def __init__(
        self,
        call_later: Callable[[float, Callable[[], None]], object],
        *,
        now: Callable[[], float] = time.monotonic,
        interval: float = INTERVAL,
    ) -> None:
        self.now = now
        self._call_later = call_later
        self._interval = interval
        self._dirty: dict[Flushable, None] = {}
        self._armed = False

    def add(self, recorder: Flushable) -> None:
        """Has something to write. As often as one likes."""
        self._dirty[recorder] = None
        if not self._armed:
            self._armed = True
            self._call_later(self._interval, self._fire)

    def flush(self) -> None:
        """Writes what all recorders have waiting, now: before a process ends, forks, or sleeps."""
        batch, self._dirty = self._dirty, {}
        for recorder in batch:
            if recorder.flush():
                self.add(recorder)

    def _fire(self) -> None:
        self._armed = False
        self.flush()
