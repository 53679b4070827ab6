"""``rawlog-service``: the post-login service as Dovecot's master starts it.

Knows: its options. Must not know: how it serves. Wrong options must not refuse every login: it then runs, and records
nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from rawlog.errors import ConfigError
from rawlog.settings.loader import load
from rawlog.settings.options import parse_options
from rawlog.taps.postlogin import PostLoginOptions
from rawlog.taps.postlogin_master import is_child_of_master, say
from rawlog.taps.postlogin_service import serve_under_master
from rawlog.taps.postlogin_settings import with_settings

USAGE = """\
usage: rawlog-service [-b] [-t] [-I] [-f in|out] [-c FILE] [--relay fast|unbreakable]

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
  -c FILE    a configuration file of Rawlog: rawlog_secrets, limits of size and space, rawlog_relay
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
    """The options; when something is wrong with them, those that record nothing."""
    trusted = frozenset((0, os.geteuid()))
    options = PostLoginOptions(None, debug="DEBUG" in os.environ, trusted=trusted)
    try:
        relay = _take(words, "--relay") or "fast"
        file = _take(words, "-c")
        if relay not in ("fast", "unbreakable"):
            raise ConfigError(f"--relay {relay}: write fast or unbreakable")
        written, rest = parse_options(words)
        if rest:
            raise ConfigError(f"{rest[0]}: no such option")
        options = replace(options, unbreakable=relay == "unbreakable")
        if file is not None:
            options = with_settings(options, load(file))
        return replace(options, written=written)
    except ConfigError as error:
        say(f"nothing is recorded: {error}; correct it in service postlogin")
        return options


def _take(words: list[str], name: str) -> str | None:
    """The value behind ``name``, which is taken out of the words; None when it is not there. Raises ConfigError."""
    if name not in words:
        return None
    place = words.index(name)
    if place + 1 == len(words):
        raise ConfigError(f"{name}: a value is missing")
    value = words[place + 1]
    del words[place : place + 2]
    return value
