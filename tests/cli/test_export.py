"""``rawlog export``, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rawlog.cli import main
from tests.support import golden

BASIC = str(golden.FOLDER / "imap_rawlog_dir_basic")
FIRST = str(next(golden.FOLDER.glob("imap_rawlog_dir_basic/*3831.1.in")))


@pytest.mark.parametrize(
    ("kind", "beginning"), [("pcapng", b"\n\r\r\n"), ("html", b"<!DOCTYPE html>"), ("jsonl", b'{"recording": ')]
)
def test_one_file(kind: str, beginning: bytes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["export", f"--{kind}", str(out), BASIC]) == 0
    assert out.read_bytes().startswith(beginning)
    assert main(["export", f"--{kind}", str(out), BASIC]) == 1


@pytest.mark.parametrize(
    ("kind", "files"), [("dovecot", 4), ("combined", 2), ("native", 2), ("eml", 8), ("parquet", 2)]
)
def test_files_in_a_directory(kind: str, files: int, tmp_path: Path) -> None:
    if kind == "parquet":
        pytest.importorskip("duckdb", reason="DuckDB is not installed (extra [analyze])")
    out = tmp_path / "new" / "out"
    assert main(["export", f"--{kind}", str(out), BASIC]) == 0
    assert len(list(out.iterdir())) == files


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--jsonl", "-", FIRST]) == 0
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert {event["dir"] for event in events} == {"in", "out"}


def test_what_can_not_be_read_is_told_and_the_rest_is_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("native", "jsonl"):
        assert main(["export", f"--{kind}", str(tmp_path / kind), str(tmp_path / "gone.in"), BASIC]) == 1
        assert "gone.in: no such file" in capsys.readouterr().err
        assert (tmp_path / kind).exists()


def test_nothing_to_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--html", str(tmp_path / "x.html"), str(tmp_path)]) == 1
    assert "no recording in it" in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()


def test_one_kind_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export", BASIC])
    assert ended.value.code == 2
    assert "is required" in capsys.readouterr().err
