"""A directory is the recordings in it, in the order in which they began."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.reading.directory import recordings_below
from tests.support import golden


def _touch(path: Path, data: bytes = b"") -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def test_pairs_are_found_once_and_sorted_by_their_start(tmp_path: Path) -> None:
    for name in (
        "bob/20261122-220657.9.1",
        "alice/20261122-220657.9.2",
        "bob/20261121-220657-9",
        "20261123-000000.1.1",
    ):
        _touch(tmp_path / (name + ".out"))
        _touch(tmp_path / (name + ".in"))
    _touch(tmp_path / "20261122-220657.9.10.out")
    assert [str(Path(path).relative_to(tmp_path)) for path in recordings_below(str(tmp_path))] == [
        "bob/20261121-220657-9.in",
        "bob/20261122-220657.9.1.in",
        "alice/20261122-220657.9.2.in",
        "20261122-220657.9.10.out",
        "20261123-000000.1.1.in",
    ]


def test_other_files_count_when_their_content_is_a_recording(tmp_path: Path) -> None:
    _touch(tmp_path / "README", b"no recording")
    _touch(tmp_path / "Makefile.in", b"1795385217.427810 a2 NOOP\r\n")
    _touch(tmp_path / "conn1.tcp", b"1795385217.427810 I: a2 NOOP\r\n")
    _touch(tmp_path / "a.rawlog", b"rawlog 1 {}\n")
    os.utime(tmp_path / "conn1.tcp", (1795385217, 1795385217))
    os.utime(tmp_path / "a.rawlog", (1795385218, 1795385218))
    assert [Path(path).name for path in recordings_below(str(tmp_path))] == ["conn1.tcp", "a.rawlog"]


def test_links_and_pipes_are_left_alone(tmp_path: Path) -> None:
    _touch(tmp_path / "secret", b"rawlog 1 {}\n")
    (tmp_path / "20261122-220657.9.1.in").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "20261122-220657.9.2.in")
    assert recordings_below(str(tmp_path)) == [str(tmp_path / "secret")]


def test_the_recordings_of_dovecot_are_all_found() -> None:
    pairs = {path.with_suffix("") for path in golden.files(".in", ".out")}
    assert len(recordings_below(str(golden.FOLDER))) == len(pairs) + len(golden.files(".tcp"))


def test_an_unreadable_directory_is_an_error_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RawlogError, match="no such file"):
        recordings_below(str(tmp_path / "missing"))


def test_an_unreadable_directory_can_be_reported_instead(tmp_path: Path) -> None:
    errors: list[RawlogError] = []
    assert recordings_below(str(tmp_path / "missing"), on_error=errors.append) == []
    assert [str(error) for error in errors] == [f"{tmp_path}/missing: no such file; check the path"]
