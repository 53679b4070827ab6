"""``rawlog-service``: its help, and that it belongs below Dovecot's master."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rawlog.cli import service
from rawlog.taps import postlogin_command
from tests.support.dropin import python_path

TELL = (
    "import json; from rawlog.taps import postlogin_command as c; "
    "c.run = lambda words: print(json.dumps([words, sys.flags.no_site, sys.path, sorted(sys.modules)]))"
)


@pytest.fixture
def below_a_master(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOVECOT_CHILD_PROCESS", "1")
    monkeypatch.setenv("GENERATION", "1")


@pytest.mark.usefixtures("below_a_master")
def test_below_the_master_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(postlogin_command, "run", seen.append)
    assert service.main(["-t"]) == 0
    assert seen == [["-t"]]


@pytest.mark.usefixtures("below_a_master")
def test_it_serves_in_a_python_without_site(tmp_path: Path) -> None:
    """Everything that the first one could load the second one can, and nothing is loaded but what it needs."""
    code = (
        "from rawlog.cli import service\n"
        f"service._AGAIN = service._AGAIN.replace('import main', {f'import main; {TELL}'!r})\n"
        "service.main()"
    )
    (tmp_path / "sitecustomize.py").write_text("import argparse\n")
    place = f"{python_path()}:{tmp_path}"
    asked = [sys.executable, "-c", code, "-t"]
    done = subprocess.run(asked, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": place})
    words, no_site, path, loaded = json.loads(done.stdout)
    assert (words, no_site) == (["-t"], 1)
    assert {python_path(), str(tmp_path)} <= set(path)
    assert not set(loaded) & {"argparse", "site", "sitecustomize", "ssl", "socket", "logging", "pathlib"}


def test_without_a_master_it_says_where_it_belongs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DOVECOT_CHILD_PROCESS", raising=False)
    assert service.main(["-t"]) == 2
    assert "Dovecot's master has to start it" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert service.main([word]) == 0
    assert "executable = PATH/rawlog-service -t" in capsys.readouterr().out
