"""Tells the operator about refused clients: each kind of refusal at once, then how many more there were, once a minute.

Knows: what was told, and when. Must not know: why anybody is refused. Who floods the gateway must not flood its log.
"""

from __future__ import annotations

from collections.abc import Callable

from rawlog.engine.loop import Loop

AGAIN = 60.0
"""Seconds between two lines about the same kind of refusal (security.md 6.1)."""


class Refusals:
    """``report`` gets the lines. ``counts`` holds, for each kind, how many there were in all."""

    def __init__(self, loop: Loop, report: Callable[[str], None]) -> None:
        self.counts: dict[str, int] = {}
        self._told: dict[str, int] = {}  # the count up to which it was told, while a line is due
        self._loop = loop
        self._report = report

    def tell(self, kind: str, sentence: str) -> None:
        """Somebody was refused; ``kind`` is one of few: the limit, not the client."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind not in self._told:
            self._report(sentence)
            self._await(kind)

    def _await(self, kind: str) -> None:
        self._told[kind] = self.counts[kind]
        self._loop.call_later(AGAIN, lambda: self._again(kind))

    def _again(self, kind: str) -> None:
        more = self.counts[kind] - self._told.pop(kind)
        if more:
            self._report(f"{kind}: {more} more refused in the last {AGAIN:.0f} s")
            self._await(kind)
