"""``rawlog doctor``: why is nothing recorded?

Knows: its options, and how findings look. Must not know: how anything is examined (taps/doctor.py).
"""

from __future__ import annotations

import argparse

from rawlog.settings.loader import DEFAULT_FILE, load
from rawlog.taps.doctor import examine
from rawlog.taps.doctor_finding import Mark
from rawlog.views.escape import neutral_text

HELP = "say what keeps a recording from being made"
DESCRIPTION = """\
Walks the way that a recording takes, for each protocol of a configuration and, where one is named, for a user: the
configuration, certificates, listeners, a real handshake with each backend, the user's home, the directories. One line
for each finding: ok, warn or fail. Exit code 0: nothing fails; 1: something does. It changes nothing.
"""
EXAMPLES = """\
  rawlog doctor -c rawlog.conf
  rawlog doctor alice@example.com -c rawlog.conf
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog doctor``."""
    parser.add_argument("user", metavar="USER", nargs="?", help="whose recordings are missing")
    parser.add_argument(
        "-c", "--config", metavar="FILE", default=DEFAULT_FILE, help="the configuration file (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the findings; the worst of them is the exit code."""
    failed = False
    for finding in examine(load(options.config), options.user):
        print(f"{finding.mark.value:5}{neutral_text(finding.sentence)}", flush=True)
        failed = failed or finding.mark is Mark.FAIL
    return 1 if failed else 0
