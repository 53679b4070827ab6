"""A table of text: columns as wide as what is in them, up to a limit.

Knows: widths and sides. Must not know: what the cells mean. Cells must be safe to show already (escape.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

SAMPLE = 1000
"""Rows that are looked at to find the widths, so that a long table can begin before it ends."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``right``: numbers. ``limit``: cells longer than this are cut, and end with ``…``."""

    title: str
    right: bool = False
    limit: int = 40


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, header: bool = True) -> Iterator[str]:
    """The lines of the table, without line endings. Every row has a cell for each column; the last is never padded."""
    rows = iter(rows)
    first = list(islice(rows, SAMPLE))
    titles = [column.title for column in columns] if header else [""] * len(columns)
    widths = [
        max(len(title), *(min(len(row[index]), column.limit) for row in first), 0)
        for index, (column, title) in enumerate(zip(columns, titles, strict=True))
    ]
    if header:
        yield _line(columns, widths, titles)
    for row in chain(first, rows):
        yield _line(columns, widths, row)


def _line(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> str:
    shown = []
    for column, width, cell in zip(columns, widths, cells, strict=True):
        text = cell if len(cell) <= column.limit else cell[: column.limit - 1] + "…"
        shown.append(text.rjust(width) if column.right else text.ljust(width))
    return "  ".join(shown).rstrip()
