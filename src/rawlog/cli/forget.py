"""``rawlog forget``: remove everything that was recorded of one user, and see that nothing is left.

Knows: its options, the order of the work, and the report. Must not know: what makes a recording a user's
(recorder/forgetting.py).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from rawlog.cli import shared
from rawlog.errors import RawlogError
from rawlog.reading.shelf import default_shelf
from rawlog.reading.shelf_forgetting import forget
from rawlog.recorder.forgetting import all_at, is_in_own_directory, is_of, mentions, names_of, variables_of
from rawlog.recorder.roots import own_directories, roots
from rawlog.recorder.stock import Lying, noted_as, remove
from rawlog.settings.loader import DEFAULT_FILE, load

DESCRIPTION = """\
Removes everything that was recorded of USER: all recordings in directories that are only that user's, and elsewhere
those in which USER logged in. Then it looks again, and says what is left: recordings of others in which the name
stands (a delivery, a message) are listed and, with --mentioned, removed too.

Without DIR, in the directories of the configuration. Recordings in progress are removed as well; what they go on with
is lost. In your cache directory the notes of `rawlog ls` about USER go, too; other people's are theirs to remove.
"""
EXAMPLES = """\
  rawlog forget alice@example.com -c rawlog.conf
  rawlog forget alice /var/lib/rawlog --dry-run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog forget``."""
    parser.add_argument("user", metavar="USER", help="who is to be forgotten: the name at login")
    parser.add_argument("dirs", metavar="DIR", nargs="*", help="a directory of recordings")
    shared.add_identity(parser)
    parser.add_argument("-c", "--config", metavar="FILE", help=f"the configuration file ({DEFAULT_FILE} without DIR)")
    parser.add_argument("--mentioned", action="store_true", help="remove others' recordings that hold the name, too")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def run(options: argparse.Namespace) -> int:
    """Remove, look again, and print the report; 1 when something is left or could not be looked at."""
    work = _Work(options)
    chosen = [item for item in work.look() if work.is_theirs(item)]
    mentioned = [item for item in work.look() if item not in chosen and mentions(item, work.names)]
    if options.mentioned:
        chosen, mentioned = chosen + mentioned, []
    verb = "would be removed" if options.dry_run else "removed"
    removed = [item for item in chosen if options.dry_run or work.remove(item)]
    for item in removed:
        print(f"{verb}: {item.path}")
    print(f"{len(removed)} recordings of {options.user} {verb}")
    if not options.dry_run:
        work.forget_notes(removed)
        left = [item for item in work.look() if work.is_theirs(item)]
        print(f"{len(left)} are left" if left else "looked again: nothing is left")
        work.failures += [RawlogError(f"{item.path}: is left; run this again") for item in left]
    for item in mentioned:
        print(f"mentions {options.user} and is not theirs: {item.path}")
    for failure in dict.fromkeys(map(str, work.failures)):
        print(f"rawlog: {failure}", file=sys.stderr)
    return 1 if work.failures else 0


class _Work:
    """Where is looked, for whom, and what failed."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.failures: list[RawlogError] = []
        configuration = load(options.config or DEFAULT_FILE) if options.config or not options.dirs else None
        self.names = names_of(options.user, configuration)
        self._own: set[str] = set()
        self._places = [(directory, False) for directory in options.dirs]
        if configuration is not None:
            for values in variables_of(options.user, configuration):
                self._own |= set(own_directories(configuration, values))
            self._places += [(directory, True) for directory, _ in roots(configuration)] if not options.dirs else []
            known = {place for place, _ in self._places}
            self._places += [(directory, True) for directory in sorted(self._own - known) if Path(directory).is_dir()]

    def look(self) -> Iterable[Lying]:
        """The recordings that there are now."""
        return all_at(self._places, self.failures.append).values()

    def is_theirs(self, item: Lying) -> bool:
        """Whether a recording is the user's."""
        return is_in_own_directory(item, self.names, self._own) or is_of(item, self.names, self.failures.append)

    def remove(self, item: Lying) -> bool:
        """Remove a recording, or note why not."""
        try:
            remove(item)
        except RawlogError as error:
            self.failures.append(error)
            return False
        return True

    def forget_notes(self, removed: Iterable[Lying]) -> None:
        """The notes about recordings name users, too: also about those that somebody else has removed."""
        try:
            forget(default_shelf(), map(noted_as, removed), self.names)
        except OSError as error:
            self.failures.append(
                RawlogError(f"{default_shelf()}: can't be changed: {error.strerror}; remove it yourself")
            )
