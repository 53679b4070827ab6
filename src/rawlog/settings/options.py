"""The options of Dovecot's rawlog program: ``[-b] [-t] [-I] [-f in|out]``.

Knows: how they are written, alone, joined (``-bt``) or with the value glued on (``-fin``), and which are wrong.
Must not know: where they were written: a configuration file, a command line, or Dovecot's master.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rawlog.errors import ConfigError
from rawlog.events import Direction


class RawlogOptions(NamedTuple):
    """How the recordings of the post-login doors are written.

    ``boundaries`` (-b): ``<<<`` and ``>>>`` around each read. ``stamps`` (-t): time at the beginning of each line.
    ``address`` (-I): the client's address in the file's name. ``only`` (-f): one direction, None for both.
    """

    boundaries: bool = False
    stamps: bool = False
    address: bool = False
    only: Direction | None = None

    def words(self) -> list[str]:
        """The options as words, as :func:`parse_options` takes them."""
        flags = ((self.boundaries, "-b"), (self.stamps, "-t"), (self.address, "-I"))
        return [word for given, word in flags if given] + (["-f", self.only.value] if self.only else [])


def parse_options(words: Sequence[str]) -> tuple[RawlogOptions, list[str]]:
    """Read options up to the first word that is none, or ``--``; returns them and the words after them.

    Raises ConfigError, without a place, for an unknown option, a wrong value of -f, and -f for both directions.
    """
    options, rest = RawlogOptions(), list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter == "f":
                options = _limited(options, letters or (rest.pop(0) if rest else ""))
                break
            options = _flagged(options, letter)
    return options, rest


def _flagged(options: RawlogOptions, letter: str) -> RawlogOptions:
    if letter == "b":
        return options._replace(boundaries=True)
    if letter == "t":
        return options._replace(stamps=True)
    if letter == "I":
        return options._replace(address=True)
    raise ConfigError(f"option -{letter} is unknown: rawlog takes -b, -t, -I, -f in and -f out")


def _limited(options: RawlogOptions, value: str) -> RawlogOptions:
    if value not in ("in", "out"):
        raise ConfigError(f"option -f {value}: write -f in or -f out; leave -f away for both")
    only = Direction(value)
    if options.only not in (None, only):
        raise ConfigError("options -f in -f out: together they leave nothing to record: leave -f away for both")
    return options._replace(only=only)
