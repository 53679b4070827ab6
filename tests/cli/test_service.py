"""``rawlog-service``: its options, and that it belongs below Dovecot's master."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rawlog.cli import service
from rawlog.events import Direction
from rawlog.settings.options import RawlogOptions
from rawlog.taps.postlogin import PostLoginOptions


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[PostLoginOptions]:
    """What it would serve; and the environment of a child of the master."""
    seen: list[PostLoginOptions] = []
    monkeypatch.setattr(service, "serve_under_master", lambda options, report: seen.append(options))
    monkeypatch.setenv("DOVECOT_CHILD_PROCESS", "1")
    monkeypatch.setenv("GENERATION", "1")
    monkeypatch.delenv("DEBUG", raising=False)
    return seen


def test_options_are_those_of_the_rawlog_binary(served: list[PostLoginOptions]) -> None:
    assert service.main(["-bt", "-I", "-f", "in"]) == 0
    assert served[0].written == RawlogOptions(boundaries=True, stamps=True, address=True, only=Direction.IN)
    assert served[0].trusted == {0, os.geteuid()}
    assert served[0].keep_secrets
    assert not served[0].debug


def test_debug_comes_from_the_environment(served: list[PostLoginOptions], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "1")
    service.main([])
    assert served[0].debug


def test_a_configuration_file_counts(served: list[PostLoginOptions], tmp_path: Path) -> None:
    file = tmp_path / "rawlog.conf"
    file.write_text("rawlog_secrets = redact\n")
    service.main(["-c", str(file), "-t"])
    assert not served[0].keep_secrets
    assert served[0].written == RawlogOptions(stamps=True)


@pytest.mark.parametrize(
    "words",
    [
        ["-x"],
        ["-f", "both"],
        ["-t", "/usr/lib/dovecot/script-login"],
        ["--relay", "slow"],
        ["--relay"],
        ["-t", "-c", "/nowhere/rawlog.conf"],
    ],
)
def test_wrong_options_serve_without_recording(
    served: list[PostLoginOptions], words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert service.main(words) == 0
    assert served[0].written is None
    assert "nothing is recorded: " in capfd.readouterr().err


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
