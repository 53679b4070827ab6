"""``rawlog merge``: several recordings on one time line.

Knows: its options. Must not know: how they are merged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from rawlog.cli import shared
from rawlog.errors import RawlogError
from rawlog.events import Recording
from rawlog.reading.opener import open_paths
from rawlog.views.listing import shown_name
from rawlog.views.text import CUT
from rawlog.views.timeline import timeline, timeline_json

DESCRIPTION = """\
Prints several recordings as one conversation in the order of time: the client's leg and the backend's, or all
connections of one client. Each line has the number of its recording; the names stand first. Recordings without time
stamps can't be merged.
"""
EXAMPLES = """\
  rawlog merge front/20261122-104500.77.1.in backend/20261122-104500.80.1.in
  rawlog merge --time relative recordings/alice
  rawlog merge --since 10:45 --until 10:46 recordings
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog merge``."""
    shared.add_paths(parser)
    parser.add_argument("--bodies", action="store_true", help="show literals and messages instead of their sizes")
    shared.add_window(parser)
    shared.add_look(parser)
    parser.add_argument("--json", action="store_true", help="one event a line, for other programs")


def run(options: argparse.Namespace) -> int:
    """Print the time line; 1 when a recording could not be read."""
    options.window = shared.window_of(options)
    failures: list[RawlogError] = []
    found: list[Recording] = []
    for recording in open_paths(options.paths, protocol=options.protocol, on_error=failures.append):
        if recording.timed:
            found.append(recording)
        else:
            failures.append(RawlogError(f"{recording.name}: has no times, so it has no place on a time line"))
    if not found and not failures:
        raise shared.nothing_in(options.paths)
    try:
        for line in _lines(found, options):
            sys.stdout.write(line + "\n")
    except RawlogError as error:
        failures.append(error)
    return shared.told(failures)


def _lines(recordings: list[Recording], options: argparse.Namespace) -> Iterator[str]:
    if options.json:
        yield from timeline_json(recordings, window=options.window)
        return
    width = len(str(len(recordings)))
    for number, recording in enumerate(recordings, start=1):
        yield f"== [{number:>{width}}] {shown_name(recording.name)}"
    yield from timeline(
        recordings,
        bodies=options.bodies,
        colour=shared.has_colours(options.color),
        time=options.time,
        cut=None if options.long else CUT,
        window=options.window,
    )
