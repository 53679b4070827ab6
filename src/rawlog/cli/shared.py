"""What the commands that read recordings have in common: options, and how they say what went wrong.

Knows: options, the terminal. Must not know: what a command does with them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

from rawlog.dialogue.exchange_summary import EDITION
from rawlog.dialogue.search import Query
from rawlog.dialogue.search_units import duration
from rawlog.errors import ConfigError, RawlogError
from rawlog.reading.places import recordings_at
from rawlog.reading.shelf import Shelf, default_shelf
from rawlog.reading.unseal import identify
from rawlog.views.listing import listed, note
from rawlog.views.progress import Progress
from rawlog.views.when import When
from rawlog.views.window import Window

PROTOCOLS = "imap, pop3, smtp, lmtp or managesieve"


def add_paths(parser: argparse.ArgumentParser, *, nargs: str = "+", protocol: bool = True) -> None:
    """PATH…, --identity and, with ``protocol``, --protocol."""
    default = ["."] if nargs == "*" else None
    what = "a recording, or a directory of recordings" + (" (.)" if nargs == "*" else "")
    parser.add_argument("paths", metavar="PATH", nargs=nargs, default=default, help=what)
    parser.add_argument(
        "--identity", metavar="FILE", action=_Identify, help="the age identity that reads what is sealed"
    )
    if protocol:
        parser.add_argument("--protocol", metavar="NAME", help=f"{PROTOCOLS}, where it isn't seen")


def add_identity(parser: argparse.ArgumentParser) -> None:
    """--identity."""
    parser.add_argument(
        "--identity", metavar="FILE", action=_Identify, help="the identity of age that sealed recordings are read with"
    )


class _Identify(argparse.Action):
    """Whatever is read from now on may be sealed for this identity."""

    def __call__(self, parser: object, namespace: object, values: object, option: object = None) -> None:
        identify(str(values))


def add_look(parser: argparse.ArgumentParser) -> None:
    """--time, --long and --color."""
    parser.add_argument("--time", choices=("wall", "relative", "none"), default="wall", help="how times are shown")
    parser.add_argument("--long", action="store_true", help="show long lines whole")
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="colours (auto: on a terminal)"
    )


def add_window(parser: argparse.ArgumentParser) -> None:
    """--since and --until."""
    forms = "2026-11-22T10:45, 10:45 (of its day), +12.5 (seconds from its start), -2h (ago; write --%s=-2h)"
    parser.add_argument("--since", metavar="WHEN", help="only what came then or later: " + forms % "since")
    parser.add_argument("--until", metavar="WHEN", help="only what came then or before")


def window_of(options: argparse.Namespace) -> Window:
    """The window that --since and --until ask for. Raises ConfigError."""
    since, until = (When(text) if text else None for text in (options.since, options.until))
    return Window(since, until)


def has_colours(wish: str) -> bool:
    """Whether to colour what goes to standard output."""
    if wish == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return wish == "always"


def wish_duration(text: str | None, option: str) -> int | None:
    """The microseconds that an option asks for. Raises ConfigError."""
    if text is None:
        return None
    value = duration(text)
    if value is None:
        raise ConfigError(f"{option} {text}: no duration; use for instance 500ms, 1.5s, 2m")
    return value


def chosen(
    query: Query, paths: list[str], failures: list[RawlogError], progress: Progress
) -> Iterator[tuple[str, Query]]:
    """The recordings that a query may be about, and what is left of it for each.

    What it asks about recordings as a whole is answered by the notes about them. That there is none is a failure.
    """
    if not query.term.asks_recording():
        found = list(recordings_at(paths, on_error=failures.append))
        if not (found or failures):
            failures.append(nothing_in(paths))
        for number, path in enumerate(found):
            progress(number, len(found))
            yield path, query
        return
    shelf = Shelf(default_shelf(), edition=EDITION)
    known = [listed(name, noted) for name, noted in shelf.notes(paths, note, tell=progress, fail=failures.append)]
    shelf.close()
    if not (known or failures):
        failures.append(nothing_in(paths))
    known.sort(key=lambda one: (one.summary.started or 0, one.name))
    for number, one in enumerate(known):
        progress(number, len(known))
        yield one.name, query.about(one.name, one.summary)


def told(failures: list[RawlogError]) -> int:
    """Says what could not be read; gives the exit code."""
    sys.stdout.flush()
    for failure in failures:
        print(f"rawlog: {failure}", file=sys.stderr)
    return 1 if failures else 0


def nothing_in(paths: list[str]) -> RawlogError:
    """There is no recording in these paths."""
    return RawlogError(f"{paths[0]}: no recording in it; give a directory with .in, .out or .rawlog files")


def title(name: str) -> str:
    """The line above a recording, where several are shown."""
    return f"== {name.encode('unicode_escape').decode()}"
