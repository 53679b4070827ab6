"""Which names there are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rawlog.settings import names


@pytest.mark.parametrize(
    ("section", "name", "known"),
    [
        ("", "rawlog_dir", True),
        ("", "rawlog_backend", True),
        ("", "mail_location", True),
        ("", "ssl_protocols", True),
        ("", "rawlog_dirr", False),
        ("", "service", False),
        ("", "executable", False),
        ("service", "executable", True),
        ("service", "rawlog_dir", False),
        ("service/inet_listener", "port", True),
        ("service/inet_listener", "mode", False),
        ("plugin", "anything", True),
        ("dict", "anything", True),
    ],
)
def test_settings(section: str, name: str, known: bool) -> None:
    assert names.is_setting(section, name) is known


@pytest.mark.parametrize(
    ("section", "kind", "known"),
    [
        ("", "service", True),
        ("", "protocol", True),
        ("", "plugin", True),
        ("", "mailbox", False),
        ("", "rawlog_dir", False),
        ("namespace", "mailbox", True),
        ("service", "unix_listener", True),
        ("service/unix_listener", "unix_listener", False),
        ("plugin", "service", False),
    ],
)
def test_sections(section: str, kind: str, known: bool) -> None:
    assert names.is_section(section, kind) is known


@pytest.mark.parametrize(
    ("name", "section", "hint"),
    [
        ("rawlog_dirr", "", "did you mean rawlog_dir?"),
        ("mail_locaton", "", "did you mean mail_location?"),
        ("prot", "service/inet_listener", "did you mean port?"),
        ("xyzzy", "service/unix_listener", "there are group, mode, user"),
        ("xyzzy", "", "remove it, or correct its name"),
    ],
)
def test_hints(name: str, section: str, hint: str) -> None:
    assert names.nearest(name, names.settings_in(section)) == hint


def test_services() -> None:
    assert {"imap-login", "managesieve", "auth-worker"} <= names.dovecot_services()
    assert not any(" " in name for name in names.dovecot_names() | names.dovecot_services())


@pytest.mark.live
def test_every_name_of_a_real_dovecot_is_known(tmp_path: Path) -> None:
    if shutil.which("doveconf") is None:
        pytest.skip("doveconf is not installed")
    (tmp_path / "x.conf").write_text("ssl = no\nmetric m {\n}\nevent_exporter e {\n  transport = log\n}\n")
    done = subprocess.run(["doveconf", "-a", "-c", tmp_path / "x.conf"], capture_output=True, text=True, timeout=20)
    sections: list[str] = []
    seen = 0
    for line in map(str.strip, done.stdout.splitlines()):
        opened = re.fullmatch(r"(\w+)( [^=]*)? \{", line)
        if opened:
            assert names.is_section("/".join(sections), opened[1]) or sections, line
            sections.append(opened[1])
        elif line == "}":
            sections.pop()
        elif "=" in line and not line.startswith("#"):
            assert names.is_setting("/".join(sections), line.partition("=")[0].strip()), line
            seen += 1
    if not seen:
        pytest.skip("doveconf -a gave no settings")
    assert seen > 300
