"""``rawlog conf``: what it prints, and what a bad file is answered with."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from rawlog.cli import main

GOOD = """\
protocol imap {
  rawlog_backend = imaps://mail.example.com
  rawlog_dir = /var/lib/rawlog/%u
}
ssl = no
mail_location = maildir:~/Maildir
"""
CHANGED = """\
ssl = no
protocol imap {
  rawlog_backend = imaps://mail.example.com:993
  rawlog_dir = /var/lib/rawlog/%u
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rawlog.conf"
    path.write_text(GOOD)
    return path


def test_what_was_changed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conf", "-n", "-c", str(file)]) == 0
    assert capsys.readouterr() == (CHANGED, "")


def test_everything(file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["conf", "-c", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "rawlog_keep = 1 weeks\n" in printed
    assert "mail_location" not in printed
    (tmp_path / "again.conf").write_text(printed)
    assert main(["conf", "-c", str(tmp_path / "again.conf")]) == 0
    assert capsys.readouterr() == (printed, "")


def test_explained(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conf", "-v", "-n", "-c", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "# TLS for clients; required: no login without.\nssl = no\n" in printed
    assert f"mean nothing here:\n#   mail_location ({file}:6)\n" in printed


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(GOOD.encode())))
    assert main(["conf", "-n", "-c", "-"]) == 0
    assert capsys.readouterr().out == CHANGED


def test_warnings_go_to_standard_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("protocol lmtp {\n  rawlog_dir = /x\n}\n")
    assert main(["conf", "-n", "-c", str(file)]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"rawlog: {file}:2: rawlog_dir has no effect in protocol lmtp: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nrawlog_dirr = /x\n", ":2: unknown setting 'rawlog_dirr': did you mean rawlog_dir?"),
        ("service imap {\n", ":1: '}' is missing: the section 'service imap {' that starts here is never closed"),
        ("rawlog_dir = ~/x\n", ":1: rawlog_dir: '~/x': not an absolute path; begin it with / or with %h/ "),
    ],
)
def test_a_bad_file(file: Path, capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    file.write_text(text)
    assert main(["conf", "-c", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"rawlog: {file}{message}")
    assert err.count("\n") == 1


def test_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conf", "-c", "/no/such.conf"]) == 2
    assert capsys.readouterr().err == (
        "rawlog: /no/such.conf: No such file or directory: give a configuration that can be read: -c FILE\n"
    )
