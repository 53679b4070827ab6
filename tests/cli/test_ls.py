"""``rawlog ls``, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rawlog.cli import main
from tests.support import golden

REUSE = str(golden.FOLDER / "imap_reuse_pop3_retr_tls_managesieve")


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["ls", *words]) == 0
    return capsys.readouterr().out.splitlines()


def names(lines: list[str]) -> list[str]:
    return [line.rpartition("/")[2] for line in lines]


def test_a_table_sorted_by_start(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    lines = listed(capsys, REUSE)
    assert lines[0].split()[:3] == ["START", "DURATION", "PROTOCOL"]
    assert names(lines[1:]) == [
        "20261122-222425.27815.1",
        "20261122-222425.27815.2",
        "20261122-222425.27815.3",
        "20261122-222425.27815.4",
        "20261122-222426.27820.1",
        "20261122-222426.27822.1",
    ]
    assert (cache / "rawlog" / "shelf.sqlite").exists()
    assert listed(capsys, REUSE) == lines


def test_sorted_and_limited(capsys: pytest.CaptureFixture[str]) -> None:
    slowest = listed(capsys, "--no-header", "--sort", "slowest", "--limit", "1", REUSE)
    assert names(slowest) == ["20261122-222426.27820.1"]
    assert names(listed(capsys, "--no-header", "--reverse", "--limit", "1", REUSE)) == ["20261122-222426.27822.1"]
    assert names(listed(capsys, "--no-header", "--sort", "slowest", "--reverse", REUSE))[-1] == names(slowest)[0]


def test_filtered(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = listed(capsys, "--no-header", "--where", "protocol:pop3 or commands<2", REUSE)
    assert names(chosen) == ["20261122-222425.27815.4", "20261122-222426.27820.1"]
    assert names(listed(capsys, "--no-header", "--since", "2026-11-22T22:24:26+00:00", REUSE)) == [
        "20261122-222426.27820.1",
        "20261122-222426.27822.1",
    ]


def test_only_terms_about_recordings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "--where", "command:NOOP", REUSE]) == 2
    assert "only terms about recordings" in capsys.readouterr().err


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = [json.loads(line) for line in listed(capsys, "--json", REUSE)]
    assert [one["protocol"] for one in found] == ["imap"] * 4 + ["pop3", "managesieve"]
    assert found[0]["recording"].startswith("/")


def test_here_is_where_it_looks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.chdir(REUSE)
    lines = listed(capsys, "--no-header", "--no-cache")
    assert lines[0].endswith("  r/20261122-222425.27815.1")
    assert not (cache / "rawlog").exists()


def test_an_empty_directory_is_an_empty_list(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["ls", "--no-header", str(tmp_path)]) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"rawlog: {tmp_path}: no recording in it; ")


@pytest.mark.parametrize("words", [["stats"], ["search", "x"], ["stats", "--where", "user:x"]])
def test_nothing_to_look_at_is_a_failure(capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]) -> None:
    assert main([*words, str(tmp_path)]) != 0
    assert capsys.readouterr().err.startswith(f"rawlog: {tmp_path}: no recording in it; ")


def test_what_can_not_be_read_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["ls", str(tmp_path / "gone"), REUSE]) == 1
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 7
    assert output.err == f"rawlog: {tmp_path}/gone: no such file; check the path\n"
