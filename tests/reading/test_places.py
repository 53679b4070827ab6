"""Which recordings paths mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.reading.places import recordings_at


def test_directories_and_files_each_pair_once(tmp_path: Path) -> None:
    for name in ("20261122-104501.1.1.in", "20261122-104501.1.1.out", "20261122-104500.1.2.out", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    first = str(tmp_path / "20261122-104501.1.1.out")
    found = list(recordings_at([first, str(tmp_path), "-"]))
    assert found == [first, str(tmp_path / "20261122-104500.1.2.out"), "-"]


def test_a_directory_that_can_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, onerror: object = None, **__: object) -> list[object]:
        assert callable(onerror)
        onerror(PermissionError(13, "Permission denied", str(tmp_path)))
        return []

    monkeypatch.setattr("os.walk", refused)
    failures: list[RawlogError] = []
    assert list(recordings_at([str(tmp_path)], on_error=failures.append)) == []
    assert "permission denied" in str(failures[0])
    with pytest.raises(RawlogError):
        list(recordings_at([str(tmp_path)]))
