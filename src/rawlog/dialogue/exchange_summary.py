"""A recording in one line: who, with what, how much, how it ended.

Knows: which exchanges and marks tell that. Must not know: where recordings lie, how a table looks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rawlog.dialogue.exchange import Exchange, pairing_of
from rawlog.events import Direction, Event, Mark, Recording

EDITION = 2
"""Of what a summary holds: counted up with every change, so that nobody takes an old one for a new one."""

_NAME_LIMIT = 100  # characters of what a client says about itself; more is no name

_ID_FIELD = re.compile(rb'"((?:[^"\\]|\\.)*)"[ \t]+(?:"((?:[^"\\]|\\.)*)"|NIL)', re.IGNORECASE)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_ADDRESS = re.compile(rb"\bADDR=(?:IPV6:)?([0-9A-Fa-f.:]+)", re.IGNORECASE)
_HELLOS = ("EHLO", "HELO", "LHLO")
_GOODBYES = ("LOGOUT", "QUIT")
_FAREWELLS = ("BYE", "421")


@dataclass(slots=True)
class Summary:
    """What is known of a recording when it has been read.

    Times are in microseconds since the epoch, None where there are none. ``client`` is the address of the client,
    ``software`` what it says about itself (IMAP's ID, the name in EHLO). ``commands`` counts what was asked, ``errors``
    what the server refused, ``slowest`` is the longest latency in microseconds. ``in_bytes`` and ``out_bytes`` are
    those of the two directions. ``end`` says how it ended: the reason where one was recorded, ``logout``, what the
    server said (``BYE``, ``421``), ``no answer to FETCH``; empty where nothing says it.
    """

    protocol: str = ""
    user: str = ""
    client: str = ""
    software: str = ""
    started: int | None = None
    ended: int | None = None
    commands: int = 0
    errors: int = 0
    slowest: int | None = None
    in_bytes: int = 0
    out_bytes: int = 0
    end: str = ""

    @property
    def duration(self) -> int | None:
        """Microseconds from the first to the last event."""
        return None if self.started is None or self.ended is None else self.ended - self.started


class Summarizer:
    """Makes a summary of the events and exchanges of one conversation, as they come."""

    def __init__(self, protocol: str | None) -> None:
        self.summary = Summary(protocol=protocol or "")
        self._closed = self._said_goodbye = False
        self._unanswered = ""

    def event(self, event: Event) -> None:
        """The next event, before the exchanges that it completes."""
        summary = self.summary
        if event.at is not None:
            summary.started = event.at if summary.started is None else min(event.at, summary.started)
            summary.ended = event.at if summary.ended is None else max(event.at, summary.ended)
        if isinstance(event, Mark):
            self._mark(event)
        elif event.direction is Direction.IN:
            summary.in_bytes += len(event.data)
        else:
            summary.out_bytes += len(event.data)

    def exchange(self, exchange: Exchange) -> None:
        """The next exchange."""
        summary = self.summary
        summary.commands += exchange.is_command
        summary.errors += exchange.failed
        latency = exchange.latency
        if latency is not None and exchange.is_command:
            summary.slowest = max(latency, summary.slowest or 0)
        if exchange.verb in _GOODBYES:
            self._said_goodbye = True
        elif exchange.is_command and not exchange.answered:
            self._unanswered = exchange.verb
        if exchange.status in _FAREWELLS and not self._said_goodbye:
            summary.end = exchange.status
        summary.software = summary.software or _software(exchange)
        if exchange.verb == "XCLIENT" and (address := _ADDRESS.search(exchange.command)):
            summary.client = address[1].decode("ascii")

    def finish(self, user: str | None) -> Summary:
        """The summary; ``user`` is who logged in, as the bytes tell it."""
        summary = self.summary
        summary.user = summary.user or user or ""
        if self._closed:
            return summary
        if self._said_goodbye:
            summary.end = "logout"
        elif not summary.end and self._unanswered:
            summary.end = f"no answer to {self._unanswered}"
        return summary

    def _mark(self, mark: Mark) -> None:
        summary, detail = self.summary, mark.detail
        if mark.name == "opened":
            summary.client = summary.client or detail.get("client", "")
        elif mark.name == "login":
            summary.user = detail.get("user", "") or summary.user
        elif mark.name == "closed":
            self._closed = True
            summary.end = detail.get("reason", "")


def summarize(recording: Recording) -> Summary:
    """The summary of a recording. Reads all of it; raises what its events raise."""
    summarizer = Summarizer(recording.protocol)
    paired = pairing_of(recording)
    if paired is None:
        for event in recording.events:
            summarizer.event(event)
        return summarizer.finish(None)
    pairer, events = paired
    for event in events:
        summarizer.event(event)
        for exchange in pairer.feed(event):
            summarizer.exchange(exchange)
    for exchange in pairer.end():
        summarizer.exchange(exchange)
    return summarizer.finish(pairer.framer.user)


def _software(exchange: Exchange) -> str:
    """What the client says about itself in this command."""
    if exchange.verb in _HELLOS:
        name = exchange.command.partition(b" ")[2].strip()
    elif exchange.verb == "ID":
        found = _ID_FIELD.finditer(exchange.command)
        fields = {field[1].lower(): _ESCAPED.sub(rb"\1", field[2] or b"") for field in found}
        name = b" ".join(part for part in (fields.get(b"name", b""), fields.get(b"version", b"")) if part)
    else:
        return ""
    return name.decode("utf-8", "replace")[:_NAME_LIMIT]
