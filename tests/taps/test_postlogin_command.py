"""The words of ``rawlog-service``: what they mean, and that wrong ones refuse nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rawlog.events import Direction
from rawlog.settings.options import RawlogOptions
from rawlog.taps.postlogin_command import read


@pytest.fixture(autouse=True)
def no_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEBUG", raising=False)


def test_options_are_those_of_the_rawlog_binary() -> None:
    options = read(["-bt", "-I", "-f", "in"])
    assert options.written == RawlogOptions(boundaries=True, stamps=True, address=True, only=Direction.IN)
    assert options.trusted == {0, os.geteuid()}
    assert options.keep_secrets
    assert not options.debug
    assert not options.unbreakable


def test_debug_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "1")
    assert read([]).debug


def test_the_relay_is_chosen_by_a_word() -> None:
    assert read(["--relay", "unbreakable", "-t"]).unbreakable
    assert not read(["-t", "--relay", "fast"]).unbreakable


def test_a_configuration_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "rawlog.conf"
    file.write_text("rawlog_secrets = redact\n")
    options = read(["-c", str(file), "-t"])
    assert not options.keep_secrets
    assert options.written == RawlogOptions(stamps=True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-x"], "option -x is unknown"),
        (["-f", "both"], "write -f in or -f out"),
        (["-t", "/usr/lib/dovecot/script-login"], "/usr/lib/dovecot/script-login: no such option"),
        (["--relay", "slow"], "--relay slow: write fast or unbreakable"),
        (["--relay"], "--relay: a value is missing"),
        (["-t", "-c", "/nowhere/rawlog.conf"], "/nowhere/rawlog.conf"),
    ],
)
def test_wrong_words_serve_without_recording(words: list[str], told: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert read(words).written is None
    said = capfd.readouterr().err
    assert "nothing is recorded: " in said
    assert told in said
