"""passwd, passwd-file, static: as Dovecot 2.3.19 answered when it was asked."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from rawlog.errors import ConfigError, RawlogError
from rawlog.settings import userdb_drivers
from rawlog.settings.userdb_drivers import PasswdFile, Static, passwd

LINES = """\
# comment
a:x:1000:1000:gecos:/h/a:/bin/sh:userdb_flag userdb_empty= userdb_uid=77 passdb_only=1 userdb_user=renamed
b:x:1000:1000:gecos:/h/b:
d:x:1000:1000
short:x
empty:x::::::
l:x::::/h/l::userdb_gid=5 userdb_uid=6
m:x::::/h/m::userdb_home=
g:x:5000:5000::~/g::userdb_quota=%u userdb_bad=50%
rootuid:x:0:1000::/h
rootgid:x:1000:0::/h
bad:x:10x:::/h
b:x:7:7::/second
crlf:x:1:1::/h/crlf::\r
:x:1:1::/nobody
k@x.org:x:1:1::/h/k::userdb_pw=c:d
"""


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(LINES, newline="")
    return path


@pytest.mark.parametrize(
    ("user", "fields"),
    [
        ("a", {"uid": "77", "gid": "1000", "home": "/h/a", "flag": "", "empty": "", "user": "renamed"}),
        ("b", {"uid": "1000", "gid": "1000", "home": "/h/b"}),
        ("d", {"uid": "1000", "gid": "1000"}),
        ("empty", {}),
        ("l", {"home": "/h/l", "gid": "5", "uid": "6"}),
        ("m", {"home": ""}),
        ("g", {"uid": "5000", "gid": "5000", "home": "~/g", "quota": "g", "bad": "50%"}),
        ("crlf", {"uid": "1", "gid": "1", "home": "/h/crlf"}),
        ("k@x.org", {"uid": "1", "gid": "1", "home": "/h/k", "pw": "c:d"}),
    ],
)
def test_passwd_file(users: Path, user: str, fields: dict[str, str]) -> None:
    found = PasswdFile(str(users))(user)
    assert found == fields
    assert list(found) == list(fields)


@pytest.mark.parametrize("user", ["nosuch", "short", "rootuid", "rootgid", "bad", "", "# comment"])
def test_passwd_file_does_not_know(users: Path, user: str) -> None:
    assert PasswdFile(str(users))(user) is None


def test_passwd_file_by_another_name(users: Path) -> None:
    lookup = PasswdFile(f"scheme=PLAIN username_format=%n {users}")
    assert lookup("b@anywhere") == {"uid": "1000", "gid": "1000", "home": "/h/b"}
    assert lookup("k@x.org") is None


def test_one_passwd_file_for_each_domain(tmp_path: Path) -> None:
    (tmp_path / "a.org").write_text("x@a.org:x:5:5::/h/x\n")
    lookup = PasswdFile(f"{tmp_path}/%d")
    assert lookup("x@a.org") == {"uid": "5", "gid": "5", "home": "/h/x"}
    assert lookup("x@b.org") is None
    assert lookup("x@../a.org") is None


def test_passwd_file_is_read_again_when_it_has_changed(users: Path) -> None:
    lookup = PasswdFile(str(users))
    assert lookup("new") is None
    users.write_text("new:x:5:5::/h/new\n")
    assert lookup("new") == {"uid": "5", "gid": "5", "home": "/h/new"}
    assert lookup("b") is None


def test_passwd_file_that_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RawlogError, match="no such file: create it, or correct args"):
        PasswdFile(f"{tmp_path}/no")("a")
    with pytest.raises(RawlogError, match="make it readable for this user"):
        PasswdFile(str(tmp_path))("a")
    os.mkfifo(tmp_path / "fifo")
    assert PasswdFile(f"{tmp_path}/fifo")("a") is None
    (tmp_path / "large").write_text("a:x:1:1::/h\n")
    monkeypatch.setattr(userdb_drivers, "MAX_FILE", 5)
    with pytest.raises(RawlogError, match="larger than 5 bytes: use driver = sql"):
        PasswdFile(f"{tmp_path}/large")("a")


@pytest.mark.parametrize("args", ["", "users", "username_format=%u", "/a /b", "/a/%q"])
def test_wrong_args_of_passwd_file(args: str) -> None:
    with pytest.raises(ConfigError):
        PasswdFile(args)


def test_static_answers_for_everybody() -> None:
    lookup = Static("allow_all_users=yes uid=5000 gid=5000 home=/home/%d/%n mail=maildir:%h/M")
    assert lookup("zed@dom.org") == {"uid": "5000", "gid": "5000", "home": "/home/dom.org/zed", "mail": "maildir:/M"}
    assert Static("")("anybody") == {}


def test_passwd() -> None:
    entry = pwd.getpwuid(os.getuid())
    found = passwd(entry.pw_name)
    assert found is not None
    assert list(found) == ["system_groups_user", "uid", "gid", "home"]
    assert (found["uid"], found["home"]) == (str(entry.pw_uid), entry.pw_dir)
    assert passwd("nosuchuserhere") is None
    assert passwd("a\0b") is None
