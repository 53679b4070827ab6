"""What lies in a directory: only recordings, never through a link, never what is being written."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.recorder.stock import QUIET, QUIET_UNSURE, Lying, is_busy, lying_at, remove, stem_of

STEM = "20261122-104500.77.1"


def put(directory: Path, name: str = f"{STEM}.in", data: bytes = b"x", age: float = 1000) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_bytes(data)
    os.utime(path, (time.time() - age,) * 2)
    return path


def found(top: Path, **options: bool) -> list[Lying]:
    failures: list[RawlogError] = []
    items = sorted(lying_at(str(top), failures.append, **options), key=lambda item: item.path)
    assert failures == []
    return items


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("20261122-104500.77.1.in", "20261122-104500.77.1"),
        ("192.0.2.1-20261122-104500-77.2.out", "192.0.2.1-20261122-104500-77.2"),
        ("20261122-104500.77.1.rawlog", "20261122-104500.77.1.rawlog"),
        ("mail.rawlog", None),
        ("20261122-104500.77.1", None),
        ("20261122-104500.77.1.in~", None),
        ("rawlog.conf", None),
    ],
)
def test_names(name: str, stem: str | None) -> None:
    assert stem_of(name) == stem


def test_a_pair_is_one_recording(tmp_path: Path) -> None:
    put(tmp_path / "alice", age=50)
    put(tmp_path / "alice", f"{STEM}.out", b"yyy", age=2000)
    (item,) = found(tmp_path)
    assert (item.directory, item.folders, item.stem, item.size) == (str(tmp_path / "alice"), ("alice",), STEM, 4)
    assert abs(time.time() - 50 - item.changed) < 10
    assert found(tmp_path, below=False) == []
    assert found(tmp_path / "alice", below=False)[0].folders == ()
    assert found(tmp_path / "alice", below=False, own=True) == [item]


def test_other_files_and_links_are_left_alone(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside")
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / f"{STEM}.in").symlink_to(outside)
    (tmp_path / "top" / "folder").symlink_to(tmp_path / "outside")
    os.mkfifo(tmp_path / "top" / f"{STEM}.out")
    put(tmp_path / "top", "mailbox")
    assert found(tmp_path / "top") == []


def test_removal(tmp_path: Path) -> None:
    put(tmp_path / "a" / "b")
    put(tmp_path / "a" / "b", f"{STEM}.out")
    other = put(tmp_path / "a" / "b", "20261122-104500.77.2.in")
    remove(found(tmp_path)[0])
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == [other.name]


def test_a_directory_that_became_a_link_is_not_entered(tmp_path: Path) -> None:
    put(tmp_path / "top" / "alice")
    (item,) = found(tmp_path / "top")
    victim = put(tmp_path / "outside")
    (tmp_path / "top" / "alice").rename(tmp_path / "old")
    (tmp_path / "top" / "alice").symlink_to(tmp_path / "outside")
    with pytest.raises(RawlogError, match="can't be removed"):
        remove(item)
    assert victim.exists() and (tmp_path / "old" / victim.name).exists()


def test_a_file_that_was_replaced_is_not_removed(tmp_path: Path) -> None:
    path = put(tmp_path)
    (item,) = found(tmp_path)
    put(tmp_path, "keep").replace(path)
    with pytest.raises(RawlogError, match="was replaced"):
        remove(item)
    assert path.exists()


def test_what_is_gone_is_no_error(tmp_path: Path) -> None:
    path = put(tmp_path)
    (item,) = found(tmp_path)
    path.unlink()
    remove(item)


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    failures: list[RawlogError] = []
    assert list(lying_at(str(tmp_path / "no"), failures.append)) == []
    assert "no: can't be read" in str(failures[0])


def test_what_was_changed_a_moment_ago_is_busy(tmp_path: Path) -> None:
    put(tmp_path, age=QUIET - 30)
    assert is_busy(found(tmp_path)[0], time.time())


def test_what_somebody_has_open_is_busy_however_old(tmp_path: Path) -> None:
    path = put(tmp_path, age=QUIET_UNSURE / 2)
    (item,) = found(tmp_path)
    with path.open("ab"):
        assert is_busy(item, time.time())
    assert not is_busy(item, time.time())


def test_without_leases_silence_must_be_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("rawlog.recorder.stock.fcntl.F_SETLEASE")
    put(tmp_path, age=QUIET_UNSURE / 2)
    assert is_busy(found(tmp_path)[0], time.time())
    put(tmp_path, age=QUIET_UNSURE * 2)
    assert not is_busy(found(tmp_path)[0], time.time())
