"""``rawlog user``: layout, messages and exit codes of ``doveadm user -u``."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rawlog.cli import main

if TYPE_CHECKING:
    from tests.support.dovecot import DovecotServer

ALICE = """\
userdb: alice@example.com
  user      : alice@example.com
  uid       : 5000
  gid       : 5000
  home      : /home/alice
  quota_rule: *:storage=1G
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "users").write_text(
        "alice@example.com:x:5000:5000::/home/alice::userdb_quota_rule=*:storage=1G\nnohome:x:5000:5000::::\n"
    )
    path = tmp_path / "rawlog.conf"
    path.write_text(f"userdb {{\n  driver = passwd-file\n  args = {tmp_path}/users\n}}\n")
    return str(path)


def test_a_user(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["user", "-u", "alice@example.com", "-c", file]) == 0
    assert capsys.readouterr() == (ALICE, "")


def test_a_user_without_home(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["user", "-c", file, "nohome"]) == 0
    assert capsys.readouterr().out == "userdb: nohome\n  user      : nohome\n  uid       : 5000\n  gid       : 5000\n"


def test_an_unknown_user(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["user", "-u", "nosuch@example.com", "-c", file]) == 67
    assert capsys.readouterr() == ("userdb lookup: user nosuch@example.com doesn't exist\n", "")


def test_several_users(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["user", "-c", file, "-u", "nosuch", "alice@example.com"]) == 67
    assert capsys.readouterr().out == f"userdb lookup: user nosuch doesn't exist\n\n{ALICE}"


def test_a_userdb_that_can_not_be_asked(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(file).with_name("users").unlink()
    assert main(["user", "-u", "alice", "-c", file]) == 75
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: userdb lookup failed for alice: userdb passwd-file ")


def test_no_userdb(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(file).write_text("")
    assert main(["user", "-u", "alice", "-c", file]) == 2
    assert capsys.readouterr().err == (
        f"rawlog: {file}: there is no userdb to ask: add userdb {{ }} with driver = passwd or another\n"
    )


def test_no_user(file: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["user", "-c", file])
    assert ended.value.code == 2


@pytest.mark.live
@pytest.mark.parametrize(
    "users",
    [
        ["alice@example.com"],
        ["nosuch@example.com"],
        ["nosuch", "bob@example.com"],
        ["alice@example.com", "nosuch", "bob@example.com"],
    ],
)
def test_doveadm_says_the_same(dovecot: DovecotServer, capsys: pytest.CaptureFixture[str], users: list[str]) -> None:
    conf = str(dovecot.directory / "dovecot.conf")
    done = subprocess.run(["doveadm", "-c", conf, "user", "-u", *users], capture_output=True, text=True, timeout=20)
    assert main(["user", "-c", conf, "-u", *users]) == done.returncode
    assert capsys.readouterr().out == done.stdout
