"""The parser: one line for what is wrong; what the commands bring is shown in test_cli.py."""

from __future__ import annotations

import pytest

from rawlog.cli import COMMANDS
from rawlog.cli.parser import READERS, run


def test_who_only_reads_is_a_command() -> None:
    assert set(COMMANDS) >= READERS


def test_a_wrong_word_is_one_line_and_says_where_help_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["tapp"], COMMANDS, own_process=False)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rawlog: ")
    assert line.endswith("see rawlog --help")


def test_without_a_command_the_help_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([], {"tap": "record"}, own_process=False) == 2
    assert "tap" in capsys.readouterr().err
