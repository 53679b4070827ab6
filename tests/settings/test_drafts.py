"""Services and userdbs: sections of the same name add up."""

from __future__ import annotations

import pytest

from rawlog.settings.configuration import Configuration
from rawlog.settings.loader import loads
from rawlog.settings.services import DEFAULTS, InetListener, Service, UnixListener
from rawlog.settings.userdb import UserdbSection


def service(text: str, name: str) -> Service:
    return loads(text, "f").services[name]


def test_dovecots_services_are_there_without_a_word() -> None:
    assert loads("").services == dict(DEFAULTS)


def test_sections_of_one_service_add_up() -> None:
    text = """\
service imap-login {
  inet_listener imap {
    port = 1143
  }
}
service imap-login {
  executable = imap-login   -R  rawlogs
  inet_listener imap {
    address = 127.0.0.1, ::1
    haproxy = yes
  }
  inet_listener other {
    port = 2143
    ssl = yes
    reuse_port = yes
  }
}
"""
    found = service(text, "imap-login")
    assert found.executable == "imap-login -R rawlogs"
    assert found.inet == (
        InetListener("imap", ("127.0.0.1", "::1"), 1143, haproxy=True),
        InetListener("imaps", port=993, ssl=True),
        InetListener("other", port=2143, ssl=True),
    )
    assert [str(listener.place) for listener in found.inet] == ["f:8", "default:0", "f:12"]


def test_unix_listeners() -> None:
    text = "service lmtp {\n unix_listener lmtp { }\n unix_listener /run/l {\n mode = 0660\n group = mail\n user = me\n"
    text += " }\n}"
    assert service(text, "lmtp").unix == (UnixListener("lmtp", 0o666), UnixListener("/run/l", 0o660, "me", "mail"))


def test_a_rawlog_is_a_service_whatever_its_name() -> None:
    text = "service p {\n executable = script-login -d rawlog -t\n unix_listener q { mode = 0600 }\n}"
    assert service(text, "p") == Service("p", "script-login -d rawlog -t", (), (UnixListener("q"),))
    assert "q" not in loads("service q {\n executable = script-login /bin/x\n unix_listener q { }\n}").services


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "service imap-logn { chroot = }",
            "f:1: service imap-logn without executable means nothing: did you mean imap-login?",
        ),
        (
            "service imap {\n executable = imap postlogin\n}",
            "f:2: no service has the socket postlogin: add unix_listener postlogin { }",
        ),
    ],
)
def test_warnings_about_services(text: str, warning: str) -> None:
    assert loads(text, "f").warnings == (warning,)


def test_a_socket_of_any_service_will_do() -> None:
    text = (
        "service imap { executable = imap x }\nservice x {\n executable = script-login /bin/x\n unix_listener x { }\n}"
    )
    assert loads(text).warnings == ()


def userdbs(text: str) -> tuple[Configuration, tuple[UserdbSection, ...]]:
    configuration = loads(text, "f")
    return configuration, configuration.userdbs


def test_userdbs_keep_their_order() -> None:
    text = (
        "userdb { driver = passwd }\nuserdb second {\n driver = static\n args = home=/h/%u\n default_fields = a=1\n}\n"
    )
    text += "userdb {\n name = third\n driver = prefetch\n auth_verbose = yes\n override_fields = b=2\n}\n"
    configuration, found = userdbs(text)
    assert found == (
        UserdbSection("passwd"),
        UserdbSection("static", "home=/h/%u", "a=1", name="second"),
        UserdbSection("prefetch", override_fields="b=2", name="third"),
    )
    assert configuration.warnings == ()


def test_a_userdb_without_driver_adds_to_the_one_before_it() -> None:
    """The snippet of Dovecot's page on Rawlog stands below the userdb it is about."""
    text = "userdb {\n driver = passwd\n default_fields = a=1\n}\nuserdb {\n default_fields = home=/home/%u\n}\n"
    configuration, found = userdbs(text)
    assert found == (UserdbSection("passwd", "", "a=1 home=/home/%u"),)
    assert configuration.warnings == ("f:5: userdb without driver: added to the userdb at f:1",)


def test_a_userdb_without_driver_alone_is_static() -> None:
    configuration, found = userdbs("userdb {\n default_fields = home=/home/%u\n}\n")
    assert found == (UserdbSection("static", "", "home=/home/%u"),)
    assert configuration.warnings == ("f:1: userdb without driver: taken as driver = static",)
    record = configuration.userdb().lookup("alice")
    assert record is not None
    assert record.home == "/home/alice"


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "userdb {\n driver = ldap\n args = /etc/dovecot/ldap.conf\n}",
            "f:1: userdb driver ldap can't be asked from here: use one of passwd, passwd-file, static, sql, prefetch, "
            "or record inside Dovecot by the post-login service",
        ),
        (
            "userdb {\n driver = static\n result_success = continue\n}",
            "f:3: result_success has no effect: the first userdb that knows the user answers: order them so",
        ),
    ],
)
def test_warnings_about_userdbs(text: str, warning: str) -> None:
    assert loads(text, "f").warnings == (warning,)
