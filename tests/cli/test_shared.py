"""Options that several commands have."""

from __future__ import annotations

import argparse

import pytest

from rawlog.cli import shared
from rawlog.errors import ConfigError, RawlogError


def parsed(*words: str, nargs: str = "*") -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    shared.add_paths(parser, nargs=nargs)
    shared.add_window(parser)
    shared.add_look(parser)
    return parser.parse_args(words)


def test_without_a_path_the_current_directory_is_meant() -> None:
    assert parsed().paths == ["."]
    assert parsed("a", "b").paths == ["a", "b"]


def test_a_window_is_asked_for_by_moments() -> None:
    window = shared.window_of(parsed("--since", "+1", "--until=-2h"))
    assert window.since is not None and window.since.at(5_000_000) == 6_000_000
    assert window.until is not None
    with pytest.raises(ConfigError, match="'noon' is no moment"):
        shared.window_of(parsed("--since", "noon"))


def test_durations() -> None:
    assert shared.wish_duration("500ms", "--slow") == 500_000
    assert shared.wish_duration(None, "--slow") is None
    with pytest.raises(ConfigError, match="--slow x: no duration"):
        shared.wish_duration("x", "--slow")


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shared.has_colours("always")
    assert not shared.has_colours("never")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert shared.has_colours("auto")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not shared.has_colours("auto")


def test_what_could_not_be_read_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert shared.told([]) == 0
    assert shared.told([RawlogError("a: gone")]) == 1
    assert capsys.readouterr().err == "rawlog: a: gone\n"


def test_a_title_can_not_act_on_the_terminal() -> None:
    assert shared.title("a\x1b[2J\n") == "== a\\x1b[2J\\n"
