"""Notes about recordings are kept, and renewed when these change."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from rawlog.errors import RawlogError
from rawlog.reading import shelf as module
from rawlog.reading.shelf import Shelf, default_shelf, items_at

NATIVE = b'rawlog 1 {"protocol": "imap"}\n'


def read(path: str) -> Mapping[str, Any]:
    """A note: the content. It stands for what a command wants to know; it must not need this module's state."""
    text = Path(path).read_text("latin-1")
    if text == "bad":
        raise RawlogError(f"{path}: is bad")
    return {"text": text, "pid": os.getpid()}


class Desk:
    """A shelf, what it is asked, and what it tells."""

    def __init__(self, path: Path | None, edition: int = 1) -> None:
        self.shelf = Shelf(path, edition=edition)
        self.read: list[str] = []
        self.told: list[tuple[int, int]] = []
        self.failures: list[str] = []

    def notes(self, *places: Path) -> dict[str, Any]:
        def noting(path: str) -> Mapping[str, Any]:
            self.read.append(Path(path).name)
            return read(path)

        found = self.shelf.notes(
            [str(place) for place in places],
            noting,
            tell=lambda done, total: self.told.append((done, total)),
            fail=lambda error: self.failures.append(str(error)),
        )
        return {Path(name).name: note["text"] for name, note in found}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "raw"
    write(tree / "alice/20261122-104500.77.1.in", "a")
    write(tree / "alice/20261122-104500.77.1.out", "b")
    write(tree / "bob/192.0.2.1-20261122-104501-5.out", "c")
    write(tree / "bob/session.rawlog", NATIVE.decode())
    write(tree / "bob/combined", "1795385217.000001 I: a NOOP\n")
    write(tree / "bob/README", "no recording")
    return tree


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


ALL = {
    "20261122-104500.77.1": "a",
    "192.0.2.1-20261122-104501-5": "c",
    "session.rawlog": NATIVE.decode(),
    "combined": "1795385217.000001 I: a NOOP\n",
}


