"""``rawlog prune``, as a person calls it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rawlog.cli import main


def put(path: Path, days: float, size: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - days * 86400,) * 2)
    return path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    put(tmp_path / "raw/alice/20261101-104500.77.1.in", 20)
    put(tmp_path / "raw/alice/20261101-104500.77.1.out", 20)
    put(tmp_path / "raw/alice/20261122-104500.77.1.in", 1)
    put(tmp_path / "raw/bob/20261122-104500.77.2.rawlog", 2)
    put(tmp_path / "raw/bob/old-notes.txt", 99)
    return tmp_path / "raw"


def left(raw: Path) -> list[str]:
    return sorted(path.name for path in raw.rglob("*") if path.is_file())


def test_by_age(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--keep", "7d", str(raw)]) == 0
    assert capsys.readouterr().out == "1 of 3 recordings removed, 200 B\n"
    assert left(raw) == ["20261122-104500.77.1.in", "20261122-104500.77.2.rawlog", "old-notes.txt"]


def test_dry_run(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = left(raw)
    assert main(["prune", "--dry-run", "--keep", "36 hours", str(raw)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"would remove {raw}/alice/20261101-104500.77.1 (too old)"
    assert told[-1].startswith("2 of 3 recordings would be removed")
    assert left(raw) == before


def test_by_size(raw: Path) -> None:
    assert main(["prune", "--max-user-size", "150", str(raw)]) == 0
    assert len(left(raw)) == 3
    assert main(["prune", "--max-size", "100", str(raw)]) == 0
    assert left(raw) == ["20261122-104500.77.1.in", "old-notes.txt"]


def test_by_the_configuration(raw: Path, tmp_path: Path) -> None:
    conf = tmp_path / "rawlog.conf"
    conf.write_text(
        f"rawlog_dir = {raw}/%u\nrawlog_min_free_space = 0\nrawlog_keep = 3 days\nrawlog_max_user_size = 50\n"
    )
    assert main(["prune", "-c", str(conf)]) == 0
    assert left(raw) == ["old-notes.txt"]


def test_the_command_line_wins_over_the_configuration(raw: Path, tmp_path: Path) -> None:
    conf = tmp_path / "rawlog.conf"
    conf.write_text(f"rawlog_dir = {raw}/%u\nrawlog_min_free_space = 0\nrawlog_keep = 1 hours\n")
    assert main(["prune", "-c", str(conf), "--keep", "30 days"]) == 0
    assert len(left(raw)) == 5


def test_what_is_being_written_stays(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(raw / "alice/20261101-104500.88.1.in", 0.0002)
    assert main(["prune", "--keep", "1s", str(raw)]) == 0
    assert left(raw) == ["20261101-104500.88.1.in", "old-notes.txt"]
    os.utime(path, (1, 1))
    with path.open("ab"):
        assert main(["prune", "--keep", "1s", str(raw)]) == 0
        assert path.exists()
    assert "nothing to remove among 1 recordings" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--keep", "soon", "."], ["--max-size", "much", "."], ["."]])
def test_limits_that_are_none(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", *arguments]) == 2
    assert capsys.readouterr().err.startswith("rawlog: ")


def test_a_directory_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--keep", "7d", str(tmp_path / "no")]) == 1
    assert "no: can't be read" in capsys.readouterr().err


def test_by_what_must_stay_free(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--min-free", "1", str(raw)]) == 0
    assert len(left(raw)) == 5
    assert main(["prune", "--min-free", "100%", "--dry-run", str(raw)]) == 0
    assert capsys.readouterr().out.count("(too little is free on the file system)") == 3
    conf = tmp_path / "rawlog.conf"
    conf.write_text(f"rawlog_dir = {raw}/%u\nrawlog_keep = unlimited\nrawlog_min_free_space = 100%\n")
    assert main(["prune", "-c", str(conf)]) == 0
    assert left(raw) == ["old-notes.txt"]


def test_the_notes_forget_what_was_removed(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["ls", str(raw)]) == 0
    shelf = tmp_path / "cache/rawlog/shelf.sqlite"
    assert b"20261101-104500.77.1" in shelf.read_bytes()
    assert main(["prune", "--keep", "7d", "--dry-run", str(raw)]) == 0
    assert b"20261101-104500.77.1" in shelf.read_bytes()
    assert main(["prune", "--keep", "7d", str(raw)]) == 0
    assert b"20261101-104500.77.1" not in shelf.read_bytes()
    assert b"20261122-104500.77.1" in shelf.read_bytes()
