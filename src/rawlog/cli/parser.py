"""Reads a command line with argparse, and calls its command.

Knows: how the commands' own options, help and examples become one parser, and which commands only read. Must not know:
the commands; the module of the one that is called is imported, and no other.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
from collections.abc import Mapping
from typing import NoReturn

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


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def run(words: list[str], known: Mapping[str, str], *, own_process: bool) -> int:
    """Run the command that the words name; ``known``: names and one-line help of all. Gives the exit code.

    ``own_process``: the process is there for this command, so it may give up rights.
    """
    parser = _Parser(
        prog="rawlog", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="store_true", help="print the version and end")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    wanted = next((word for word in words if not word.startswith("-")), None)
    for name, help_line in known.items():
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
