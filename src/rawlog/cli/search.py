"""``rawlog search``: exchanges that match an expression, in many recordings.

Knows: its options, and which way of looking is the quickest. Must not know: the language (dialogue/search.py).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from rawlog.cli import shared
from rawlog.dialogue.search import Query, could_match, parse
from rawlog.errors import RawlogError
from rawlog.reading.needles import may_hold
from rawlog.reading.opener import open_recording
from rawlog.views.exchanges import CUT
from rawlog.views.matches import Matches, Show
from rawlog.views.progress import Progress

DESCRIPTION = """\
Finds exchanges (a command and its answer) in recordings, and prints a line for each, with the lines in which a text was
found. The terms of an expression must all hold; there are or, not and parentheses.

  of a recording:   user:alice  ip:192.0.2.0/24  protocol:imap  software:thunderbird  end:BYE  name:2026
                    duration>1h  slowest>1s  commands>100  errors>0  bytes>10M
  of an exchange:   command:FETCH  status:NO  tag:a1  is:error  is:unanswered
                    latency>1s  first>500ms  talking>5m  sent>1M  received>=10k
  texts in a line:  word  "several words"  /regular expression/i  in:text  out:/text/

A value may hold *, stand in quotes, or be a /regular expression/. Exit code: 0 found, 1 not found, 2 trouble.
"""
EXAMPLES = """\
  rawlog search 'user:alice command:FETCH latency>1s' /var/log/rawlog
  rawlog search 'status:NO or status:BAD' recordings
  rawlog search 'out:"* BYE"' recordings
  rawlog search -l 'in:/^Message-ID: <1234@/i' /var/log/rawlog
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog search``."""
    parser.add_argument("expression", metavar="EXPR", help="what to look for")
    shared.add_paths(parser, nargs="*")
    parser.add_argument("-i", "--ignore-case", action="store_true", help="in texts, upper and lower case are alike")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("-l", "--names", action="store_true", help="only the names of recordings that match")
    kinds.add_argument("-c", "--count", action="store_true", help="only how many exchanges match in each")
    kinds.add_argument("-q", "--quiet", action="store_true", help="print nothing; the exit code tells")
    kinds.add_argument("--json", action="store_true", help="one exchange a line, for other programs")
    shared.add_window(parser)
    shared.add_look(parser)


def run(options: argparse.Namespace) -> int:
    """Print what matches; 0 when anything did, 1 when nothing did, 2 when something could not be read."""
    query = parse(options.expression, ignore_case=options.ignore_case)
    failures: list[RawlogError] = []
    matches = _matches(options)
    with Progress(sys.stderr, "searching") as progress:
        for path, left in shared.chosen(query, options.paths, failures, progress):
            try:
                for line in _lines(path, left, options, matches):
                    progress.clear()
                    sys.stdout.write(line + "\n")
            except RawlogError as error:
                failures.append(error)
            if options.quiet and matches.count:
                return 0
    if shared.told(failures):
        return 2
    return 0 if matches.count else 1


def _matches(options: argparse.Namespace) -> Matches:
    show: Show = "lines"
    if options.json:
        show = "json"
    elif options.names or options.count or options.quiet:
        show = "names" if options.names else "count" if options.count else "nothing"
    return Matches(
        show,
        time=options.time,
        colour=shared.has_colours(options.color),
        cut=None if options.long else CUT,
        window=shared.window_of(options),
    )


def _lines(path: str, query: Query, options: argparse.Namespace, matches: Matches) -> Iterator[str]:
    """The lines for one recording."""
    holds = may_hold(path, query.needles())
    if query.decided is False or holds is False:
        return
    recording = open_recording(path, protocol=options.protocol)
    if holds is None and path != "-" and not could_match(recording, query):
        return
    yield from matches.lines(recording, query)
