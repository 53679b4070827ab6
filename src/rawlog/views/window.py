"""A span of time that is looked at: from a moment, to a moment, or both.

Knows: moments as people say them (when.py). Must not know: what is shown of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from rawlog.errors import RawlogError
from rawlog.events import Recording
from rawlog.views.when import When


@dataclass(frozen=True, slots=True)
class Window:
    """From ``since`` to ``until``, both included; None: no limit."""

    since: When | None = None
    until: When | None = None

    def fits(self, recording: Recording) -> Fits:
        """The window for one recording. Raises RawlogError where that has no times to compare."""
        if (self.since or self.until) and not recording.timed:
            raise RawlogError(f"{recording.name}: has no times; show it without --since and --until")
        return Fits(self)

    def overlaps(self, started: int | None, ended: int | None) -> bool:
        """Whether a recording from ``started`` to ``ended`` has anything in the window."""
        if started is None:
            return self.since is None and self.until is None
        since = self.since.at(started) if self.since else None
        until = self.until.at(started) if self.until else None
        return (since is None or (ended or started) >= since) and (until is None or started <= until)


EVERYTHING = Window()


class Fits:
    """Says what lies in the window of one recording; the first time it is told is the recording's start."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._begun = False
        self._since: int | None = None
        self._until: int | None = None

    def begin(self, at: int | None) -> None:
        """Something happened then."""
        if self._begun or at is None:
            return
        self._begun = True
        self._since = self._window.since.at(at) if self._window.since else None
        self._until = self._window.until.at(at) if self._window.until else None

    def has(self, at: int | None) -> bool:
        """Whether a moment lies in the window. What has no time of its own does."""
        if at is None:
            return True
        self.begin(at)
        return (self._since is None or at >= self._since) and (self._until is None or at <= self._until)
