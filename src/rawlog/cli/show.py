"""``rawlog show``: recordings as conversations, on the screen.

Knows: its options. Must not know: formats, protocols.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from rawlog.cli import shared
from rawlog.dialogue.exchange import Exchange
from rawlog.errors import RawlogError
from rawlog.events import Recording
from rawlog.reading.opener import open_paths
from rawlog.views.exchanges import CUT as COMMAND_CUT
from rawlog.views.exchanges import ExchangeLines, exchange_json_lines, exchange_lines
from rawlog.views.text import CUT, json_lines, render
from rawlog.views.time_column import Time

DESCRIPTION = """\
Prints recordings as conversations: time, who, what. A path that names one half of a pair means the pair; a directory
means all recordings in it; - is standard input. Every format of Dovecot and of Rawlog is read. Literals and messages
are folded to their size. Nothing in a recording can act on the terminal.

With --exchanges (also --slow, --errors) each command has one line: time, latency from its last byte to the last byte of
the answer, status, bytes sent and received, the command, and what the server said where it refused. Credentials are
masked in these lines.
"""
EXAMPLES = """\
  rawlog show recordings/20261122-104500.77.1.in
  rawlog show --bodies --time relative recordings
  rawlog show --mime recordings                           messages as their structure and decoded headers
  rawlog show --exchanges recordings                      one line for each command
  rawlog show --slow 500ms recordings                     what took half a second or longer
  rawlog show --errors --since 10:45 --until 10:50 recordings
  rawlog show --json recordings | jq -r 'select(.dir == "in") | .text'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog show``."""
    shared.add_paths(parser)
    parser.add_argument("--bodies", action="store_true", help="show literals and messages instead of their sizes")
    parser.add_argument("--mime", action="store_true", help="show messages as their structure and decoded headers")
    parser.add_argument("--exchanges", action="store_true", help="one line for each command")
    parser.add_argument("--slow", metavar="DURATION", help="only commands that took so long: 500ms, 1.5s")
    parser.add_argument("--errors", action="store_true", help="only commands that were refused or never answered")
    shared.add_window(parser)
    shared.add_look(parser)
    parser.add_argument("--json", action="store_true", help="one event (or exchange) a line, for other programs")


def run(options: argparse.Namespace) -> int:
    """Print the recordings; 1 when one of them could not be read."""
    options.window = shared.window_of(options)
    options.slow = shared.wish_duration(options.slow, "--slow")
    failures: list[RawlogError] = []
    recordings = open_paths(options.paths, protocol=options.protocol, on_error=failures.append)
    shown = 0
    for recording in recordings:
        try:
            for line in _titled(recording, options, first=not shown):
                sys.stdout.write(line + "\n")
        except RawlogError as error:
            failures.append(error)
        shown += 1
    if not shown and not failures:
        raise shared.nothing_in(options.paths)
    return shared.told(failures)


def _titled(recording: Recording, options: argparse.Namespace, *, first: bool) -> Iterator[str]:
    """The lines of a recording, with its name above them where there may be others."""
    lines = _lines(recording, options)
    if options.json or not (len(options.paths) > 1 or not first or Path(options.paths[0]).is_dir()):
        yield from lines
        return
    one = next(lines, None)
    chosen = options.errors or options.slow is not None or options.since or options.until
    if one is not None or not chosen:
        yield ("" if first else "\n") + shared.title(recording.name)
    if one is not None:
        yield one
    yield from lines


def _lines(recording: Recording, options: argparse.Namespace) -> Iterator[str]:
    if options.exchanges or options.errors or options.slow is not None:
        return _exchanges(recording, options)
    if options.json:
        return json_lines(recording, window=options.window)
    return _conversation(recording, options)


def _conversation(recording: Recording, options: argparse.Namespace) -> Iterator[str]:
    bodies: bool | Literal["mime"] = "mime" if options.mime else options.bodies
    colour = shared.has_colours(options.color)
    cut = None if options.long else CUT
    return render(recording, bodies=bodies, colour=colour, time=options.time, cut=cut, window=options.window)


def _exchanges(recording: Recording, options: argparse.Namespace) -> Iterator[str]:
    def wanted(exchange: Exchange) -> bool:
        if options.slow is not None and (exchange.latency is None or exchange.latency < options.slow):
            return False
        return not options.errors or exchange.failed or (exchange.is_command and not exchange.answered)

    if options.json:
        return exchange_json_lines(recording, wanted=wanted, window=options.window)
    time: Time = options.time if recording.timed else "none"
    cut = None if options.long else COMMAND_CUT
    lines = ExchangeLines(time, colour=shared.has_colours(options.color), cut=cut)
    return exchange_lines(recording, lines, wanted=wanted, window=options.window)
