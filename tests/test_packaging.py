"""What is packaged with Rawlog: the example configuration and the unit."""

from __future__ import annotations

import configparser
from pathlib import Path

from rawlog.settings.loader import load
from rawlog.settings.model import PROTOCOLS

PACKAGING = Path(__file__).parent.parent / "packaging"


def test_the_example_is_a_configuration_without_warnings() -> None:
    configuration = load(str(PACKAGING / "rawlog.conf"))
    assert configuration.warnings == ()
    assert {plan.protocol for plan in configuration.gateways()} == set(PROTOCOLS)


def test_the_unit_runs_what_the_command_line_knows() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(PACKAGING / "rawlog.service")
    assert unit["Service"]["ExecStart"].split()[1:3] == ["serve", "-c"]
    assert unit["Service"]["NoNewPrivileges"] == "yes"
