"""``rawlog stats``: figures about the commands in recordings.

Knows: its options. Must not know: how things are counted.
"""

from __future__ import annotations

import argparse
import sys
from typing import get_args

from rawlog.cli import shared
from rawlog.dialogue.search import Query, parse
from rawlog.dialogue.search_terms import Constant
from rawlog.dialogue.search_text import Scan
from rawlog.dialogue.stats import By, Statistics, measure
from rawlog.errors import RawlogError
from rawlog.reading.needles import may_hold
from rawlog.reading.opener import open_recording
from rawlog.views.figures import SORTS, figures_json, figures_table, histogram_lines, sorted_groups
from rawlog.views.progress import Progress

DESCRIPTION = """\
Counts commands: how many, refused, not answered, bytes, latency (half, 90 and 99 percent are not slower; right to about
two percent), and the time in which no answer was waited for. A latency is the time from the last byte of a command to
the last byte of its answer; of IDLE what follows DONE.
"""
EXAMPLES = """\
  rawlog stats recordings
  rawlog stats --by user --sort p99 --limit 20 /var/log/rawlog
  rawlog stats --by software --where 'protocol:imap command:FETCH' /var/log/rawlog
  rawlog stats --histogram --where command:SELECT recordings
  rawlog stats --json recordings | jq 'select(.latency.p99 > 1000000)'
"""

EVERYTHING = Query(Constant(True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog stats``."""
    shared.add_paths(parser, nargs="*")
    parser.add_argument("--by", choices=get_args(By), default="command", help="in which groups (%(default)s)")
    parser.add_argument("--where", metavar="EXPR", help="only commands that match (see rawlog search --help)")
    parser.add_argument("--sort", choices=tuple(SORTS), default="count", help="by what to sort (%(default)s)")
    parser.add_argument("--limit", metavar="N", type=int, help="only the first so many groups")
    parser.add_argument("--histogram", action="store_true", help="how the latencies of all are distributed")
    parser.add_argument("--json", action="store_true", help="one group a line, for other programs")


def run(options: argparse.Namespace) -> int:
    """Print the figures; 1 when a recording could not be read."""
    query = parse(options.where) if options.where else EVERYTHING
    failures: list[RawlogError] = []
    statistics = Statistics(options.by)
    with Progress(sys.stderr, "counting") as progress:
        for path, left in shared.chosen(query, options.paths, failures, progress):
            if left.decided is False or may_hold(path, left.needles()) is False:
                continue
            try:
                recording = open_recording(path, protocol=options.protocol)
                scan = Scan(left.texts) if left.texts else None
                statistics.add(measure(recording, wanted=left.term.holds, scan=scan))
            except RawlogError as error:
                failures.append(error)
    groups = sorted_groups(statistics, options.sort)[: options.limit]
    if options.json:
        lines = list(figures_json(statistics, groups))
    else:
        lines = list(figures_table(statistics, groups)) if groups else []
        if options.histogram:
            lines += ["", *histogram_lines(statistics.total.latency)]
    for line in lines:
        sys.stdout.write(line + "\n")
    return shared.told(failures)
