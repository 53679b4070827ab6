"""Writes docs/cli.md from the commands themselves: ``python docs/cli_reference.py``.

Knows: argparse's actions, Markdown. Must not know: any command. It does not take the text of ``--help``, whose form
differs between versions of Python, but what that is made of. A test compares the result with the file.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from pathlib import Path

from rawlog.cli import COMMANDS
from rawlog.cli.parser import DESCRIPTION

TARGET = Path(__file__).parent / "cli.md"

BEGINNING = f"""\
# The command line

{DESCRIPTION.strip()}

This page is made from the commands themselves by `python docs/cli_reference.py`; `rawlog COMMAND --help` says the
same. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration (`rawlog search`: 0 found, 1 not found, 2 trouble).
`-` as a path is standard input. Errors are one line on standard error.
"""


def reference() -> str:
    """The page."""
    return "\n".join([BEGINNING, *_contents(), *(_command(name, line) for name, line in COMMANDS.items())])


def _contents() -> Iterator[str]:
    yield "| command | does |\n|---|---|"
    yield from (f"| [`rawlog {name}`](#rawlog-{name}) | {line} |" for name, line in COMMANDS.items())
    yield ""


def _command(name: str, line: str) -> str:
    """One command: usage, description, options, examples."""
    module = importlib.import_module(f"rawlog.cli.{name}")
    parser = argparse.ArgumentParser(prog=f"rawlog {name}", add_help=False)
    module.add_arguments(parser)
    actions = [action for action in parser._actions if action.help is not argparse.SUPPRESS]
    parts = [f"## rawlog {name}\n", f"{line[0].upper()}{line[1:]}.\n", f"```\n{_usage(name, actions)}\n```\n"]
    if description := getattr(module, "DESCRIPTION", "").strip():
        parts.append(f"```text\n{description}\n```\n")
    if actions:
        parts.append("| argument | meaning |\n|---|---|\n" + "".join(_row(action) for action in actions))
    if examples := getattr(module, "EXAMPLES", "").rstrip():
        parts.append(f"```\n{examples}\n```\n")
    return "\n".join(parts)


def _usage(name: str, actions: list[argparse.Action]) -> str:
    words = [f"rawlog {name}"]
    if any(action.option_strings for action in actions):
        words.append("[OPTION...]")
    for action in actions:
        if not action.option_strings:
            metavar = str(action.metavar or action.dest)
            many = f"{metavar}..." if action.nargs in ("*", "+", argparse.REMAINDER) else metavar
            words.append(f"[{many}]" if action.nargs in ("*", "?") else many)
    return " ".join(words)


def _row(action: argparse.Action) -> str:
    names = (
        ", ".join(f"`{name}{_value(action)}`" for name in action.option_strings) or f"`{action.metavar or action.dest}`"
    )
    text = (action.help or "") % {**vars(action), "prog": "rawlog"}
    if action.choices:
        text += f" ({', '.join(map(str, action.choices))})"
    return f"| {names} | {_cell(text)} |\n"


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    return f" {action.metavar or action.dest.upper()}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
