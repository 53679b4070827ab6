"""``rawlog ls``: which recordings there are, in a table.

Knows: its options. Must not know: how recordings are read, or where notes about them are kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import islice

from rawlog.cli import shared
from rawlog.dialogue.exchange_summary import EDITION
from rawlog.dialogue.search import Query, parse
from rawlog.errors import ConfigError, RawlogError
from rawlog.reading.shelf import Shelf, default_shelf
from rawlog.views.listing import LARGEST_FIRST, SORTS, Listed, list_json, list_table, listed, note
from rawlog.views.progress import Progress

DESCRIPTION = """\
Lists recordings: start, duration, protocol, user, address and software of the client, commands, errors, the longest
latency, bytes in and out, how it ended. What was found out is kept in the cache directory (~/.cache/rawlog), so that
the next listing reads only what is new or has changed.

--where takes the terms of `rawlog search` that are about a recording: user: ip: protocol: software: end: name:
duration> slowest> commands> errors> bytes>, with or, not and parentheses.
"""
EXAMPLES = """\
  rawlog ls
  rawlog ls --sort slowest --limit 20 /var/log/rawlog
  rawlog ls --where 'user:alice errors>0' /var/log/rawlog
  rawlog ls --where 'ip:192.0.2.0/24 not end:logout' --since -1d /var/log/rawlog
  rawlog ls --json /var/log/rawlog | jq -r 'select(.slowest > 1000000) | .recording'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog ls``."""
    shared.add_paths(parser, nargs="*", protocol=False)
    parser.add_argument("--where", metavar="EXPR", help="only recordings that match this expression")
    shared.add_window(parser)
    parser.add_argument("--sort", choices=tuple(SORTS), default="start", help="by what to sort (%(default)s)")
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_argument("--limit", metavar="N", type=int, help="only the first so many")
    parser.add_argument("--no-header", action="store_true", help="without the line of titles")
    parser.add_argument("--no-cache", action="store_true", help="neither use nor write notes in the cache directory")
    parser.add_argument("--json", action="store_true", help="one recording a line, for other programs")


def run(options: argparse.Namespace) -> int:
    """Print the list; 1 when a recording could not be read."""
    query = parse(options.where) if options.where else None
    failures: list[RawlogError] = []
    found = sorted(_chosen(options, query, failures), key=lambda one: (SORTS[options.sort](one), one.name))
    if options.reverse != (options.sort in LARGEST_FIRST):
        found.reverse()
    shown = islice(found, options.limit)
    for line in list_json(shown) if options.json else list_table(shown, header=not options.no_header):
        sys.stdout.write(line + "\n")
    return shared.told(failures)


def _chosen(options: argparse.Namespace, query: Query | None, failures: list[RawlogError]) -> Iterator[Listed]:
    window = shared.window_of(options)
    shelf = Shelf(None if options.no_cache else default_shelf(), edition=EDITION)
    name = ""
    with Progress(sys.stderr, "reading recordings") as progress:
        for name, noted in shelf.notes(options.paths, note, tell=progress, fail=failures.append):
            one = listed(name, noted)
            if window.overlaps(one.summary.started, one.summary.ended) and _matches(one, query):
                yield one
    shelf.close()
    if not (name or failures):
        print(f"rawlog: {shared.nothing_in(options.paths)}", file=sys.stderr)  # no failure: the list is empty


def _matches(one: Listed, query: Query | None) -> bool:
    if query is None:
        return True
    decided = query.about(one.name, one.summary).decided
    if decided is None:
        raise ConfigError("--where: only terms about recordings can be used here; use rawlog search for the others")
    return decided