def test_all_recordings_are_read_once(tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "shelf.sqlite"
    desk = Desk(path)
    assert desk.notes(tree) == ALL
    assert desk.told == [(5, 5)]
    again = Desk(path)
    assert again.notes(tree) == ALL
    assert again.read == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_has_changed_is_read_again(tree: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "shelf.sqlite")
    desk.notes(tree)
    desk.read.clear()
    write(tree / "alice/20261122-104500.77.1.out", "longer")
    write(tree / "bob/new-20261122-104502-6.in", "x")
    (tree / "bob/combined").unlink()
    write(tree / "bob/README", NATIVE.decode())
    expected = {**ALL, "README": NATIVE.decode()}
    del expected["combined"]
    assert desk.notes(tree) == expected
    assert sorted(desk.read) == ["20261122-104500.77.1.in", "README"]
    write(tree / "bob/combined", "1795385217.000001 I: a NOOP\n")
    assert "combined" in desk.notes(tree)


def test_one_recording_may_be_named_by_a_half_by_its_stem_or_as_a_file(tree: Path) -> None:
    desk = Desk(None)
    stem = tree / "alice/20261122-104500.77.1"
    assert desk.notes(stem.with_name(stem.name + ".out"), tree / "bob/session.rawlog") == {
        "20261122-104500.77.1": "b",
        "session.rawlog": NATIVE.decode(),
    }
    (item,) = items_at(str(stem), lambda error: None)
    assert (item.name, item.sure, item.state.count(" ")) == (str(stem), True, 1)


def test_asking_for_one_does_not_forget_the_others(tree: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "shelf.sqlite")
    desk.notes(tree)
    desk.notes(tree / "bob/session.rawlog", tree / "alice")
    desk.read.clear()
    assert desk.notes(tree) == ALL
    assert desk.read == []


def test_neighbours_with_like_names_are_left_alone(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "raw2"
    write(other / "20261122-104500.77.9.in", "z")
    desk = Desk(tmp_path / "shelf.sqlite")
    desk.notes(other)
    desk.notes(tree)
    desk.read.clear()
    assert desk.notes(other) == {"20261122-104500.77.9": "z"}
    assert desk.read == []


def test_links_are_not_followed(tree: Path) -> None:
    (tree / "bob/20261122-104509.1.1.in").symlink_to(tree / "alice/20261122-104500.77.1.in")
    (tree / "loop").symlink_to(tree)
    assert Desk(None).notes(tree) == ALL


def test_names_that_are_no_text(tmp_path: Path) -> None:
    directory = tmp_path / os.fsdecode(b"\xff\xfe")
    directory.mkdir()
    write(directory / "20261122-104500.77.1.in", "a")
    path = tmp_path / "shelf.sqlite"
    assert Desk(path).notes(tmp_path) == {"20261122-104500.77.1": "a"}
    again = Desk(path)
    assert again.notes(tmp_path) == {"20261122-104500.77.1": "a"}
    assert again.read == []


def test_what_can_not_be_read_is_told_each_time(tree: Path, tmp_path: Path) -> None:
    write(tree / "alice/20261122-104500.77.2.in", "bad")
    desk = Desk(tmp_path / "shelf.sqlite")
    for _ in range(2):
        assert desk.notes(tree) == ALL
    assert [failure.rpartition(": ")[2] for failure in desk.failures] == ["is bad", "is bad"]
    desk.notes(tree / "gone")
    assert desk.failures[2] == f"{tree}/gone: no such file; check the path"


@pytest.mark.parametrize("damage", [b"", b"SQLite format 3\0" + b"x" * 5000, b"nonsense " * 100])
def test_a_damaged_shelf_is_made_anew(tree: Path, tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "shelf.sqlite"
    path.write_bytes(damage)
    assert Desk(path).notes(tree) == ALL
    again = Desk(path)
    assert again.notes(tree) == ALL
    assert again.read == []


def test_a_shelf_of_another_edition_is_made_anew(tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "shelf.sqlite"
    Desk(path, edition=1).notes(tree)
    newer = Desk(path, edition=2)
    newer.notes(tree)
    assert len(newer.read) == 4


def test_where_nothing_can_be_kept_everything_works(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "file" / "shelf.sqlite", tmp_path / "link"):
        assert Desk(path).notes(tree) == ALL
    assert not (tmp_path / "elsewhere").exists()


def test_a_shelf_that_another_process_writes_is_left_to_it(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shelf.sqlite"
    desk = Desk(path)
    desk.shelf._database.execute("PRAGMA busy_timeout = 0")
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert desk.notes(tree) == ALL
        other.execute("ROLLBACK")
    assert path.exists()
    assert desk.notes(tree) == ALL
    assert len(desk.read) == 8


def test_many_are_read_by_several_processes(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PARALLEL", 1)
    monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)
    told: list[tuple[int, int]] = []
    shelf = Shelf(None, edition=1)
    found = dict(shelf.notes([str(tree)], read, tell=lambda *done: told.append(done), fail=raise_it))
    assert {Path(name).name: note["text"] for name, note in found.items()} == ALL
    assert os.getpid() not in {note["pid"] for note in found.values()}
    assert told == [(2, 5), (4, 5), (5, 5)]


def raise_it(error: RawlogError) -> None:
    raise error


def test_where_the_shelf_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert default_shelf() == Path("/cache/rawlog/shelf.sqlite")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/alice")
    assert default_shelf() == Path("/home/alice/.cache/rawlog/shelf.sqlite")


def names(items: Iterable[module.Item]) -> list[str]:
    return sorted(Path(item.name).name for item in items)


def test_items_tell_what_is_sure(tree: Path) -> None:
    found = list(items_at(str(tree), raise_it))
    assert names(item for item in found if item.sure) == ["192.0.2.1-20261122-104501-5", "20261122-104500.77.1"]
    assert names(item for item in found if not item.sure) == ["README", "combined", "session.rawlog"]
