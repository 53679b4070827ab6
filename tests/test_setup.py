"""The set-up scripts behind `make`: what they choose, what they say, and when they leave a machine alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parent / "support"
SH = shutil.which("sh") or "/bin/sh"


class Machine:
    """A machine of stubs: programs that say ``out`` and exit with ``code``; what was called is in ``calls``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "calls").touch()

    def has(self, name: str, out: str = "", code: int = 0) -> None:
        """Put a stub called ``name`` in front of the real programs."""
        stub = self.folder / name
        stub.write_text(
            f'#!{SH}\necho "{name} $*" >>{self.folder}/calls\n[ -z "{out}" ] || echo "{out}"\nexit {code}\n'
        )
        stub.chmod(0o755)

    def run(self, script: str, path: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script of tests/support with the stubs first in PATH, or with ``path`` behind them instead."""
        behind = os.environ["PATH"] if path is None else path
        search = [str(self.folder), *([behind] if behind else [])]
        return subprocess.run(
            [SH, str(SUPPORT / script)],
            env={"PATH": ":".join(search), **environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @property
    def calls(self) -> str:
        return (self.folder / "calls").read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_servers_that_are_there_are_left_alone(machine: Machine) -> None:
    machine.has("apt-get")
    machine.has("dpkg-query", out="installed")
    result = machine.run("install-servers.sh")
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
    assert "apt-get" not in machine.calls


@pytest.mark.parametrize(
    ("environment", "told"),
    [({}, "neither root nor sudo without a password"), ({"SERVERS": "no"}, "not installed, as asked")],
)
def test_servers_are_not_installed_where_that_is_not_allowed(
    machine: Machine, environment: dict[str, str], told: str
) -> None:
    machine.has("apt-get")
    machine.has("dpkg-query", out="not-installed", code=1)
    machine.has("id", out="1000")
    machine.has("sudo", code=1)
    result = machine.run("install-servers.sh", **environment)
    assert (result.returncode, result.stdout, len(result.stderr.splitlines())) == (0, "", 1)
    assert told in result.stderr
    assert "dovecot-core" in result.stderr
    assert "apt-get" not in machine.calls


def test_a_system_without_apt_is_told_so_in_one_line(machine: Machine) -> None:
    result = machine.run("install-servers.sh", path="")
    assert (result.returncode, len(result.stderr.splitlines())) == (0, 1)
    assert "no apt-get" in result.stderr


def test_the_first_python_that_is_new_enough_is_chosen(machine: Machine) -> None:
    machine.has("python3", code=1)
    machine.has("python3.14", code=1)
    machine.has("python3.13")
    machine.has("python3.12")
    result = machine.run("find-python.sh")
    assert (result.returncode, result.stdout) == (0, "python3.13\n")
    assert machine.run("find-python.sh", PYTHON="python3.12").stdout == "python3.12\n"


def test_no_python_that_is_new_enough_is_told_in_one_line(machine: Machine) -> None:
    machine.has("python3", code=1)
    result = machine.run("find-python.sh", path="")
    assert (result.returncode, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert "no Python 3.11 or newer" in result.stderr


def test_a_python_without_venv_is_told_with_what_to_install(machine: Machine) -> None:
    stub = machine.folder / "python3"
    stub.write_text(f'#!{SH}\ncase "$2" in *ensurepip*) exit 1 ;; esac\n')
    stub.chmod(0o755)
    result = machine.run("find-python.sh", path="")
    assert (result.returncode, result.stdout) == (1, "")
    assert "apt-get install python3-venv" in result.stderr
