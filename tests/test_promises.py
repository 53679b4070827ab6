"""The table of promises names tests and commands that exist, and leaves none of the promises out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
PAGE = (TOP / "docs/security/promises.md").read_text()
ROWS = dict(re.findall(r"^\| \*\*(P\d+)\*\* (.*)\|$", PAGE, re.MULTILINE))


def test_every_promise_has_its_row() -> None:
    assert list(ROWS) == [f"P{number}" for number in range(1, 26)]


@pytest.mark.parametrize("name", ROWS)
def test_each_row_says_what_shows_it_and_when_that_was(name: str) -> None:
    cells = [cell.strip() for cell in ROWS[name].split("|")]
    assert len(cells) == 4
    promise, shown, figure, date = cells
    assert promise
    assert "`" in shown
    assert figure
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", date)


@pytest.mark.parametrize("word", sorted(set(re.findall(r"`([^`\n]+)`", PAGE))))
def test_what_is_named_is_there(word: str) -> None:
    if found := re.match(r"(?:tests|benchmarks|docs|src)/[\w/.-]+", word):
        assert (TOP / found[0]).exists()
    elif found := re.search(r"python -m ((?:tests|rawlog)[\w.]*)", word):
        assert (TOP / (found[1].replace(".", "/") + ".py")).exists()
    elif found := re.match(r"make (\w+)", word):
        assert re.search(rf"^{found[1]}:", (TOP / "Makefile").read_text(), re.MULTILINE)
