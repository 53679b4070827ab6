"""``rawlog-service``: its help, and that it belongs below Dovecot's master."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from rawlog.cli import service
from rawlog.taps import postlogin_command
from tests.support.dropin import python_path


def test_below_the_master_it_serves_with_keepers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], object]] = []
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(service, "start_keepers", lambda: ours)
    monkeypatch.setattr(postlogin_command, "run", lambda words, orders: seen.append((words, orders)))
    monkeypatch.setenv("DOVECOT_CHILD_PROCESS", "1")
    monkeypatch.setenv("GENERATION", "1")
    assert service.main(["-t"]) == 0
    assert seen == [(["-t"], ours)]
    ours.close()
    theirs.close()


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


def test_what_the_keepers_carry_along_is_small() -> None:
    code = "import sys, rawlog.cli.service; print(*sorted(sys.modules))"
    asked = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": python_path()}
    )
    loaded = set(asked.stdout.split())
    assert not loaded & {"ssl", "logging", "ctypes", "rawlog.engine.loop", "rawlog.taps.postlogin"}
