"""``rawlog follow``: conversations while they happen.

Knows: its options, the clock, when to end. Must not know: how files are watched, how lines are made.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rawlog.cli import shared
from rawlog.errors import RawlogError
from rawlog.reading.follow import Follower
from rawlog.views.exchanges import CUT as COMMAND_CUT
from rawlog.views.live import Form, Live
from rawlog.views.live_screen import LiveScreen
from rawlog.views.text import CUT

DESCRIPTION = """\
Shows conversations while they happen: what is added to recordings, and new ones as they begin. Several at once are
told apart by a line with the name wherever another one goes on. Ctrl-C ends it.

WHAT is a directory, a recording, or a user: then the recordings of that user below --dir are followed, those whose
login names the user or that lie in a directory of that name.
"""
EXAMPLES = """\
  rawlog follow /var/log/rawlog
  rawlog follow alice --dir /var/log/rawlog
  rawlog follow --exchanges recordings            one line for each command
  rawlog follow --all --for 10 recordings         what is there already, too; ends after ten seconds
"""

INTERVAL = 0.2  # seconds between two looks: as often as recorders write


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog follow``."""
    parser.add_argument("what", metavar="WHAT", nargs="*", help="a directory, a recording, or a user (.)")
    parser.add_argument("--dir", default=".", help="where the recordings of users are (%(default)s)")
    parser.add_argument("--all", action="store_true", help="show what is there already, too")
    parser.add_argument("--for", dest="seconds", metavar="SECONDS", type=float, help="end after so many seconds")
    parser.add_argument("--bodies", action="store_true", help="show literals and messages instead of their sizes")
    parser.add_argument("--exchanges", action="store_true", help="one line for each command")
    parser.add_argument("--json", action="store_true", help="one event (or exchange) a line, for other programs")
    shared.add_look(parser)


def run(options: argparse.Namespace) -> int:
    """Follow until Ctrl-C, or for so long as asked."""
    failures: list[RawlogError] = []
    places = [what for what in options.what if Path(what).exists()]
    users = [what for what in options.what if what not in places]
    if users and not Path(options.dir).is_dir():
        raise RawlogError(f"{users[0]}: no such file, and {options.dir} is no directory with recordings of a user")
    follower = Follower(
        places + ([options.dir] if users or not places else []),
        now=_now(),
        everything=options.all,
        fail=failures.append,
    )
    screen = _screen(options, users)
    until = None if options.seconds is None else time.monotonic() + options.seconds
    try:
        while until is None or time.monotonic() < until:
            screen.show(follower.poll(_now()))
            time.sleep(INTERVAL)
    except KeyboardInterrupt:
        pass
    screen.show([*follower.poll(_now()), *follower.end()])
    screen.end()
    return shared.told(failures)


def _now() -> int:
    return time.time_ns() // 1000


def _screen(options: argparse.Namespace, users: list[str]) -> LiveScreen:
    form: Form = "exchanges" if options.exchanges else "text"
    if options.json:
        form = "exchanges-json" if options.exchanges else "json"
    cut = None if options.long else COMMAND_CUT if options.exchanges else CUT
    colour = shared.has_colours(options.color)

    def make(name: str) -> Live:
        return Live(name, form, bodies=options.bodies, time=options.time, colour=colour, cut=cut)

    title = None if options.json else shared.title
    return LiveScreen(sys.stdout, make, users=users, title=title)
