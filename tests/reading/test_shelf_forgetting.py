"""Notes that are taken off a shelf: nothing of them is left in its file, and the others stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rawlog.reading.shelf import Shelf
from rawlog.reading.shelf_forgetting import forget

NAMES = ("alice/20261122-104500.1.1.in", "bob/20261122-104500.1.2.in", "all/20261122-104500.1.3.in")


def note(path: str) -> Mapping[str, Any]:
    owner = Path(path).parent.name
    return {
        "user": {"alice": "Alice@Example.com", "bob": "bob", "all": "Jos\u00e9"}[owner],
        "secret": f"of {owner}" * 9,
    }


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """With a note about each."""
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    path = tmp_path / "cache" / "shelf.sqlite"
    assert len(noted(path, tmp_path)) == 3
    return path


def noted(path: Path, top: Path) -> list[str]:
    """What had to be read now, because there was no note."""
    read: list[str] = []

    def reading(place: str) -> Mapping[str, Any]:
        read.append(Path(place).parent.name)
        return note(place)

    shelf = Shelf(path, edition=1)
    assert len(list(shelf.notes([str(top)], reading, tell=lambda done, all_: None, fail=print))) == 3
    shelf.close()
    return sorted(read)


def test_recordings_that_are_gone_are_forgotten(shelf: Path, tmp_path: Path) -> None:
    forget(shelf, [str(tmp_path / NAMES[0].removesuffix(".in")), "/not/there"])
    data = shelf.read_bytes()
    assert b"Alice" not in data
    assert b"of alice" not in data
    assert b"of bob" in data
    assert noted(shelf, tmp_path) == ["alice"]


@pytest.mark.parametrize(
    ("user", "owner"), [("alice@example.com", "alice"), ("BOB", "bob"), ("jos\u00e9", "all"), ("nobody", None)]
)
def test_users_are_forgotten_whatever_the_case(shelf: Path, tmp_path: Path, user: str, owner: str | None) -> None:
    forget(shelf, [], [user])
    assert noted(shelf, tmp_path) == ([] if owner is None else [owner])


def test_a_shelf_of_no_use_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "shelf.sqlite"
    forget(path, ["/x"])
    assert not path.exists()
    for broken in (b"alice", b"SQLite format 3\0" + b"alice" * 100):
        path.write_bytes(broken)
        path.with_name("shelf.sqlite-wal").touch()
        forget(path, ["/x"])
        assert list(tmp_path.iterdir()) == []
