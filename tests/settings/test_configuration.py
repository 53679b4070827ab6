"""What a daemon makes of a configuration: gateways, doors, post-login sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.events import Direction
from rawlog.settings.backend import Backend, Listen
from rawlog.settings.configuration import Configuration, Door, PostloginPlan
from rawlog.settings.loader import loads
from rawlog.settings.options import RawlogOptions

BACKEND = "protocol imap { rawlog_backend = imaps://mail.example.com }\n"


@pytest.fixture
def tls(tmp_path: Path) -> str:
    """Settings that let TLS be served."""
    (tmp_path / "pem").write_text("")
    return f"ssl_cert = <{tmp_path}/pem\nssl_key = <{tmp_path}/pem\n"


def listens(configuration: Configuration) -> list[str]:
    return [str(door.listen) for plan in configuration.gateways() for door in plan.doors]


def test_a_gateway_for_each_protocol_with_a_backend() -> None:
    text = BACKEND + "protocol submission { rawlog_backend = submission://mail.example.com }\nssl = no\n"
    found = loads(text).gateways()
    assert [(plan.protocol, plan.backend) for plan in found] == [
        ("imap", Backend("imap", "mail.example.com", 993, tls="implicit")),
        ("submission", Backend("smtp", "mail.example.com", 587)),
    ]
    assert found[0].settings == loads(text).protocols["imap"]
    assert [plan.protocol for plan in loads(text + "protocols = submission").gateways()] == ["submission"]


def test_default_listeners(tls: str) -> None:
    assert listens(loads(BACKEND + tls)) == ["0.0.0.0:143", "[::]:143", "tls:0.0.0.0:993", "tls:[::]:993"]
    assert listens(loads(BACKEND)) == ["0.0.0.0:143", "[::]:143"]
    assert listens(loads(BACKEND + tls + "ssl = no")) == ["0.0.0.0:143", "[::]:143"]


def test_listeners_of_ones_own(tls: str) -> None:
    text = """\
listen = 127.0.0.1
service imap-login {
  inet_listener imap {
    port = 1143
    haproxy = yes
  }
  inet_listener imaps {
    port = 0
  }
  inet_listener third {
    address = ::1 localhost
    port = 1993
    ssl = yes
  }
  unix_listener imap {
    mode = 0666
    user = me
  }
  unix_listener off {
    mode = 0
  }
}
"""
    (plan,) = loads(BACKEND + tls + text).gateways()
    assert plan.doors == (
        Door(Listen("127.0.0.1", 1143), haproxy=True),
        Door(Listen("::1", 1993, tls=True)),
        Door(Listen("localhost", 1993, tls=True)),
        Door(Listen(unix_path="/run/dovecot/imap"), False, 0o666, "me"),
    )


@pytest.mark.parametrize(
    ("executable", "directory"),
    [
        ("imap-login -R rawlogs", "/run/dovecot/login/rawlogs"),
        ("imap-login -R /var/rawlogs", "/var/rawlogs"),
        ("imap-login", None),
    ],
)
def test_recordings_before_the_login(executable: str, directory: str | None) -> None:
    (plan,) = loads(BACKEND + f"ssl = no\nservice imap-login {{ executable = {executable} }}").gateways()
    assert plan.prelogin_directory == directory


def test_postlogin_sockets() -> None:
    text = """\
base_dir = /var/run/d
service postlogin {
  executable = script-login -d rawlog -t -f in
  unix_listener postlogin {
 }
  unix_listener /tmp/other {
    mode = 0660
    group = mail
  }
}
service none {
  executable = script-login -d rawlog
}
"""
    configuration = loads(text, "f")
    options = RawlogOptions(stamps=True, only=Direction.IN)
    assert configuration.postlogins() == [
        PostloginPlan("postlogin", Door(Listen(unix_path="/var/run/d/postlogin")), options),
        PostloginPlan("postlogin", Door(Listen(unix_path="/tmp/other"), False, 0o660, "", "mail"), options),
    ]
    assert configuration.warnings == ("f:12: service none has no socket: add unix_listener none { }",)


def test_the_userdb_has_the_configured_sources_and_names() -> None:
    configuration = loads("auth_default_realm = x.org\nuserdb {\n driver = static\n args = home=/h/%d/%n\n}")
    record = configuration.userdb().lookup("Alice")
    assert record is not None
    assert (record.user, record.home) == ("alice@x.org", "/h/x.org/alice")
    assert not loads("").userdb().configured
