"""One timer for all recorders that have something to write.

Knows: who is dirty, and when to look again. Must not know: sinks, formats. A timer for each recorder would cost more
than the writes it saves; with one, a thousand quiet conversations cost nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import Protocol

INTERVAL = 0.15
"""Seconds a byte may wait before it is written. Together with the 0.05 that a gateway may put off understanding it,
a killed process may lose 0.2; with Dovecot's ``rawlog`` it is 1.0."""


AT_ONCE = 8
"""Recorders that write one after the other; then others have their turn: a thousand take a tenth of a second."""


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
        self._due: dict[Flushable, None] = {}
        self._armed = False

    def add(self, recorder: Flushable) -> None:
        """Has something to write. As often as one likes."""
        self._dirty[recorder] = None
        if not self._armed:
            self._armed = True
            self._call_later(self._interval, self._fire)

    def flush(self) -> None:
        """Writes what all recorders have waiting, now: before a process ends, forks, or sleeps."""
        batch, self._due, self._dirty = self._due | self._dirty, {}, {}
        for recorder in batch:
            if recorder.flush():
                self.add(recorder)

    def _fire(self) -> None:
        self._armed = False
        waiting = bool(self._due)
        self._due |= self._dirty
        self._dirty = {}
        if not waiting:
            self._go_on()

    def _go_on(self) -> None:
        """Write some of what is due, and the rest after others had their turn."""
        for recorder in list(islice(self._due, AT_ONCE)):
            del self._due[recorder]
            if recorder.flush():
                self.add(recorder)
        if self._due:
            self._call_later(0.0, self._go_on)
