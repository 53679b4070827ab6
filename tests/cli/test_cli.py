"""The command line itself: help, version, commands that are none; and that asking for help costs nothing."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from rawlog import __version__
from rawlog.cli import COMMANDS, main
from rawlog.errors import ConfigError, RawlogError
from tests.support.peer import SECONDS
from tests.support.probes import CLOSED, EVERYTHING, READS, Stage, in_a_process, needs_network_rules, own_state

HEAVY = {"ssl", "socket", "logging", "subprocess", "selectors", "asyncio", "threading", "tempfile", "http", "email"}


def rawlog(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "rawlog", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_names_every_command(word: str) -> None:
    done = rawlog(word)
    assert done.returncode == 0
    assert done.stderr == ""
    for command, line in COMMANDS.items():
        assert f"  {command} " in done.stdout
        assert line.split()[0] in done.stdout


def test_the_version() -> None:
    done = rawlog("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"rawlog {__version__}\n", "")


def test_no_command_is_wrong_usage() -> None:
    done = rawlog()
    assert done.returncode == 2
    assert done.stdout == ""
    assert "usage: rawlog" in done.stderr


@pytest.mark.parametrize("words", [("nonsense",), ("--nonsense",), ("Tap",), ("tapp", "--help")])
def test_what_is_no_command_is_told_in_one_line(words: tuple[str, ...]) -> None:
    done = rawlog(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("rawlog: ")
    assert words[0] in line
    assert line.endswith("see rawlog --help")


@pytest.mark.parametrize("words", [["--help"], ["--version"], []])
def test_asking_for_help_loads_nothing_heavy(words: list[str]) -> None:
    code = (
        "import contextlib, io, json, sys; before = set(sys.modules); from rawlog.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n"
        f"    with contextlib.suppress(SystemExit): main({words!r})\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    assert {name for name in loaded if name.startswith("rawlog")} <= {
        "rawlog",
        "rawlog.cli",
        "rawlog.cli.parser",
        "rawlog.errors",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_module_with_help_and_examples(command: str) -> None:
    assert importlib.util.find_spec(f"rawlog.cli.{command}") is not None, f"there is no rawlog/cli/{command}.py"
    done = rawlog(command, "--help")
    assert done.returncode == 0
    assert f"usage: rawlog {command} " in done.stdout
    examples = done.stdout.partition("\nExamples:\n")[2]
    assert f"  rawlog {command}" in examples


@pytest.mark.parametrize(("error", "code"), [(RawlogError("it is broken"), 1), (ConfigError("x: what; do this"), 2)])
def test_an_error_is_one_line_and_an_exit_code(
    error: RawlogError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(options: object) -> int:
        raise error

    monkeypatch.setattr("rawlog.cli.tap.run", fail)
    assert main(["tap", "imap://h", "--listen", "127.0.0.1:0"]) == code
    assert capsys.readouterr() == ("", f"rawlog: {error}\n")


def test_an_interrupt_is_no_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("rawlog.cli.tap.run", interrupted)
    assert main(["tap", "imap://h", "--listen", "127.0.0.1:0"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-P", "-m", "rawlog", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(SECONDS) in (0, 120)
        assert b"Traceback" not in process.stderr.read()


@needs_network_rules
@pytest.mark.parametrize("command", ["show", "search", "stats"])
def test_who_only_reads_recordings_can_change_nothing(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, found = Stage(tmp_path), list[object]()

    def mad(options: object) -> int:
        found.extend([stage.tried(EVERYTHING), own_state()])
        return 0

    def life() -> list[object]:
        monkeypatch.setattr(f"rawlog.cli.{command}.run", mad)
        monkeypatch.setattr(sys, "argv", ["rawlog", command, "x"])
        main()
        return found

    assert in_a_process(life) == repr([list(READS), CLOSED])


def test_a_command_in_a_program_leaves_the_program_as_it_is(tmp_path: Path) -> None:
    def life() -> list[str]:
        main(["show", str(tmp_path)])
        return Stage(tmp_path).tried(["make a file elsewhere"])

    assert in_a_process(life) == "['make a file elsewhere']"
