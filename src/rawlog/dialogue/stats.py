"""Figures about exchanges: how many, how large, how fast, how often refused; by command, user, software.

Knows: what is counted, and for whom. Must not know: files, tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from rawlog.dialogue.exchange import Exchange, pairing_of
from rawlog.dialogue.exchange_summary import Summarizer, Summary
from rawlog.dialogue.search_text import Scan
from rawlog.dialogue.stats_histogram import Histogram
from rawlog.events import Recording

By = Literal["command", "user", "software", "client", "protocol", "recording", "all"]

VERBS_LIMIT = 200
"""Different commands of one recording that are told apart; whoever sends more sends rubbish."""

GROUPS_LIMIT = 100_000
"""Different groups in all; further ones are counted together."""

OTHERS = "(others)"
UNKNOWN = "(unknown)"


@dataclass(slots=True)
class Figures:
    """What was counted. ``idle`` is in microseconds: the time in which no answer was waited for; of a single command,
    the time spent in IDLE."""

    recordings: int = 0
    count: int = 0
    errors: int = 0
    unanswered: int = 0
    sent: int = 0
    received: int = 0
    idle: int = 0
    latency: Histogram = field(default_factory=Histogram)

    def add(self, exchange: Exchange) -> None:
        """One more exchange."""
        self.count += 1
        self.errors += exchange.failed
        self.unanswered += not exchange.answered
        self.sent += exchange.sent
        self.received += exchange.received
        if exchange.verb == "IDLE":
            self.idle += exchange.talking or 0
        latency = exchange.latency
        if latency is not None:
            self.latency.add(latency)

    def merge(self, other: Figures, *, idle: int | None = None) -> None:
        """All of another one, too; ``idle`` in the place of its idle time."""
        self.recordings += other.recordings
        self.count += other.count
        self.errors += other.errors
        self.unanswered += other.unanswered
        self.sent += other.sent
        self.received += other.received
        self.idle += other.idle if idle is None else idle
        self.latency.merge(other.latency)


@dataclass(slots=True)
class Measured:
    """The figures of one recording: by command, its summary, and the time in which no answer was waited for."""

    name: str
    summary: Summary
    commands: dict[str, Figures]
    idle: int


def measure(
    recording: Recording, *, wanted: Callable[[Exchange], bool] = lambda exchange: True, scan: Scan | None = None
) -> Measured:
    """The figures of a recording; only of the commands that are ``wanted``."""
    summarizer = Summarizer(recording.protocol)
    made = _Measuring(recording.name, summarizer.summary, wanted)
    paired = pairing_of(recording, scan=scan)
    pairer, events = paired or (None, recording.events)
    for event in events:
        summarizer.event(event)
        made.take(pairer.feed(event) if pairer else (), summarizer)
    made.take(pairer.end() if pairer else (), summarizer)
    summarizer.finish(pairer.framer.user if pairer else None)
    return made.measured()


class _Measuring:
    def __init__(self, name: str, summary: Summary, wanted: Callable[[Exchange], bool]) -> None:
        self._name = name
        self._summary = summary
        self._wanted = wanted
        self._commands: dict[str, Figures] = {}
        self._busy = 0
        self._busy_until: int | None = None

    def take(self, exchanges: Iterable[Exchange], summarizer: Summarizer) -> None:
        for exchange in exchanges:
            summarizer.exchange(exchange)
            self._waited(exchange)
            if exchange.is_command and self._wanted(exchange):
                verb = exchange.verb
                if verb not in self._commands and len(self._commands) >= VERBS_LIMIT:
                    verb = OTHERS
                self._commands.setdefault(verb, Figures(recordings=1)).add(exchange)

    def measured(self) -> Measured:
        idle = max(0, (self._summary.duration or 0) - self._busy)
        return Measured(self._name, self._summary, self._commands, idle)

    def _waited(self, exchange: Exchange) -> None:
        """Adds the time in which this answer was waited for, and no other one."""
        if exchange.latency is None or exchange.asked is None or exchange.ended is None:
            return
        start = exchange.asked if self._busy_until is None else max(exchange.asked, self._busy_until)
        self._busy += max(0, exchange.ended - start)
        self._busy_until = max(exchange.ended, self._busy_until or 0)


class Statistics:
    """Figures of many recordings, in groups."""

    def __init__(self, by: By) -> None:
        self.by = by
        self.total = Figures()
        self.groups: dict[str, Figures] = {}

    def add(self, measured: Measured) -> None:
        """One more recording. One without any command that was wanted does not count."""
        if not measured.commands:
            return
        whole = Figures()
        for figures in measured.commands.values():
            whole.merge(figures)
        whole.recordings, whole.idle = 1, measured.idle
        self.total.merge(whole)
        if self.by == "command":
            for verb, figures in measured.commands.items():
                self._group(verb).merge(figures)
        else:
            self._group(self._key(measured)).merge(whole)

    def _group(self, key: str) -> Figures:
        if key not in self.groups and len(self.groups) >= GROUPS_LIMIT:
            key = OTHERS
        return self.groups.setdefault(key, Figures())

    def _key(self, measured: Measured) -> str:
        summary = measured.summary
        keys = {
            "user": summary.user,
            "software": summary.software,
            "client": _host(summary.client),
            "protocol": summary.protocol,
            "recording": measured.name,
            "all": "all",
        }
        return keys[self.by] or UNKNOWN


def _host(client: str) -> str:
    """An address without its port."""
    return client.rpartition(":")[0] or client if client.count(":") == 1 or client.startswith("[") else client
