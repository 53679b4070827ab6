"""The chain of userdbs; and the same answers as a real Dovecot's."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rawlog.errors import ConfigError, RawlogError
from rawlog.settings.loader import load
from rawlog.settings.model import Settings
from rawlog.settings.userdb import Userdb, UserdbSection, UserRecord, check, layout

if TYPE_CHECKING:
    from tests.support.dovecot import DovecotServer

STATIC = UserdbSection("static", "uid=5000 gid=5000 home=/home/%d/%n")


def userdb(*sections: UserdbSection, **settings: str) -> Userdb:
    return Userdb(sections, Settings(**settings))  # type: ignore[arg-type]


def fields(found: UserRecord | None) -> dict[str, str]:
    assert found is not None
    return dict(found.fields)


@pytest.fixture
def users(tmp_path: Path) -> UserdbSection:
    (tmp_path / "users").write_text("alice@example.com:x:5000:5001::/h/alice\nbob@example.com:x::::\n")
    return UserdbSection("passwd-file", f"{tmp_path}/users")


def test_a_record(users: UserdbSection) -> None:
    found = userdb(users).lookup("alice@example.com")
    assert found == UserRecord(
        "alice@example.com",
        5000,
        5001,
        "/h/alice",
        {"user": "alice@example.com", "uid": "5000", "gid": "5001", "home": "/h/alice"},
    )


def test_what_is_not_returned_is_none(users: UserdbSection) -> None:
    assert userdb(users).lookup("bob@example.com") == UserRecord("bob@example.com", fields={"user": "bob@example.com"})


def test_defaults_fill_and_overrides_win_in_dovecots_order() -> None:
    section = UserdbSection(
        "static", "uid=5000 home=/st/%n x=1", default_fields="home=/def/%u quota=%d/%h", override_fields="x=%n y="
    )
    found = fields(userdb(section).lookup("alice@example.com"))
    assert list(found.items()) == [
        ("user", "alice@example.com"),
        ("home", "/st/alice"),
        ("quota", "example.com/"),
        ("uid", "5000"),
        ("x", "alice"),
        ("y", ""),
    ]


def test_the_first_that_knows_the_user_answers(users: UserdbSection) -> None:
    chain = userdb(users, STATIC)
    assert fields(chain.lookup("alice@example.com"))["home"] == "/h/alice"
    assert fields(chain.lookup("carol@example.com"))["home"] == "/home/example.com/carol"
    assert userdb(users).lookup("carol@example.com") is None


def test_a_userdb_that_can_not_be_asked_hides_no_other() -> None:
    broken = UserdbSection("passwd-file", "/no/such/users")
    assert userdb(broken, STATIC).lookup("alice") is not None
    with pytest.raises(RawlogError, match="/no/such/users: no such file"):
        userdb(broken, UserdbSection("prefetch")).lookup("alice")


@pytest.mark.parametrize(
    ("settings", "asked", "name"),
    [
        ({}, "Alice@Example.COM", "alice@example.com"),
        ({"auth_username_format": "%u"}, "Alice", "Alice"),
        ({"auth_username_format": "%Ln"}, "Alice@x", "alice"),
        ({"auth_username_format": ""}, "Alice", ""),
        ({"auth_default_realm": "x.org"}, "alice", "alice@x.org"),
        ({"auth_default_realm": "x.org"}, "alice@y.org", "alice@y.org"),
        ({}, "a b", ""),
        ({}, "a/b", ""),
        ({}, "ü", ""),
        ({"auth_username_chars": ""}, "ü/b", "ü/b"),
        ({}, "", ""),
    ],
)
def test_a_name_is_made_ready(settings: dict[str, str], asked: str, name: str) -> None:
    assert userdb(STATIC, **settings).ready(asked) == name


def test_a_name_that_is_not_allowed_is_unknown() -> None:
    assert userdb(STATIC).lookup("a/b") is None
    assert userdb(STATIC).lookup("") is None


def test_prefetch_takes_what_the_login_brought() -> None:
    chain = userdb(UserdbSection("prefetch", default_fields="quota=1"), STATIC)
    found = chain.lookup("alice", {"userdb_home": "/h", "userdb_uid": "7", "pass": "x"})
    assert fields(found) == {"user": "alice", "quota": "1", "home": "/h", "uid": "7"}
    assert fields(chain.lookup("alice", {"nodelay": "yes"}))["uid"] == "5000"


def test_names_of_users_become_numbers() -> None:
    own = pwd.getpwuid(os.getuid())
    found = userdb(UserdbSection("static", f"uid={own.pw_name}")).lookup("alice")
    assert found is not None
    assert found.uid == own.pw_uid
    assert found.fields["uid"] == str(own.pw_uid)
    with pytest.raises(RawlogError, match="user alice: 'nosuchuser' is no number and no name this system knows"):
        userdb(UserdbSection("static", "uid=nosuchuser")).lookup("alice")


def test_unsupported_drivers_are_not_asked() -> None:
    assert not userdb(UserdbSection("ldap", "/etc/ldap.conf")).configured
    assert userdb(STATIC).configured


@pytest.mark.parametrize(
    "section",
    [
        UserdbSection("static", "home=/h/%q"),
        UserdbSection("passwd-file", "users"),
        UserdbSection("sql", "sql.conf"),
        UserdbSection("passwd", default_fields="home=/h/%s"),
    ],
)
def test_wrong_sections_are_found_without_a_lookup(section: UserdbSection) -> None:
    with pytest.raises(ConfigError):
        check(section)


def test_layout() -> None:
    record = UserRecord(
        "alice", 1, None, None, {"user": "alice", "quota_rule": "*", "system_groups_user": "x", "e": ""}
    )
    assert layout("Alice", record) == (
        "userdb: Alice\n  user      : alice\n  quota_rule: *\n  system_groups_user: x\n  e         \n"
    )


REAL = """
auth_username_format = %Lu
userdb {
  driver = passwd-file
  args = username_format=%n @DIRECTORY@/more
  default_fields = home=/def/%u/%n/%d/%h/%Lu quota=yes
  override_fields = over=%d
}
userdb {
  driver = passwd
  default_fields = home=/never x=y
}
userdb {
  driver = static
  args = allow_all_users=yes uid=5000 gid=5001 home=/st/%d/%n flag x%u=1 e= up=%Uu pc=%% m=%1Mu us=%{user}
  default_fields = uid=5 zz=1 home=/no
  override_fields = flag=%n
}
"""
MORE = """\
more:x:1000:1000:gecos:/h/more:/bin/sh:userdb_flag userdb_empty= userdb_uid=77 userdb_user=renamed nouserdb=1
nohome:x:1000:1000::::userdb_quota_rule=*:storage=1G
noids:x::::/h/%u::userdb_gid=5 userdb_uid=6
emptyhome:x::::/h/m::userdb_home=
nobody:x:0:0::/root::
baduid:x:10x:1::/h::
extra:x:1:1::/h::userdb_mail=maildir:%h/%n/%d userdb_x=100%%
Upper:x:1:1::/h/upper::
short:x
three:x:
"""
ASKED = """
alice@example.com ALICE@example.com nohome@example.com more nohome noids@x.org emptyhome baduid extra@x.org Upper
short three root root@x.org nobody mail a..b@-x a/b ../x zed Zed@Dom.org x@y@z
"""


@pytest.mark.live
def test_the_answers_of_a_real_dovecot(dovecot_server: Callable[[str], DovecotServer]) -> None:
    server = dovecot_server(REAL)
    (server.directory / "more").write_text(MORE)
    (server.directory / "more").chmod(0o644)
    file = str(server.directory / "dovecot.conf")
    own = load(file).userdb()
    for user in ASKED.split():
        done = subprocess.run(["doveadm", "-c", file, "user", "-u", user], capture_output=True, text=True, timeout=20)
        found = own.lookup(user)
        expected = f"userdb lookup: user {user} doesn't exist\n" if found is None else layout(user, found)
        assert done.stdout == expected
