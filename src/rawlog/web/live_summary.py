"""What is known of a conversation while it goes on: its summary, event by event.

Knows: that protocol and client are learned on the way. Must not know: files, lists.
"""

from __future__ import annotations

from rawlog.dialogue.beginning import Beginning
from rawlog.dialogue.exchange import Pairer
from rawlog.dialogue.exchange_summary import Summarizer, Summary
from rawlog.events import Event
from rawlog.protocols.registry import FRAMERS


class LiveSummary:
    """Takes the events of one conversation. ``summary`` is what is known so far."""

    def __init__(self) -> None:
        self._summarizer = Summarizer(None)
        self._beginning: Beginning | None = Beginning()
        self._pairer: Pairer | None = None

    @property
    def summary(self) -> Summary:
        """It changes with the next event."""
        summary = self._summarizer.summary
        if self._pairer is not None and not summary.user:
            summary.user = self._pairer.framer.user or ""
        return summary

    def feed(self, event: Event) -> None:
        """The next event."""
        self._summarizer.event(event)
        if self._beginning is None:
            self._pair(event)
        elif self._beginning.take(event):
            beginning, self._beginning = self._beginning, None
            protocol, client = beginning.told()
            self._summarizer.summary.protocol = protocol or ""
            if protocol in FRAMERS:
                self._pairer = Pairer(protocol, client)
            for first in beginning.events:
                self._pair(first)

    def _pair(self, event: Event) -> None:
        for exchange in self._pairer.feed(event) if self._pairer else ():
            self._summarizer.exchange(exchange)
            if exchange.verb in ("LOGOUT", "QUIT"):
                self._summarizer.finish(None)
