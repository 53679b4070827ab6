"""The stub in libexec: the shell script that keeps Python away from users who are not recorded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

STUB = Path(__file__).parents[1] / "src" / "rawlog" / "libexec" / "rawlog"
MARK = "python was started"


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """The stub as pip installs it, with an interpreter that only says that it was started."""
    package = tmp_path / "lib" / "python3.11" / "site-packages" / "rawlog"
    (package / "libexec").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    shutil.copy(STUB, package / "libexec")
    python = tmp_path / "bin" / "python3"
    python.write_text(f'#!/bin/sh\necho "{MARK}"\nfor word in "$@"; do printf "%s|" "$word"; done\n')
    python.chmod(0o755)
    (tmp_path / "home").mkdir()
    return package / "libexec" / "rawlog"


def run(stub: Path, words: Sequence[str], **environment: str) -> str:
    asked = subprocess.run([stub, *words], capture_output=True, text=True, env=environment, timeout=20)
    return asked.stdout + asked.stderr


def home(stub: Path) -> Path:
    return stub.parents[5] / "home"


def test_it_can_be_executed() -> None:
    assert os.access(STUB, os.X_OK)


@pytest.mark.parametrize("options", [[], ["-t"], ["-bt"], ["-b", "-I"], ["-f", "in"], ["-tfout"], ["-t", "--"]])
def test_who_has_no_directory_gets_the_program_at_once(stub: Path, options: list[str]) -> None:
    said = run(stub, [*options, "/usr/bin/printf", "%s|", "-t", "a b", ""], HOME=str(home(stub)))
    assert said == "-t|a b||"


def test_the_environment_is_the_one_it_was_given(stub: Path) -> None:
    given = {"HOME": str(home(stub)), "USER": "alice@example.com", "UID": "5000", "USERDB_KEYS": "UID GID "}
    assert sorted(run(stub, ["-t", "/usr/bin/env"], **given).splitlines()) == sorted(
        f"{k}={v}" for k, v in given.items()
    )


@pytest.mark.parametrize("kind", ["directory", "file", "dangling link"])
def test_whatever_is_there_is_a_matter_for_python(stub: Path, kind: str) -> None:
    place = home(stub) / "dovecot.rawlog"
    if kind == "directory":
        place.mkdir()
    elif kind == "file":
        place.touch()
    else:
        place.symlink_to("nowhere")
    assert MARK in run(stub, ["-t", "/bin/true"], HOME=str(home(stub)))


def test_python_gets_the_place_of_the_package_and_all_words(stub: Path) -> None:
    said = run(stub, ["-t", "-fin", "/bin/prog", "a b"])
    assert f"|{stub.parents[2]}|3|-t|-fin|/bin/prog|a b|" in said
    assert said.startswith(f"{MARK}\n-I|-S|-E|-c|")


def test_a_link_to_it_finds_the_package(stub: Path, tmp_path: Path) -> None:
    link = tmp_path / "short"
    link.symlink_to(stub)
    assert f"|{stub.parents[2]}|2|-t|/bin/prog|" in run(link, ["-t", "/bin/prog"])


@pytest.mark.parametrize("words", [["-x", "/bin/true"], ["-f", "both", "/bin/true"], ["-f"], ["-t"]])
def test_wrong_words_are_a_matter_for_python(stub: Path, words: list[str]) -> None:
    assert MARK in run(stub, words, HOME=str(home(stub)))


def test_without_home_or_with_debug_python_says_why(stub: Path) -> None:
    assert MARK in run(stub, ["/bin/true"])
    assert MARK in run(stub, ["/bin/true"], HOME=str(home(stub)), DEBUG="1")
    assert MARK in run(stub, ["/bin/true"], HOME=str(home(stub) / "nowhere"))
    assert run(stub, ["/bin/true"], HOME="/home", RESTRICT_CHROOT=str(home(stub).parent)) == ""


def test_without_any_python_the_program_runs(stub: Path) -> None:
    (stub.parents[5] / "bin" / "python3").unlink()
    said = run(stub, ["-t", "/bin/echo", "mail"], PATH="/nowhere")
    assert said == f"mail\nrawlog: not recorded: no python3 beside {stub.parents[1]} nor in /nowhere\n"


def test_a_broken_package_costs_no_login(stub: Path) -> None:
    python = stub.parents[5] / "bin" / "python3"
    python.unlink()
    python.symlink_to(sys.executable)
    said = run(stub, ["-t", "-x", "/bin/echo", "mail"])
    assert "rawlog: not recorded: ModuleNotFoundError" in said
    assert "mail\n" in said
