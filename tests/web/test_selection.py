"""The list as it is wished for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.errors import ConfigError
from rawlog.web.catalog import Catalog
from rawlog.web.selection import Selection, Wish
from tests.support.viewing import START, eventually, small, write

HOUR = 3_600_000_000


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """alice, bob and carol, an hour apart."""
    for number, user in enumerate(("alice", "bob", "carol")):
        events = small(user, START + number * HOUR)
        write(tmp_path / f"{user}.rawlog", events[: len(events) - number])
    catalog = Catalog([str(tmp_path)], None)
    catalog.start()
    eventually(lambda: catalog.reading is None)
    yield catalog
    catalog.stop()


def users(selection: Selection, wish: Wish | None = None) -> list[str]:
    return [row["user"] for row in selection.rows(wish or Wish(), 0, 100, 0)]


def test_the_newest_first(catalog: Catalog) -> None:
    every = Selection(catalog, "")
    assert users(every) == ["carol", "bob", "alice"]
    assert users(every, Wish(reverse=True)) == ["alice", "bob", "carol"]
    assert users(every, Wish(sort="user")) == ["alice", "bob", "carol"]
    assert users(every, Wish(sort="commands"))[0] == "alice"
    assert users(every, Wish(sort="commands", reverse=True))[-1] == "alice"


def test_a_part_of_it(catalog: Catalog) -> None:
    every = Selection(catalog, " ")
    assert [row["user"] for row in every.rows(Wish(), 1, 1, 0)] == ["bob"]
    assert every.rows(Wish(), 9, 5, 0) == []


def test_terms_about_recordings(catalog: Catalog) -> None:
    assert users(Selection(catalog, "user:bob or user:alice")) == ["bob", "alice"]
    assert users(Selection(catalog, "errors>5")) == []


def test_terms_that_take_a_hunt(catalog: Catalog) -> None:
    selection = Selection(catalog, 'command:STORE "read-only" not user:alice')
    before = selection.version
    users(selection)
    eventually(lambda: selection.waiting == 0)
    assert selection.version > before
    assert users(selection) == ["bob"]
    selection.stop()


def test_a_span_of_time(catalog: Catalog) -> None:
    every = Selection(catalog, "")
    assert users(every, Wish(since=START + HOUR, until=START + HOUR)) == ["bob"]
    assert users(every, Wish(since=START + 1)) == ["carol", "bob", "alice"]
    assert users(every, Wish(until=START)) == ["alice"]


def test_a_row(catalog: Catalog) -> None:
    row = Selection(catalog, "user:alice").rows(Wish(), 0, 1, 0)[0]
    assert row["name"] == "alice.rawlog"
    assert (row["started"], row["duration"], row["commands"], row["errors"]) == (START, 7000, 4, 1)
    assert row["end"] == "no answer to NOOP"
    assert row["client"] == "192.0.2.7:1234"
    assert row["read"] is True
    assert row["live"] is False


def test_names_are_harmless(tmp_path: Path) -> None:
    write(tmp_path / "\u202e<img src=x>.rawlog", small("a\u202eb"))
    catalog = Catalog([str(tmp_path)], None)
    catalog.start()
    eventually(lambda: catalog.reading is None)
    row = Selection(catalog, "").rows(Wish(), 0, 1, 0)[0]
    catalog.stop()
    assert row["name"] == "\\u{202e}<img src=x>.rawlog"
    assert row["user"] == "a\\u{202e}b"


def test_the_plot(catalog: Catalog) -> None:
    every = Selection(catalog, "")
    columns = every.plot(Wish(), 100)
    assert columns["count"] == [1, 1, 1]
    assert columns["failed"] == [1, 1, 0]
    assert columns["start"] == START
    assert every.plot(Wish(since=START + HOUR, until=START + HOUR), 100)["count"] == [1]
    assert Selection(catalog, "user:nobody").plot(Wish(), 100)["at"] == []


def test_an_expression_that_means_nothing(catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match="character 2"):
        Selection(catalog, "(")
