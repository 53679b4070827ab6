"""``rawlog conf``: check a configuration file and print what is in force.

Knows: its options. Must not know: what settings mean (settings/).
"""

from __future__ import annotations

import argparse
import sys

from rawlog.settings.loader import DEFAULT_FILE, load
from rawlog.settings.written import written

HELP = "check a configuration file and print what is in force"

DESCRIPTION = """\
Reads a configuration in Dovecot's syntax and prints what is in force, in the same syntax. Warnings go to standard
error. A file with an error is answered with FILE:LINE, what is wrong and what to do, and exit code 2.
"""

EXAMPLES = """\
  rawlog conf -c rawlog.conf            every setting with its value
  rawlog conf -n -c rawlog.conf         only what differs from the defaults
  rawlog conf -v -c rawlog.conf         with what each setting is for, and which of Dovecot's mean nothing here
  doveconf -n | rawlog conf -n -c -     what Rawlog makes of Dovecot's configuration
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog conf``."""
    parser.add_argument(
        "-c", "--config", metavar="FILE", default=DEFAULT_FILE, help="the file, - for standard input (%(default)s)"
    )
    parser.add_argument("-n", "--changed", action="store_true", help="only what differs from the defaults")
    parser.add_argument("-v", "--verbose", action="store_true", help="explain each setting; list those without meaning")


def run(options: argparse.Namespace) -> int:
    """Print the configuration and the warnings."""
    configuration = load(options.config)
    for warning in configuration.warnings:
        print(f"rawlog: {warning}", file=sys.stderr)
    sys.stdout.write(written(configuration, changed_only=options.changed, explained=options.verbose))
    return 0
