"""Where a configuration lets recordings be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.recorder.roots import is_own, own_directories, roots, templates
from rawlog.settings.loader import loads
from rawlog.settings.variables import Template


def test_each_directory_once_and_whose_it_is(tmp_path: Path) -> None:
    for name in ("alice", "bob@x"):
        (tmp_path / "users" / name).mkdir(parents=True)
    (tmp_path / "all").mkdir()
    (tmp_path / "users" / "link").symlink_to(tmp_path / "all")
    made = loads(f"rawlog_dir = {tmp_path}/users/%u\nlmtp_rawlog_dir = {tmp_path}/all\n")
    assert dict(roots(made)) == {
        str(tmp_path / "users" / "alice"): True,
        str(tmp_path / "users" / "bob@x"): True,
        str(tmp_path / "all"): False,
    }
    assert len(templates(made)) == 2


def test_homes_by_mail_home_and_a_static_userdb(tmp_path: Path) -> None:
    for name in ("h/alice", "v/x/bob"):
        (tmp_path / name / "rawlog").mkdir(parents=True)
    made = loads(
        f"rawlog_dir = %h/rawlog\nmail_home = {tmp_path}/h/%u\n"
        f"userdb {{\n driver = static\n args = uid=1 gid=1 home={tmp_path}/v/%d/%n\n}}\n"
    )
    assert {path for path, _ in roots(made)} == {str(tmp_path / "h/alice/rawlog"), str(tmp_path / "v/x/bob/rawlog")}


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("/r/%u", True), ("/r/%d/%n", True), ("%h/r", True), ("/r/%{auth_user}", True),
        ("/r", False), ("/r/%n", False), ("/r/%d", False), ("/r/%s", False),
    ],
)  # fmt: skip
def test_whether_each_user_has_one(text: str, own: bool) -> None:
    assert is_own(Template(text)) == own


def test_the_directories_of_one_user() -> None:
    made = loads("rawlog_dir = /r/%u\nlmtp_rawlog_dir = /all\nlogin_proxy_rawlog_dir = %h/p\n")
    values = {"user": "../alice", "home": "/home/alice"}
    assert list(own_directories(made, values)) == ["/r/=2E.=2Falice", "/home/alice/p"]
    assert list(own_directories(made, {"user": "alice", "home": ""})) == ["/r/alice"]
