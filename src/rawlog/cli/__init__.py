"""The command line: finds the command, loads it alone, and turns errors into one line and an exit code.

Knows: the names of the commands and their one-line help. Must not know: what any of them does; a command's module is
imported when it is called, so that ``rawlog --help`` and the commands that must be quick load nothing else. A command
line whose first word holds a ``/`` is no command: it is Dovecot's, of a post-login program (taps/dropin.py).

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rawlog.errors import ConfigError, RawlogError

COMMANDS = {
    "demo": "see it work: an embedded mail server, a gateway in front, and what was recorded",
    "tap": "record conversations with one server, from one line, without a configuration file",
    "serve": "run the gateways that a configuration file asks for",
    "ls": "list recordings: who, when, with what, how it ended",
    "show": "print recordings as conversations",
    "follow": "show conversations while they happen",
    "merge": "print several recordings on one time line",
    "search": "find exchanges by user, command, status, latency or text",
    "stats": "count commands, errors and latencies by command, user or software",
    "web": "show recordings in the browser, also while they are made",
    "export": "hand recordings over: pcapng, HTML, messages, JSON, Parquet, other formats",
    "redact": "copy recordings without their secrets, to show them to others",
    "forget": "remove everything that was recorded of one user",
    "prune": "remove recordings that are too old, or more than there is room for",
    "conf": "check a configuration file and print what is in force",
    "doctor": "say what keeps a recording from being made",
    "user": "look a user up in the configured userdb",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; gives the exit code. Usage errors leave by SystemExit(2), as argparse does."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    own_process = arguments is None
    if any("/" in word for word in words):
        from rawlog.taps import dropin

        if dropin.is_dropin(words):
            return dropin.main(words)
    from rawlog.cli.parser import run  # argparse, which the post-login programs do without

    try:
        return run(words, COMMANDS, own_process=own_process)
    except ConfigError as error:
        return _failed(error, 2)
    except RawlogError as error:
        return _failed(error, 1)
    except BrokenPipeError:  # the reader of a pipe has seen enough; nothing may be written while Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _failed(error: RawlogError, code: int) -> int:
    print(f"rawlog: {error}", file=sys.stderr)
    return code
