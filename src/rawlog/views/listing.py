"""A list of recordings: what is noted of each, and how that looks in a table or as JSON.

Knows: summaries, names of files, columns. Must not know: where notes are kept (reading/shelf.py), options.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rawlog.dialogue.exchange_summary import Summary, summarize
from rawlog.reading.names import parse_name
from rawlog.reading.opener import open_recording
from rawlog.reading.unseal import SealedError
from rawlog.views.escape import neutral_text
from rawlog.views.table import Column, table
from rawlog.views.units import duration_text, iso_text, moment_text, size_text

SORTS: dict[str, Callable[[Listed], Any]] = {
    "start": lambda listed: listed.summary.started or 0,
    "duration": lambda listed: listed.summary.duration or 0,
    "user": lambda listed: listed.summary.user,
    "client": lambda listed: listed.summary.client,
    "commands": lambda listed: listed.summary.commands,
    "errors": lambda listed: listed.summary.errors,
    "slowest": lambda listed: listed.summary.slowest or 0,
    "bytes": lambda listed: listed.summary.in_bytes + listed.summary.out_bytes,
    "name": lambda listed: listed.name,
}
"""What a list can be sorted by. Numbers are sorted with the largest first but for ``start``."""

LARGEST_FIRST = frozenset(("duration", "commands", "errors", "slowest", "bytes"))

_COLUMNS = (
    Column("START"),
    Column("DURATION", right=True),
    Column("PROTOCOL"),
    Column("USER", limit=30),
    Column("CLIENT", limit=30),
    Column("SOFTWARE", limit=24),
    Column("CMDS", right=True),
    Column("ERRS", right=True),
    Column("SLOWEST", right=True),
    Column("IN", right=True),
    Column("OUT", right=True),
    Column("END", limit=24),
    Column("RECORDING", limit=200),
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One recording of a list: its name (a path), and what is known of it."""

    name: str
    summary: Summary


def note(path: str) -> dict[str, Any]:
    """What is noted of the recording at a path: its summary as a mapping; what only the file's name says is in it too.

    Of one that is sealed it is the name alone. Raises RawlogError when it can't be read.
    """
    try:
        summary = summarize(open_recording(path))
    except SealedError:
        summary = Summary(end="sealed")
    name = parse_name(Path(path).name.replace(".rawlog", ".in"))
    if name is not None:
        summary.client = summary.client or name.ip or ""
        if summary.started is None:
            with suppress(ValueError, OverflowError):  # no date after all
                summary.started = int(time.mktime(time.strptime(name.started, "%Y%m%d-%H%M%S"))) * 1_000_000
    return asdict(summary)


def listed(name: str, note: Mapping[str, Any]) -> Listed:
    """A recording of a list, from its note."""
    return Listed(name, Summary(**note))


def list_table(recordings: Iterable[Listed], *, header: bool = True) -> Iterator[str]:
    """The list as a table, line by line. Names are shown relative to the current directory where they are below it."""
    here = f"{Path.cwd()}/"
    return table(_COLUMNS, (_row(recording, here) for recording in recordings), header=header)


def shown_name(name: str) -> str:
    """The name of a recording, relative to the current directory where it is below it; safe to show."""
    return neutral_text(name.removeprefix(f"{Path.cwd()}/"))


def list_json(recordings: Iterable[Listed]) -> Iterator[str]:
    """One JSON object for each recording: the fields of Summary, and ``recording``, ``time`` (of the start) and
    ``duration`` (microseconds)."""
    for recording in recordings:
        summary = recording.summary
        known = {"time": iso_text(summary.started), "duration": summary.duration, **asdict(summary)}
        yield json.dumps({"recording": recording.name, **known}).replace("\x7f", "\\u007f")


def _row(recording: Listed, here: str) -> list[str]:
    summary = recording.summary
    return [
        moment_text(summary.started),
        duration_text(summary.duration),
        summary.protocol,
        neutral_text(summary.user),
        neutral_text(summary.client),
        neutral_text(summary.software),
        str(summary.commands),
        str(summary.errors or ""),
        duration_text(summary.slowest),
        size_text(summary.in_bytes),
        size_text(summary.out_bytes),
        neutral_text(summary.end),
        neutral_text(recording.name.removeprefix(here)),
    ]
