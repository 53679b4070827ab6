"""``rawlog stats``, as a person calls it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rawlog.cli import main
from tests.support import golden

BASIC = str(golden.FOLDER / "imap_rawlog_dir_basic")


def figures(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["stats", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_by_command(capsys: pytest.CaptureFixture[str]) -> None:
    lines = figures(capsys, BASIC)
    assert lines[1].split()[:2] + lines[1].split()[-1:] == ["2", "4", "APPEND"]
    assert lines[-1].split()[:2] + lines[-1].split()[-1:] == ["2", "15", "(all)"]
    assert len(figures(capsys, "--limit", "1", BASIC)) == 2


def test_chosen_commands_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    lines = figures(capsys, "--json", "--by", "all", "--where", "command:NOOP latency>1ms", BASIC)
    assert [json.loads(line)["count"] for line in lines] == [3, 3]
    assert figures(capsys, "--where", '"no such text"', BASIC) == []


def test_by_user(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for user in ("alice", "bob"):
        shutil.copytree(golden.FOLDER / "postlogin_rawlog_t", tmp_path / user, ignore=shutil.ignore_patterns("*.json"))
    lines = figures(capsys, "--by", "recording", "--where", "user:bob", str(tmp_path))
    assert len(lines) == 2
    assert "/bob/" in lines[1]


def test_a_histogram(capsys: pytest.CaptureFixture[str]) -> None:
    lines = figures(capsys, "--histogram", BASIC)
    at = lines.index("")
    assert sum(int(line.split()[3]) for line in lines[at + 1 :]) == 14


def test_what_can_not_be_read_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["stats", str(tmp_path / "gone"), BASIC]) == 1
    output = capsys.readouterr()
    assert "APPEND" in output.out
    assert "gone: no such file" in output.err
