"""The doctor's look at directories, as the user who would write there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rawlog.settings.backend import Listen
from rawlog.settings.configuration import Door
from rawlog.settings.loader import loads
from rawlog.settings.userdb import UserRecord
from rawlog.taps.doctor_finding import Finding, Mark
from rawlog.taps.doctor_places import Writer, directories, obstacle, socket_directory, userdb_files
from tests.support.places import shared_directory

NOBODY = Writer(65534, frozenset((65534,)))
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look as another user")


def findings(text: str, user: str | None, record: UserRecord | None = None) -> list[Finding]:
    me = "root" if os.geteuid() == 0 else "nobody"
    configuration = loads(f"rawlog_user = {me}\nprotocol imap {{\n  rawlog_backend = imap://127.0.0.1\n}}\n{text}\n")
    (plan,) = configuration.gateways()
    return list(directories(configuration, plan, user, record))


def bob(home: Path | None = None, **fields: str) -> UserRecord:
    uid = os.geteuid() or 1234
    return UserRecord("bob", uid, uid, str(home) if home else None, {"user": "bob", **fields})


def test_a_directory_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "bob").mkdir()
    (found,) = findings(f"rawlog_dir = {tmp_path}/%u", "bob")
    assert found.mark in (Mark.OK, Mark.WARN)  # a warning where the disk is nearly full
    assert f"{tmp_path}/bob" in found.sentence


def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    (found,) = findings(f"rawlog_dir = {tmp_path}/%u", "bob")
    assert (found.mark, "mkdir" in found.sentence) == (Mark.FAIL, True)


def test_one_that_depends_on_a_user_nobody_named(tmp_path: Path) -> None:
    (found,) = findings(f"rawlog_dir = {tmp_path}/%u", None)
    assert (found.mark, "name one" in found.sentence) == (Mark.WARN, True)


def test_the_users_own_field_wins(tmp_path: Path) -> None:
    (found,) = findings(f"rawlog_dir = {tmp_path}", "bob", bob(rawlog_dir=f"{tmp_path}/own"))
    assert (found.mark, "/own" in found.sentence) == (Mark.FAIL, True)
    first, *_ = findings(f"rawlog_dir = {tmp_path}", "bob", bob(rawlog_dir=""))
    assert (first.mark, "switches it off" in first.sentence) == (Mark.WARN, True)
    (wrong,) = findings("", "bob", bob(rawlog_dir="~/rawlog"))
    assert (wrong.mark, "absolute" in wrong.sentence) == (Mark.FAIL, True)


def test_no_setting_at_all() -> None:
    (found,) = findings("", "bob", bob())
    assert (found.mark, "no setting asks" in found.sentence) == (Mark.WARN, True)


HOME = """\
service imap {
  executable = imap postlogin
}
service postlogin {
  executable = script-login -d rawlog -t
  unix_listener postlogin {
  }
}
"""


def test_dovecot_rawlog_in_the_home(tmp_path: Path) -> None:
    (missing,) = findings(HOME, "bob", bob(tmp_path))
    assert (missing.mark, "dovecot.rawlog: no such directory" in missing.sentence) == (Mark.FAIL, True)
    (tmp_path / "real").mkdir()
    (tmp_path / "dovecot.rawlog").symlink_to(tmp_path / "real")
    (linked,) = findings(HOME, "bob", bob(tmp_path))
    assert (linked.mark, "symbolic link" in linked.sentence) == (Mark.FAIL, True)


def test_who_has_no_home_hears_that_mail_home_does_not_count() -> None:
    (found,) = findings("mail_home = /home/%u\n" + HOME, "bob", bob())
    assert (found.mark, "mail_home does not count" in found.sentence) == (Mark.FAIL, True)
    (nobody,) = findings(HOME, None)
    assert nobody.mark is Mark.WARN


@root_only
def test_what_the_writer_may_not_do_is_seen(tmp_path: Path) -> None:
    for place in (tmp_path, *tmp_path.parents):
        if place.owner() == "root" and place.stat().st_mode & 0o001 == 0:
            place.chmod(place.stat().st_mode | 0o011)
    closed, inner = tmp_path / "closed", tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    assert "not writable by uid 65534" in obstacle(str(inner), NOBODY)
    os.chown(inner, 65534, 65534)
    assert obstacle(str(inner), NOBODY) == ""
    closed.chmod(0o700)
    assert "can't be searched by uid 65534" in obstacle(str(inner), NOBODY)
    os.chown(closed, 0, 65534)
    closed.chmod(0o710)
    assert obstacle(str(inner), NOBODY) == ""


def test_the_directory_of_a_unix_socket(tmp_path: Path) -> None:
    assert list(socket_directory(Door(Listen(unix_path=f"{tmp_path}/lmtp")))) == []
    (found,) = socket_directory(Door(Listen(unix_path=f"{tmp_path}/none/lmtp")))
    assert (found.mark, "make it" in found.sentence) == (Mark.FAIL, True)
    assert list(socket_directory(Door(Listen("127.0.0.1", 1143)))) == []


@root_only
def test_a_userdb_that_the_workers_can_not_read() -> None:
    with shared_directory() as place:
        users = place / "users"
        users.write_text("bob::7:8::/home/bob::\n")
        text = f"rawlog_user = nobody\nuserdb {{\n  driver = passwd-file\n  args = username_format=%u {users}\n}}\n"
        users.chmod(0o644)
        assert list(userdb_files(loads(text))) == []
        users.chmod(0o600)
        (found,) = userdb_files(loads(text))
        assert found == Finding(
            Mark.FAIL, f"userdb: {users} can't be read by uid 65534; let this user, the workers', read it"
        )
        users.unlink()
        (found,) = userdb_files(loads(text))
        assert found.mark is Mark.FAIL
        assert list(userdb_files(loads(text.replace("nobody", "root").replace(str(users), "/etc/%d/users")))) == []


@root_only
def test_workers_without_a_user() -> None:
    configuration = loads(
        "rawlog_user = nope\nrawlog_dir = /x\nprotocol imap {\n  rawlog_backend = imap://127.0.0.1\n}\n"
    )
    (plan,) = configuration.gateways()
    (found,) = directories(configuration, plan, None, None)
    assert found.mark is Mark.FAIL
    assert found.sentence.startswith("rawlog_user nope: no such user; create it")


def test_each_protocol_has_its_own_directories(tmp_path: Path) -> None:
    text = "".join(
        f"{name} = {tmp_path}/{name}\n"
        for name in ("rawlog_dir", "lmtp_rawlog_dir", "lmtp_proxy_rawlog_dir", "submission_relay_rawlog_dir")
    )
    text += "".join(
        f"protocol {name} {{\n  rawlog_backend = {name}://127.0.0.1\n}}\n" for name in ("lmtp", "submission")
    )
    configuration = loads(f"rawlog_user = {'root' if os.geteuid() == 0 else 'nobody'}\n" + text)
    asked = {plan.protocol: list(directories(configuration, plan, None, None)) for plan in configuration.gateways()}
    names = {name: [found.sentence.partition(":")[0] for found in all_found] for name, all_found in asked.items()}
    assert names == {
        "lmtp": ["lmtp_rawlog_dir", "lmtp_proxy_rawlog_dir"],
        "submission": ["rawlog_dir", "submission_relay_rawlog_dir"],
    }
