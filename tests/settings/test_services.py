"""Services and what their executables say."""

from __future__ import annotations

import pytest

from rawlog.errors import ConfigError
from rawlog.events import Direction
from rawlog.settings.options import RawlogOptions
from rawlog.settings.services import DEFAULTS, GATEWAYS, Service, rawlog_command


@pytest.mark.parametrize(
    ("executable", "options", "rest"),
    [
        ("script-login -d rawlog", RawlogOptions(), []),
        ("script-login -d rawlog -t", RawlogOptions(stamps=True), []),
        ("script-login rawlog -b -f in", RawlogOptions(boundaries=True, only=Direction.IN), []),
        ("/usr/lib/dovecot/script-login -d /usr/lib/dovecot/rawlog -I", RawlogOptions(address=True), []),
        ("rawlog -t", RawlogOptions(stamps=True), []),
        ("/usr/bin/rawlog-service -t -c /etc/rawlog/rawlog.conf -b", RawlogOptions(True, True), []),
        ("/usr/bin/rawlog-service --relay unbreakable -t", RawlogOptions(stamps=True), []),
        ("rawlog-service -b --relay fast -c rawlog.conf -t", RawlogOptions(True, True), []),
        (
            "script-login -d rawlog -t /usr/local/bin/notify x",
            RawlogOptions(stamps=True),
            ["/usr/local/bin/notify", "x"],
        ),
    ],
)
def test_a_rawlog(executable: str, options: RawlogOptions, rest: list[str]) -> None:
    assert rawlog_command(executable) == (options, rest)


@pytest.mark.parametrize("executable", ["", "imap", "script-login", "script-login -d", "script-login /x/lastlogin.sh"])
def test_no_rawlog(executable: str) -> None:
    assert rawlog_command(executable) is None


def test_a_rawlog_with_wrong_options() -> None:
    with pytest.raises(ConfigError, match="option -x is unknown"):
        rawlog_command("script-login -d rawlog -x")


@pytest.mark.parametrize(
    ("name", "executable", "socket"),
    [
        ("imap", "imap postlogin", "postlogin"),
        ("pop3", "pop3 /run/other", "/run/other"),
        ("imap", "imap", None),
        ("imap", "imap -D", None),
        ("imap-login", "imap-login x", None),
    ],
)
def test_the_socket_asked_after_the_login(name: str, executable: str, socket: str | None) -> None:
    assert Service(name, executable).postlogin_socket == socket


@pytest.mark.parametrize(
    ("name", "executable", "directory"),
    [
        ("imap-login", "imap-login -R rawlogs", "rawlogs"),
        ("pop3-login", "pop3-login -D -R /x", "/x"),
        ("imap-login", "imap-login -R", None),
        ("imap-login", "imap-login", None),
        ("imap", "imap -R rawlogs", None),
    ],
)
def test_the_directory_before_the_login(name: str, executable: str, directory: str | None) -> None:
    assert Service(name, executable).prelogin_directory == directory


def test_every_gateway_has_its_service() -> None:
    assert set(GATEWAYS) <= set(DEFAULTS)
    ports = {listener.port: listener.ssl for service in DEFAULTS.values() for listener in service.inet}
    assert ports == {143: False, 993: True, 110: False, 995: True, 4190: False, 587: False}
