"""``rawlog search``, as a person calls it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rawlog.cli import main
from tests.support import golden

GOLDEN = str(golden.FOLDER)


def searched(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[str]:
    assert main(["search", *words]) == code
    output = capsys.readouterr()
    assert output.err == ""
    return output.out.splitlines()


def test_the_exit_code_is_that_of_grep(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert searched(capsys, "-q", "command:NOOP", GOLDEN) == []
    assert searched(capsys, "command:NOOP status:NO", GOLDEN, code=1) == []
    assert main(["search", "command:NOOP", str(tmp_path / "gone"), GOLDEN]) == 2
    assert "gone: no such file" in capsys.readouterr().err
    assert main(["search", "what:ever", GOLDEN]) == 2
    assert capsys.readouterr().err.startswith("rawlog: search expression: character 1: 'what' is not known")


def test_lines_under_the_names_of_recordings(capsys: pytest.CaptureFixture[str]) -> None:
    lines = searched(capsys, "--time", "none", 'in:"Subject: nul"', GOLDEN)
    assert [line.rpartition("/")[2] for line in lines if line.startswith("==")] == ["20261122-220657.3831.1"]
    assert [line.split()[5:7] for line in lines if "APPEND" in line] == [["a6", "APPEND"], ["a6b", "APPEND"]]
    assert [line.strip() for line in lines if line.strip().startswith("Subject")] == ["Subject: nul"] * 2


def test_names_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    names = searched(capsys, "-l", "out:/^354/", GOLDEN)
    assert names and all(line.startswith(GOLDEN) or not line.startswith("/") for line in names)
    counts = searched(capsys, "-c", "out:/^354/", GOLDEN)
    assert [line.rpartition(": ")[0] for line in counts] == names


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = [json.loads(line) for line in searched(capsys, "--json", "status:5* RCPT", GOLDEN)]
    assert {one["verb"] for one in found} == {"RCPT"}
    assert found[0]["found"][0].startswith("RCPT TO:")


def test_questions_about_recordings_are_answered_by_notes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, cache: Path
) -> None:
    for user in ("alice", "bob"):
        shutil.copytree(golden.FOLDER / "postlogin_rawlog_t", tmp_path / user, ignore=shutil.ignore_patterns("*.json"))
    (line,) = searched(capsys, "-c", "user:alice latency>100ms", str(tmp_path))
    assert line.endswith("alice/20261122-221434-8155: 1")
    assert (cache / "rawlog" / "shelf.sqlite").exists()
    assert [line.rpartition(str(tmp_path))[2] for line in searched(capsys, "user:b*", str(tmp_path))] == [
        "/bob/20261122-221434-8155"
    ]
    assert searched(capsys, "user:carol", str(tmp_path), code=1) == []


@pytest.mark.parametrize("form", ["postlogin_rawlog_plain", "postlogin_rawlog_t", "postlogin_rawlog_b"])
def test_every_form_of_a_pair(capsys: pytest.CaptureFixture[str], form: str) -> None:
    lines = searched(capsys, "--time", "none", "a4 command:NOOP", str(golden.FOLDER / form))
    assert next(line for line in lines if "NOOP" in line).endswith("  a4 NOOP")
    assert searched(capsys, "a44", str(golden.FOLDER / form), code=1) == []


def test_upper_and_lower_case(capsys: pytest.CaptureFixture[str]) -> None:
    place = str(golden.FOLDER / "imap_rawlog_dir_basic")
    assert searched(capsys, '"SUBJECT: nul"', place, code=1) == []
    assert searched(capsys, "-i", '"SUBJECT: nul"', place)


def test_a_time_window(capsys: pytest.CaptureFixture[str]) -> None:
    place = str(golden.FOLDER / "imap_rawlog_dir_basic")
    lines = searched(capsys, "--since", "+1.24", "--until", "+1.26", "-c", "command:NOOP", place)
    assert lines[0].endswith("3831.1: 2")


def test_a_recording_can_not_act_on_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bad = "\x1b]0;owned\x07\u202e"
    (tmp_path / "20261122-000000.1.1.in").write_bytes(f"1795385217.000001 a1 NOOP {bad}\r\n".encode())
    shown = "".join(searched(capsys, "owned", str(tmp_path)))
    assert "owned" in shown
    assert not set(shown) & {"\x1b", "\x07", "\u202e"}
