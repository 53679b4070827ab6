"""Which conversations there are: at first, and while more come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.events import Direction
from rawlog.formats.native import NativeEncoder
from rawlog.web import catalog as module
from rawlog.web.catalog import Catalog
from tests.support.sealing import sealed_sink
from tests.support.viewing import NAME, START, append, eventually, small, talk, write

IN, OUT = Direction.IN, Direction.OUT


@contextmanager
def running(*places: Path, shelf: Path | None = None) -> Iterator[Catalog]:
    catalog = Catalog([str(place) for place in places], shelf)
    catalog.start()
    try:
        eventually(lambda: catalog.reading is None)
        yield catalog
    finally:
        catalog.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.02)


def names(catalog: Catalog) -> list[str]:
    return sorted(Path(entry.name).name for entry in catalog.entries.values())


def test_what_is_there_at_first(tmp_path: Path) -> None:
    write(tmp_path / "a" / "one.rawlog", small("alice"))
    write(tmp_path / "b" / NAME.format(1), small("bob"))
    (tmp_path / "notes.txt").write_text("no recording")
    with running(tmp_path) as catalog:
        assert names(catalog) == [NAME.format(1), "one.rawlog"]
        users = {entry.summary.user for entry in catalog.entries.values() if entry.summary}
        assert users == {"alice", "bob"}
        (name,) = (entry.name for entry in catalog.entries.values() if "one" in entry.name)
        assert catalog.below(name) == "a/one.rawlog"


def test_a_conversation_appears_and_grows(tmp_path: Path) -> None:
    encoder = NativeEncoder({})
    with running(tmp_path) as catalog:
        path = write(tmp_path / "alice" / "one.rawlog", small()[:4], encoder)
        eventually(lambda: len(catalog.entries) == 1)
        (entry,) = catalog.entries.values()
        eventually(lambda: next(iter(catalog.entries.values())).summary.user == "alice")
        assert entry.grown
        version = catalog.version
        for event in talk((IN, b"a9 LOGOUT\r\n"), (OUT, b"a9 OK\r\n"), start=START + 10**7):
            append(path, event.direction, encoder.chunk(event.at, event.direction, event.data), native=True)
        eventually(lambda: next(iter(catalog.entries.values())).summary.end == "logout")
        assert catalog.version > version
        assert list(catalog.entries) == [entry.id]


def test_one_that_was_there_grows(tmp_path: Path) -> None:
    encoder = NativeEncoder({})
    path = write(tmp_path / "one.rawlog", small(), encoder)
    with running(tmp_path) as catalog:
        (entry,) = catalog.entries.values()
        assert entry.grown == 0
        append(path, OUT, encoder.chunk(START + 10**7, OUT, b"a4 OK\r\n"), native=True)
        eventually(lambda: catalog.entries[entry.id].grown > 0)
        summary = catalog.entries[entry.id].summary
        assert summary is not None
        assert (summary.user, summary.commands, summary.errors) == ("alice", 4, 1)


def test_what_is_gone_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESCAN", 0)
    path = write(tmp_path / "one.rawlog", small())
    with running(tmp_path) as catalog:
        path.unlink()
        eventually(lambda: not catalog.entries)


def test_what_is_sealed_is_seen_when_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESCAN", 0)
    with running(tmp_path) as catalog:
        sink = sealed_sink(tmp_path / f"{NAME.format(1)}.in.age")
        sink.write(b"1795385217.000000 a1 NOOP\r\n")
        sink.close()
        eventually(lambda: [entry.summary.end for entry in catalog.entries.values() if entry.summary] == ["sealed"])


def test_what_cant_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.rawlog").write_bytes(b"rawlog 99 {}\n")
    with running(tmp_path) as catalog:
        assert any("bad.rawlog" in problem for problem in catalog.problems)


def test_notes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "raw" / "one.rawlog", small())
    shelf = tmp_path / "shelf.sqlite"
    with running(tmp_path / "raw", shelf=shelf):
        assert shelf.exists()
    monkeypatch.setattr(module, "note", lambda path: {}["nobody reads it again"])
    with running(tmp_path / "raw", shelf=shelf) as catalog:
        assert [entry.summary.user for entry in catalog.entries.values() if entry.summary] == ["alice"]


def test_one_recording_alone(tmp_path: Path) -> None:
    path = write(tmp_path / NAME.format(1), small())
    for place in (Path(f"{path}.in"), path):
        with running(place) as catalog:
            assert names(catalog) == [NAME.format(1)]
            (entry,) = catalog.entries.values()
            assert catalog.below(entry.name) == NAME.format(1)


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RawlogError, match="nowhere: no such file or directory"):
        Catalog([str(tmp_path / "nowhere")], None)


def test_ids_say_nothing_and_differ_each_time(tmp_path: Path) -> None:
    one, two = Catalog([str(tmp_path)], None), Catalog([str(tmp_path)], None)
    assert one.id_of("/raw/alice") == one.id_of("/raw/alice") != one.id_of("/raw/bob")
    assert one.id_of("/raw/alice") != two.id_of("/raw/alice")
    assert one.id_of("/raw/\udcff").isalnum()


def test_an_empty_directory(tmp_path: Path) -> None:
    with running(tmp_path) as catalog:
        assert catalog.entries == {}
        assert catalog.problems == []
