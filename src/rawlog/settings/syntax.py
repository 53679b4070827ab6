"""Dovecot's configuration syntax: a file, and the files it includes, as one tree.

Knows: ``key = value``, ``kind name { ... }`` (also on one line), ``<file``, ``!include`` and ``!include_try`` with
globs, and what can be wrong with each. Every error is ``FILE:LINE: what and what to do``.
Must not know: which names exist and what values mean. ``$name`` stays as it is: what it stands for depends on the
settings, which the model knows.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path

from rawlog.errors import ConfigError
from rawlog.settings.lines import Statement, statements
from rawlog.settings.tree import Item, Place, Section, Setting, printable, shortened

#: How deep files may include files, how many there may be, how large each, and how deep sections nest. Debian's
#: Dovecot has 2, 25, 17 kB and 3; the limits stop a mistake before it eats the memory.
MAX_DEPTH = 20
MAX_FILES = 1000
MAX_FILE_SIZE = 4 * 1024 * 1024
MAX_NESTING = 20

_SETTING = re.compile(r"([^\s={}\"']+)\s*=\s*(.*)")
_SECTION = re.compile(r"([^\s={}\"']+)(?:\s+(\"(?:[^\\\"]|\\.)*\"|'(?:[^\\']|\\.)*'|[^\s={}\"']+))?\s*\{(.*)")
_INCLUDE = re.compile(r"!include(_try)?\s+(.*)")
_QUOTED = {'"': re.compile(r'"(?:[^\\"]|\\.)*"'), "'": re.compile(r"'(?:[^\\']|\\.)*'")}


@dataclass(slots=True)
class Tree:
    """What a file and its includes say. ``warnings`` are complete lines ``FILE:LINE: ...``."""

    items: list[Item] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read(path: str) -> Tree:
    """Read a configuration file, ``-`` for standard input. Raises ConfigError for everything that is wrong."""
    reader = _Reader()
    if path == "-":
        data, name = sys.stdin.buffer.read(MAX_FILE_SIZE + 1), "<stdin>"
    else:
        try:
            with open(path, "rb") as file:
                data, name = file.read(MAX_FILE_SIZE + 1), path
        except OSError as error:
            raise ConfigError(
                f"{printable(path)}: {error.strerror}: give a configuration that can be read: -c FILE"
            ) from None
    reader.include(data, name, reader.tree.items)
    return reader.tree


def parse(text: str, name: str = "<text>") -> Tree:
    """Read a configuration that is no file; relative includes begin at the current directory."""
    reader = _Reader()
    reader.include(text.encode("utf-8", "surrogateescape"), name, reader.tree.items)
    return reader.tree


class _Reader:
    """The files being read now, each with its open sections, innermost last."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._chain: list[str] = []
        self._count = 0

    def include(self, data: bytes, name: str, into: list[Item]) -> None:
        """Add what one file says to ``into``; sections must end in the file they begin in."""
        if len(data) > MAX_FILE_SIZE:
            raise Place(name, 1).error(f"the file is larger than {MAX_FILE_SIZE} bytes: is it the right one?")
        self._chain.append(os.path.realpath(name))
        sections: list[Section] = []
        for statement in statements(data, name):
            if statement.ambiguous:
                self.tree.warnings.append(
                    f"{statement.place}: '#' begins a comment: put a blank before it, or quote the value"
                )
            self._statement(statement, into, sections)
        if sections:
            opened = sections[-1]
            raise opened.place.error(
                f"'}}' is missing: the section '{opened.title} {{' that starts here is never closed"
            )
        self._chain.pop()

    def _statement(self, statement: Statement, into: list[Item], sections: list[Section]) -> None:
        text, place = statement.text, statement.place
        items = sections[-1].items if sections else into
        if text == "}":
            if not sections:
                raise place.error("'}' closes nothing: remove it, or open the section above it with 'NAME {'")
            sections.pop()
        elif text.startswith("!"):
            self._directive(text, place, items)
        elif found := _SETTING.fullmatch(text):
            items.append(_setting(found[1], found[2], place))
        elif found := _SECTION.fullmatch(text):
            section = Section(found[1], _unquoted(found[2] or ""), [], place)
            items.append(section)
            if len(sections) == MAX_NESTING:
                raise place.error(f"sections nest deeper than {MAX_NESTING}: is a '}}' missing above?")
            sections.append(section)
            self._rest_of_line(found[3].strip(), place, into, sections)
        else:
            raise place.error(_misfit(text))

    def _rest_of_line(self, rest: str, place: Place, into: list[Item], sections: list[Section]) -> None:
        """What follows ``{`` on its line: nothing, ``}``, or one statement and ``}``."""
        if not rest:
            return
        if not rest.endswith("}"):
            shown = shortened(rest)
            raise place.error(f"'{shown}' after '{{': begin a new line after '{{', or close the section with '}}' here")
        inner = rest[:-1].strip()
        if inner:
            self._statement(Statement(inner, place), into, sections)
        sections.pop()

    def _directive(self, text: str, place: Place, into: list[Item]) -> None:
        found = _INCLUDE.fullmatch(text)
        if found is None:
            raise place.error(f"'{shortened(text)}': only '!include FILE' and '!include_try FILE' may begin with '!'")
        optional, pattern = bool(found[1]), _unquoted(found[2])
        path = str(Path(place.file).parent / pattern)
        # Not Path.glob: it takes hidden files too, such as those an editor leaves behind.
        paths = sorted(glob(path)) if has_magic(path) else [path]  # noqa: PTH207
        if not paths and not optional:
            raise place.error(f"!include {pattern}: no file matches: correct the name, or write !include_try")
        for one in paths:
            data = self._included(one, optional, place)
            if data is not None:
                self.include(data, one, into)

    def _included(self, path: str, optional: bool, place: Place) -> bytes | None:
        """The content of an included file; None when it may be missing and can't be read."""
        self._count += 1
        if os.path.realpath(path) in self._chain:
            raise place.error(f"!include {path}: the file includes itself: remove one of the includes")
        if len(self._chain) > MAX_DEPTH or self._count > MAX_FILES:
            raise place.error(f"!include {path}: more than {MAX_DEPTH} files deep or {MAX_FILES} in all: include less")
        try:
            if not stat.S_ISREG(Path(path).stat().st_mode):
                if optional:
                    return None
                raise place.error(
                    f"!include {path}: is not a file: give a file, or a pattern like {path.rstrip('/')}/*.conf"
                )
            return _content(path)
        except FileNotFoundError:
            if optional:
                return None
            raise place.error(f"!include {path}: no such file: correct the name, or write !include_try") from None
        except OSError as error:
            if not optional:
                raise place.error(f"!include {path}: {error.strerror}: make it readable for this user") from None
            self.tree.warnings.append(f"{place}: !include_try {printable(path)}: left out: {error.strerror}")
            return None


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MAX_FILE_SIZE + 1)


