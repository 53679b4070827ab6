"""What is packaged with Rawlog: the example configuration, the unit and its drop-in, the user, the container file."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rawlog.settings.loader import load, loads
from rawlog.settings.model import PROTOCOLS
from tests.support.certificates import certificates

TOP = Path(__file__).parent.parent
PACKAGING = TOP / "packaging"
EXPOSURE = 20
"""Largest exposure of the unit, in tenths, by systemd-analyze: 2.0 of 10."""


def setting_lines(name: str) -> list[str]:
    """The lines of a unit that are not comments."""
    return [line for line in (PACKAGING / name).read_text().splitlines() if line and not line.startswith(("#", "["))]


def value(name: str, key: str) -> str:
    """The last value of a setting in a unit."""
    found = [line.partition("=")[2] for line in setting_lines(name) if line.partition("=")[0] == key]
    assert found, f"{key} is not in {name}"
    return found[-1]


def test_the_example_is_a_configuration_without_warnings() -> None:
    configuration = load(str(PACKAGING / "rawlog.conf"))
    assert configuration.warnings == ()
    assert {plan.protocol for plan in configuration.gateways()} == set(PROTOCOLS)
    assert all(plan.doors for plan in configuration.gateways())


def test_all_that_can_be_switched_on_in_the_example_can_be_switched_on() -> None:
    text = re.sub(r"^#(?=\S|  [a-z}])", "", (PACKAGING / "rawlog.conf").read_text(), flags=re.MULTILINE)
    pem, ca = certificates().pem("good"), certificates().ca_file
    text = re.sub(r"</etc/rawlog/\w+\.pem", f"<{pem}", text).replace("/etc/rawlog/authorities.pem", str(ca))
    configuration = loads(text)
    assert configuration.warnings == ()
    imap = configuration.protocols["imap"]
    assert (imap.serves_tls, imap.rawlog_prelogin, imap.rawlog_format) == (True, True, "native")
    assert configuration.settings.debug
    assert len(configuration.postlogins()) == 1
    assert configuration.userdb().configured


def test_the_unit_runs_what_the_command_line_knows() -> None:
    assert value("rawlog.service", "ExecStart").split()[1:3] == ["serve", "-c"]
    assert value("rawlog.service", "NoNewPrivileges") == "yes"
    assert value("rawlog.service", "KillMode") == "mixed"  # the master tells its workers


def test_the_user_of_the_unit_is_made_and_is_that_of_the_example() -> None:
    user = value("rawlog.service", "User")
    made = [line.split()[1] for line in (PACKAGING / "rawlog.sysusers").read_text().splitlines() if line[:2] == "u "]
    assert made == [user] == [load(str(PACKAGING / "rawlog.conf")).settings.rawlog_user]


def test_the_unit_gives_the_directories_of_the_example() -> None:
    settings = load(str(PACKAGING / "rawlog.conf")).settings
    assert settings.base_dir == f"/run/{value('rawlog.service', 'RuntimeDirectory')}"
    assert settings.rawlog_dir.startswith(f"/var/lib/{value('rawlog.service', 'StateDirectory')}/")
    # A drop-in that runs as root must not have systemd give the recordings to root.
    assert value("rawlog-homes.conf", "User") == "root"
    assert value("rawlog-homes.conf", "StateDirectory") == ""
    assert "/var/lib/rawlog" in value("rawlog-homes.conf", "ReadWritePaths").split()


def test_the_unit_is_hardened() -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    command = [analyze, "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE}"]
    done = subprocess.run([*command, str(PACKAGING / "rawlog.service")], capture_output=True, text=True, timeout=30)
    if "unrecognized option" in done.stderr or "Unknown operation" in done.stderr:
        pytest.skip("this systemd-analyze can't look at a file")
    assert done.returncode == 0, done.stdout.splitlines()[-1:] + done.stderr.splitlines()[-1:]


def test_the_container_gets_what_it_needs_and_nothing_else() -> None:
    lines = (PACKAGING / "Containerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert all((TOP / name).exists() for name in copied)
    assert "src" in copied
    assert "." not in copied
    assert any(line.startswith("USER") and line.split()[1] != "0" for line in lines)
