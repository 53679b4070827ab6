"""``rawlog show``: recordings as conversations, on the screen.

Knows: its options, and whether the screen has colours. Must not know: formats, protocols.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rawlog.errors import RawlogError
from rawlog.events import Recording
from rawlog.reading.opener import open_paths
from rawlog.views.text import json_lines, render

DESCRIPTION = """\
Prints recordings as conversations: time, who, what. A path that names one half of a pair means the pair; a directory
means all recordings in it; - is standard input. Every format of Dovecot and of Rawlog is read. Literals and messages
are folded to their size. Nothing in a recording can act on the terminal.
"""
EXAMPLES = """\
  rawlog show recordings/20261122-104500.77.1.in
  rawlog show --bodies --time relative recordings
  rawlog show --json recordings | jq -r 'select(.dir == "in") | .text'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog show``."""
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a recording, or a directory of recordings")
    parser.add_argument("--bodies", action="store_true", help="show literals and messages instead of their sizes")
    parser.add_argument("--long", action="store_true", help="show long lines whole")
    parser.add_argument("--time", choices=("wall", "relative", "none"), default="wall", help="how times are shown")
    parser.add_argument("--protocol", metavar="NAME", help="imap, pop3, smtp, lmtp or managesieve, where it isn't seen")
    parser.add_argument("--json", action="store_true", help="one event a line, loss-free, for other programs")
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="colours (auto: on a terminal)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the recordings; 1 when one of them could not be read."""
    failures: list[RawlogError] = []
    recordings = open_paths(options.paths, protocol=options.protocol, on_error=failures.append)
    shown = 0
    for recording in recordings:
        try:
            for line in _lines(recording, options, first=not shown):
                sys.stdout.write(line + "\n")
        except RawlogError as error:
            failures.append(error)
        shown += 1
    if not shown and not failures:
        raise RawlogError(f"{options.paths[0]}: no recording in it; give a directory with .in, .out or .rawlog files")
    sys.stdout.flush()
    for failure in failures:
        print(f"rawlog: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _lines(recording: Recording, options: argparse.Namespace, *, first: bool) -> Iterator[str]:
    if options.json:
        yield from json_lines(recording)
        return
    if len(options.paths) > 1 or not first or Path(options.paths[0]).is_dir():
        yield ("" if first else "\n") + f"== {recording.name.encode('unicode_escape').decode()}"
    cut = {"cut": None} if options.long else {}
    yield from render(recording, bodies=options.bodies, colour=_colours(options.color), time=options.time, **cut)


def _colours(wish: str) -> bool:
    if wish == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return wish == "always"
