"""The reference of the command line says what the commands say, and they all say enough."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from rawlog.cli import COMMANDS, main

DOCS = Path(__file__).parent.parent / "docs"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cli_reference", DOCS / "cli_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date() -> None:
    assert (DOCS / "cli.md").read_text("utf-8") == script().reference(), "run: python docs/cli_reference.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_what_it_does_and_gives_examples(name: str) -> None:
    module = importlib.import_module(f"rawlog.cli.{name}")
    assert module.DESCRIPTION.strip()
    assert f"rawlog {name}" in module.EXAMPLES
    assert all(line.startswith("  ") for line in module.EXAMPLES.splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert "Examples:" in capsys.readouterr().out


def test_a_command_that_changes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from rawlog.cli import show

    before = script().reference()
    monkeypatch.setattr(show, "DESCRIPTION", "Something else.\n")
    assert script().reference() != before
