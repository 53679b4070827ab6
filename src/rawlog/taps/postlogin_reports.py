"""Reports that would come with every login: each cause is told at once, and then once an hour.

Knows: what was told when. Must not know: what the reports are about.
"""

from __future__ import annotations

from collections.abc import Callable

from rawlog.engine.loop import Loop

AGAIN = 3600.0
"""Seconds until the same cause is told again: often enough to be found, seldom enough to be read."""
CAUSES_LIMIT = 1000
"""Causes that are remembered (they name directories, so there is one for each user); the oldest is forgotten first."""


class Reports:
    """Gives sentences on to ``report``."""

    def __init__(self, loop: Loop, report: Callable[[str], None]) -> None:
        self._loop = loop
        self._report = report
        self._told: dict[str, float] = {}

    def tell(self, sentence: str, cause: str = "") -> None:
        """Report it, unless its cause (by default the sentence itself) was told a short time ago."""
        now, cause = self._loop.monotonic(), cause or sentence
        if self._told.get(cause, float("-inf")) + AGAIN > now:
            return
        self._told.pop(cause, None)
        self._told[cause] = now
        if len(self._told) > CAUSES_LIMIT:
            del self._told[next(iter(self._told))]
        self._report(sentence)
