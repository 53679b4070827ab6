"""``rawlog-service``: the post-login service as Dovecot's master starts it.

Knows: its options. Must not know: how it serves. Wrong options must not refuse every login: it then runs, and records
nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rawlog.errors import ConfigError
from rawlog.settings.options import RawlogOptions, parse_options
from rawlog.taps.postlogin import PostLoginOptions
from rawlog.taps.postlogin_master import is_child_of_master, say
from rawlog.taps.postlogin_service import serve_under_master

USAGE = """\
usage: rawlog-service [-b] [-t] [-I] [-f in|out] [--relay fast|unbreakable]

The post-login service of Dovecot. Its master starts it; in dovecot.conf:

  service imap {
    executable = imap postlogin
  }
  service postlogin {
    executable = PATH/rawlog-service -t
    unix_listener postlogin {
    }
  }

Who has a directory dovecot.rawlog in the home is recorded there.

  -b         mark what each read saw: <<< before it, >>> after it
  -t         a time stamp at the beginning of each line
  -I         the client's address in the files' names
  -f in|out  record one direction only
  --relay unbreakable
             conversations outlive the process that records them; see the guide
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service; gives the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--help" in words or "-h" in words:
        print(USAGE, end="")
        return 0
    if not is_child_of_master(os.environ):
        print("rawlog-service: Dovecot's master has to start it (rawlog serve needs no Dovecot)\n", file=sys.stderr)
        print(USAGE, end="", file=sys.stderr)
        return 2
    serve_under_master(_read(words), say)
    return 0


def _read(words: list[str]) -> PostLoginOptions:
    written: RawlogOptions | None = None
    unbreakable = False
    try:
        unbreakable, words = _relay(words)
        written, rest = parse_options(words)
        if rest:
            raise ConfigError(f"{rest[0]}: no such option")
    except ConfigError as error:
        written = None
        say(f"nothing is recorded: {error}; correct it in service postlogin")
    trusted = frozenset((0, os.geteuid()))
    return PostLoginOptions(written, debug="DEBUG" in os.environ, trusted=trusted, unbreakable=unbreakable)


def _relay(words: list[str]) -> tuple[bool, list[str]]:
    """Whether ``--relay unbreakable`` was asked for, and the other words. Raises ConfigError."""
    if "--relay" not in words:
        return False, words
    place = words.index("--relay")
    value = words[place + 1] if place + 1 < len(words) else ""
    if value not in ("fast", "unbreakable"):
        raise ConfigError(f"--relay {value}: write fast or unbreakable")
    return value == "unbreakable", words[:place] + words[place + 2 :]
