"""``rawlog prune``: remove recordings that are too old, or more than there is room for.

Knows: its options, and the report. Must not know: which recordings have to go (recorder/housekeeping.py).
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from rawlog.errors import ConfigError, RawlogError
from rawlog.reading.shelf import default_shelf
from rawlog.reading.shelf_forgetting import forget
from rawlog.recorder.housekeeping import Limits, capacity_of, choose, limits_of
from rawlog.recorder.roots import roots
from rawlog.recorder.stock import Lying, is_busy, lying_at, noted_as, remove
from rawlog.settings.loader import DEFAULT_FILE, load
from rawlog.settings.model import DEFAULTS
from rawlog.settings.values import parse_size, parse_space, parse_time, show_size

DESCRIPTION = """\
Removes recordings: those older than rawlog_keep, then the oldest of a user who has more than rawlog_max_user_size, then
the oldest of all beyond rawlog_max_total_size, then the oldest until rawlog_min_free_space is free. Without DIR, in the
directories of the configuration; with DIR, in these and below, by the limits given here. A user's recordings are those
in one directory below DIR. (`rawlog serve` does this by itself, once a minute, but for the free space: there recording
stops instead.)

Only files with the names of recordings are removed, never one that is being written, never through a link.
"""
EXAMPLES = """\
  rawlog prune -c rawlog.conf
  rawlog prune --keep 7d --max-size 4G --dry-run /var/lib/rawlog
  rawlog prune --max-user-size 1G /var/lib/rawlog
"""

_WHY = {
    "age": "too old",
    "user": "beyond the room of a user",
    "total": "beyond the room of all",
    "free": "too little is free on the file system",
}
_T = TypeVar("_T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog prune``."""
    parser.add_argument("dirs", metavar="DIR", nargs="*", help="a directory of recordings")
    parser.add_argument("-c", "--config", metavar="FILE", help=f"the configuration file ({DEFAULT_FILE} without DIR)")
    parser.add_argument("--keep", metavar="TIME", help="remove what was last changed longer ago: 7d, 12 hours")
    parser.add_argument("--max-user-size", metavar="SIZE", help="most bytes of one user's recordings: 1G")
    parser.add_argument("--max-size", metavar="SIZE", help="most bytes of all, or a share of the file system: 4G, 10%%")
    parser.add_argument("--min-free", metavar="SIZE", help="what is to be free on the file system: 2G, 5%%")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def run(options: argparse.Namespace) -> int:
    """Remove, and print the report; 1 when something could not be looked at or removed."""
    failures: list[RawlogError] = []
    limits, found = _limits(options), {item.path: item for item in _found(options, failures.append)}
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # should a file be opened in the moment when its lease is tried
    now = time.time()
    going = choose(found.values(), limits, now=now, busy=lambda item: is_busy(item, now), capacity=capacity_of)
    chosen = [one for one in going if options.dry_run or _remove(one.item, failures.append)]
    for one in chosen if options.dry_run else ():
        print(f"would remove {one.item.path} ({_WHY[one.why]})")
    if not options.dry_run:
        _forget([one.item for one in chosen], failures.append)
    verb, size = "would be removed" if options.dry_run else "removed", sum(one.item.size for one in chosen)
    print(f"{len(chosen)} of {len(found)} recordings {verb}, {show_size(size)}" if chosen else _nothing(len(found)))
    for failure in failures:
        print(f"rawlog: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _remove(item: Lying, fail: Callable[[RawlogError], None]) -> bool:
    try:
        remove(item)
    except RawlogError as error:
        fail(error)
        return False
    return True


def _forget(gone: list[Lying], fail: Callable[[RawlogError], None]) -> None:
    """Take them out of the notes of ``rawlog ls``, too."""
    try:
        forget(default_shelf(), map(noted_as, gone))
    except OSError as error:
        fail(RawlogError(f"{default_shelf()}: can't be changed: {error.strerror}; remove it yourself"))


def _nothing(count: int) -> str:
    return f"nothing to remove among {count} recordings"


def _limits(options: argparse.Namespace) -> Limits:
    """The limits of the command line, over those of the configuration where one is used."""
    base = Limits()
    if options.config or not options.dirs:
        settings = load(options.config or DEFAULT_FILE).settings
        base = limits_of(settings)
    elif not (options.keep or options.max_user_size or options.max_size or options.min_free):
        keep = DEFAULTS.rawlog_keep or 0
        raise ConfigError(f"no limit is given; say what may go, as in --keep {keep // 86400}d, or give -c FILE")
    return Limits(
        _parsed("--keep", options.keep, parse_time, base.keep),
        _parsed("--max-user-size", options.max_user_size, parse_size, base.user_size),
        _parsed("--max-size", options.max_size, parse_space, base.total_size),
        _parsed("--min-free", options.min_free, parse_space, base.min_free),
    )


def _parsed(option: str, text: str | None, parse: Callable[[str], _T], default: _T) -> _T:
    if text is None:
        return default
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError(f"{option} {text}: {error}") from None


def _found(options: argparse.Namespace, fail: Callable[[RawlogError], None]) -> Iterator[Lying]:
    """The recordings that are looked at."""
    for directory in options.dirs:
        yield from lying_at(directory, fail)
    if not options.dirs:
        for directory, own in roots(load(options.config or DEFAULT_FILE)):
            yield from lying_at(directory, fail, below=False, own=own)