def _setting(key: str, text: str, place: Place) -> Setting:
    if text.startswith("<") and len(text) > 1:
        path = Path(place.file).parent / _unquoted(text[1:].strip())
        return Setting(key, "", place, file=str(path.absolute()))
    if text[:1] in _QUOTED and text:
        if not _QUOTED[text[0]].match(text):
            raise place.error(f"{key}: the quote {text[0]} is never closed: add {text[0]} at the end of the value")
        if len(text) > 1 and text[-1] == text[0]:
            return Setting(key, _unquoted(text), place, quoted=True)
    return Setting(key, text, place)


def _unquoted(text: str) -> str:
    """Without the quotes around it; inside them ``\\`` takes its meaning from the next character."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTED:
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _misfit(text: str) -> str:
    """What to say about a line that is neither a setting, nor the beginning or the end of a section."""
    shown = shortened(text)
    if text.startswith("}"):
        return f"'{shown}': '}}' must stand alone on its line: move what follows to the next line"
    if text.startswith("="):
        return f"'{shown}': the name before '=' is missing: write NAME = VALUE"
    if re.match(r"[^\"']*=\s*\{$", text):
        return f"'{shown}': no '=' before '{{': write NAME {{"
    if text.startswith("{"):
        return "'{' stands alone: write it at the end of the line with the section's name"
    if "{" in text:
        return f"'{shown}': one name at most may stand before '{{': put a name with blanks in quotes"
    word = shortened(text.split()[0])
    return f"'=' is missing after '{word}': write {word} = VALUE, or end the line with '{{' to begin a section"
