"""What a configuration file says, before anybody asks what it means: settings and sections, each with its place.

Knows: the shape of the tree, how a place is written in a message, and how the tree is written down again in the same
syntax.
Must not know: which names exist and what their values mean; reading of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rawlog.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Place:
    """A line (from 1) of a file, as messages name it: ``rawlog.conf:12``."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{printable(self.file)}:{self.line}"

    def error(self, text: str) -> ConfigError:
        """The error ``FILE:LINE: text``, ready to raise; always one line."""
        return ConfigError(f"{self}: {printable(_LONG_WORD.sub(lambda found: shortened(found[0]), text))}")


#: Longer words are no paths and no addresses; a message shows their beginning.
_LONG_WORD = re.compile(r"\S{200,}")

#: The place of what nobody wrote: a default.
NOWHERE = Place("default", 0)


@dataclass(frozen=True, slots=True)
class Setting:
    """``key = value``. Quotes are gone from ``value``; ``file`` is the absolute path when it was written ``<path``."""

    key: str
    value: str
    place: Place = field(default=NOWHERE, compare=False)
    file: str | None = None
    #: A quoted value is taken as it is: ``$name`` in it is no reference.
    quoted: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Section:
    """``kind name { ... }``; ``name`` is empty where there is none."""

    kind: str
    name: str = ""
    items: list[Setting | Section] = field(default_factory=list)
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def title(self) -> str:
        """``kind name``, as it stands before the brace."""
        return f"{self.kind} {_name(self.name)}" if self.name else self.kind

    def settings(self) -> Iterator[Setting]:
        """The settings directly in this section."""
        return (item for item in self.items if isinstance(item, Setting))

    def sections(self, kind: str | None = None) -> Iterator[Section]:
        """The sections directly in this section, all or those of one kind."""
        return (item for item in self.items if isinstance(item, Section) and kind in (None, item.kind))


Item = Setting | Section


def shortened(text: str) -> str:
    """What a message shows of a text: 60 characters at most."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def printable(text: str) -> str:
    """The text on one line: what can't be shown becomes an escape like ``\\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def show(items: Iterable[Item], depth: int = 0) -> str:
    """Write settings and sections in Dovecot's syntax, two blanks per level; reading it gives equal items.

    Raises ConfigError for a value that has no written form: one with a line break or a NUL.
    """
    indent = "  " * depth
    lines = []
    for item in items:
        if isinstance(item, Setting):
            lines.append(f"{indent}{item.key} = {_value(item)}".rstrip(" ") + "\n")
        else:
            lines.append(f"{indent}{item.title} {{\n{show(item.items, depth + 1)}{indent}}}\n")
    return "".join(lines)


def _value(item: Setting) -> str:
    if item.file is not None:
        return f"<{_quoted(item.file) if _needs_quotes(item.file) else item.file}"
    if re.search(r"[\n\0]", item.value):
        raise item.place.error(f"{item.key}: a value can't hold a line break: put it in a file and write <FILE")
    reference = item.quoted and re.search(r"(^|\s)\$", item.value)
    return _quoted(item.value) if reference or _needs_quotes(item.value) else item.value


def _needs_quotes(value: str) -> bool:
    """Whether the bare value would be read as something else."""
    return bool(re.search(r"^<|[#\"']|\\$", value)) or value != value.strip()


def _name(name: str) -> str:
    return name if re.fullmatch(r"[^\s\"'{}=#\\]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
