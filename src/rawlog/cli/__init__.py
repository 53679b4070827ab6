"""The command line: finds the command, loads it alone, and turns errors into one line and an exit code.

Knows: the names of the commands and their one-line help. Must not know: what any of them does; a command's module is
imported when it is called, so that ``rawlog --help`` and the commands that must be quick load nothing else. A command
line whose first word holds a ``/`` is no command: it is Dovecot's, of a post-login program (taps/dropin.py).

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

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

READERS = frozenset(("show", "search", "stats"))
"""Commands that read recordings and write nothing but their output."""

DESCRIPTION = """\
Rawlog records mail-protocol conversations, in the clear even when the wire is TLS, in the files of Dovecot's Rawlog;
and it reads what was recorded.
"""

EPILOG = """\
Each command has its own help: rawlog COMMAND --help

rawlog [-f in|out] [-b] [-t] [-I] /PATH/PROGRAM [ARGUMENT...] does what Dovecot's rawlog binary does, behind the login;
rawlog-service does it without a process for each login: rawlog-service --help
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; gives the exit code. Usage errors leave by SystemExit(2), as argparse does."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    own_process = arguments is None
    if any("/" in word for word in words):
        from rawlog.taps import dropin

        if dropin.is_dropin(words):
            return dropin.main(words)
    try:
        return _run(words, own_process)
    except ConfigError as error:
        return _failed(error, 2)
    except RawlogError as error:
        return _failed(error, 1)
    except BrokenPipeError:  # the reader of a pipe has seen enough; nothing may be written while Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _run(words: list[str], own_process: bool) -> int:
    parser = _Parser(
        prog="rawlog", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="store_true", help="print the version and end")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    wanted = next((word for word in words if not word.startswith("-")), None)
    for name, help_line in COMMANDS.items():
        if name == wanted:
            module = importlib.import_module(f"rawlog.cli.{name}")
            _add_command(commands, name, help_line, module)
        else:
            commands.add_parser(name, help=help_line, add_help=False)
    options = parser.parse_args(words)
    if options.version:
        from rawlog import __version__

        print(f"rawlog {__version__}")
        return 0
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    if own_process and options.command in READERS:
        _read_only()
    return int(options.run(options))


def _read_only() -> None:
    """Recordings hold what strangers have sent: who only reads them can change nothing, and reach nobody."""
    from rawlog.engine.confine import close_to_others, confine
    from rawlog.engine.roles import reading

    close_to_others()
    with contextlib.suppress(OSError):  # a system that has it and refuses it, as in some containers
        confine(reading())


def _add_command(commands: argparse._SubParsersAction[_Parser], name: str, help_line: str, module: object) -> None:
    parser = commands.add_parser(
        name,
        help=help_line,
        description=getattr(module, "DESCRIPTION", help_line),
        epilog="Examples:\n" + getattr(module, "EXAMPLES", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)  # type: ignore[attr-defined]
    parser.set_defaults(run=module.run)  # type: ignore[attr-defined]


def _failed(error: RawlogError, code: int) -> int:
    print(f"rawlog: {error}", file=sys.stderr)
    return code
