"""Recordings as tables, and the questions that docs/analysis.md asks of them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rawlog.errors import RawlogError
from rawlog.events import Chunk, Direction, Event, Recording
from rawlog.reading.opener import open_paths
from rawlog.views.parquet import EXCHANGES, RECORDINGS, write_parquet
from tests.support import golden

duckdb: Any = pytest.importorskip("duckdb", reason="DuckDB is not installed (extra [analyze])")

DOCUMENT = (Path(__file__).parent.parent.parent / "docs" / "analysis.md").read_text("utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("analysis")
    failures: list[RawlogError] = []
    write_parquet(open_paths([golden.FOLDER]), directory, failures.append)
    assert failures == []
    return directory


def rows(tables: Path, query: str) -> list[tuple[Any, ...]]:
    here = Path.cwd()
    os.chdir(tables)
    try:
        with duckdb.connect() as database:
            return list(database.execute(query).fetchall())
    finally:
        os.chdir(here)


def test_both_tables_are_there_and_nothing_else(tables: Path) -> None:
    assert sorted(path.name for path in tables.iterdir()) == ["exchanges.parquet", "recordings.parquet"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tables.iterdir())


def test_what_is_in_them(tables: Path) -> None:
    query = "SELECT * FROM 'recordings.parquet' WHERE recording LIKE '%3831.1'"
    (row,) = rows(tables, query)
    found = dict(zip(RECORDINGS, row, strict=True))
    assert (found["protocol"], found["user"], found["commands"], found["ending"]) == (
        "imap",
        None,
        13,
        "no answer to FOO",
    )
    assert found["started"].isoformat() == "2026-11-22T22:06:57.426464"
    query = "SELECT * FROM 'exchanges.parquet' WHERE recording LIKE '%3831.1' AND number = 4"
    (row,) = rows(tables, query)
    found = dict(zip(EXCHANGES, row, strict=True))
    assert (found["verb"], found["command"], found["latency"], found["failed"]) == ("NOOP", "a4 NOOP", 600912, False)


def test_the_document_names_every_column(tables: Path) -> None:
    named = set(re.findall(r"`([a-z_]+)`", " ".join(line for line in DOCUMENT.splitlines() if line.startswith("| `"))))
    assert set(RECORDINGS) | set(EXCHANGES) <= named


def test_there_are_ten_questions() -> None:
    assert len(QUERIES) == 10


@pytest.mark.parametrize("number", range(len(QUERIES)))
def test_each_question_of_the_document_has_an_answer(tables: Path, number: int) -> None:
    answer = rows(tables, QUERIES[number])
    assert answer or number == 9, QUERIES[number]


def hostile() -> Iterator[Recording]:
    name = "it's \udcff \\udcff.in"
    events: list[Event] = [
        Chunk(1, Direction.OUT, b"* PREAUTH\r\n"),
        Chunk(2, Direction.IN, b"a\xff X\x00 '\xf0\x9f\x98\x80\x1b\r\n"),
        Chunk(3, Direction.OUT, b"a\xff NO \xed\xa0\x80\r\n"),
    ]
    yield Recording(name, events, protocol="imap")
    yield Recording("x", [Chunk(None, Direction.IN, b"\x16\x03")], timed=False)


def test_whatever_is_in_a_recording(tmp_path: Path) -> None:
    directory = tmp_path / "it's here"
    directory.mkdir()
    write_parquet(hostile(), directory, pytest.fail)
    found = rows(directory, "SELECT recording, command, failed FROM 'exchanges.parquet' WHERE verb = '?'")
    assert [(name, failed) for name, _, failed in found] == [("it's \\udcff \\udcff.in", True)]
    assert rows(directory, "SELECT count(*) FROM 'recordings.parquet' WHERE started IS NULL") == [(1,)]


def test_a_recording_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    def broken() -> Iterator[Event]:
        yield Chunk(1, Direction.IN, b"a NOOP\r\n")
        raise RawlogError("broken: can't be read")

    failures: list[RawlogError] = []
    write_parquet([Recording("broken", broken(), protocol="imap"), *hostile()], tmp_path, failures.append)
    assert [str(failure) for failure in failures] == ["broken: can't be read"]
    assert rows(tmp_path, "SELECT count(*) FROM 'recordings.parquet'") == [(2,)]


def test_nothing_is_overwritten(tables: Path) -> None:
    with pytest.raises(RawlogError, match=r"recordings\.parquet: is there already"):
        write_parquet([], tables, pytest.fail)


def test_without_duckdb_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(RawlogError, match=r"pip install 'rawlog\[analyze\]'"):
        write_parquet([], tmp_path, pytest.fail)
