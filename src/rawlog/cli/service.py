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
usage: rawlog-service [-b] [-t] [-I] [-f in|out]

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
    try:
        written, rest = parse_options(words)
        if rest:
            raise ConfigError(f"{rest[0]}: no such option")
    except ConfigError as error:
        written = None
        say(f"nothing is recorded: {error}; correct it in service postlogin")
    return PostLoginOptions(written, debug="DEBUG" in os.environ, trusted=frozenset((0, os.geteuid())))
