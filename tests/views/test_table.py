"""Tables."""

from __future__ import annotations

from collections.abc import Iterator

from rawlog.views.table import SAMPLE, Column, table

COLUMNS = (Column("NAME", limit=6), Column("N", right=True), Column("END"))


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    rows = [["a", "1", "x"], ["abcdefgh", "1000", ""], ["ab", "", "y"]]
    assert list(table(COLUMNS, rows)) == [
        "NAME       N  END",
        "a          1  x",
        "abcde…  1000",
        "ab            y",
    ]
    assert next(table(COLUMNS, rows, header=False)) == "a          1  x"


def test_an_empty_table_has_its_titles() -> None:
    assert list(table(COLUMNS, [])) == ["NAME  N  END"]
    assert list(table(COLUMNS, [], header=False)) == []


def test_a_long_table_begins_before_it_ends() -> None:
    taken = 0

    def rows() -> Iterator[list[str]]:
        nonlocal taken
        while True:
            taken += 1
            yield ["a", str(taken), ""]

    lines = table(COLUMNS, rows())
    next(lines)
    assert taken == SAMPLE
