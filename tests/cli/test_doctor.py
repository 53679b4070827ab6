"""``rawlog doctor``, as a person calls it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rawlog.cli import main
from tests.support.backends import FakeServer, ImapScript


def written(tmp_path: Path, port: int, directory: str) -> str:
    me = "root" if os.geteuid() == 0 else "nobody"
    file = tmp_path / "rawlog.conf"
    file.write_text(
        f"ssl = no\nlisten = 127.0.0.1\nrawlog_user = {me}\nrawlog_dir = {directory}\n"
        f"protocol imap {{\n  rawlog_backend = imap://127.0.0.1:{port}\n}}\n"
        "service imap-login {\n  inet_listener imap {\n    port = 21143\n  }\n}\n"
    )
    return str(file)


def test_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeServer(ImapScript()) as server:
        code = main(["doctor", "-c", written(tmp_path, server.port, str(tmp_path))])
    lines = capsys.readouterr().out.splitlines()
    assert code == 0, lines
    assert all(line[:5] in ("ok   ", "warn ") for line in lines)
    assert any("it greets" in line for line in lines)


def test_what_is_wrong_is_told_and_the_exit_code_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeServer(ImapScript()) as server:
        assert main(["doctor", "bob", "-c", written(tmp_path, server.port, f"{tmp_path}/%u")]) == 1
    assert f"fail imap: rawlog_dir: {tmp_path}/bob: no such directory" in capsys.readouterr().out


def test_a_broken_configuration_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rawlog.conf").write_text("rawlog_dirr = /x\n")
    assert main(["doctor", "-c", str(tmp_path / "rawlog.conf")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
