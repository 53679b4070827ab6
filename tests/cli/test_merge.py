"""``rawlog merge``, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rawlog.cli import main
from tests.support import golden

LEGS = str(golden.FOLDER / "lmtp_proxy_rawlog_dir")
PLAIN = str(next(golden.FOLDER.glob("postlogin_rawlog_plain/*.in")))


def test_the_names_and_then_the_time_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", "--time", "none", LEGS]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition("/")[2] for line in lines[:3]] == [
        "20261122-221251.3765.1",
        "20261122-221251.3765.2",
        "20261122-221251.3780.1",
    ]
    assert lines[3] == "[1] S: 220 lab.example.com Dovecot (Debian) ready."


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", "--json", "--until", "+0.1", LEGS]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({event["recording"] for event in events}) == 3
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)


def test_what_has_no_times_is_told_and_the_rest_is_merged(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", LEGS, PLAIN]) == 1
    output = capsys.readouterr()
    assert "[3] C: QUIT" in output.out
    assert output.err.endswith("7832: has no times, so it has no place on a time line\n")


def test_nothing_to_merge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", str(tmp_path)]) == 1
    assert "no recording in it" in capsys.readouterr().err
