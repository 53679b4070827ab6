"""``rawlog serve`` as the post-login service of a real Dovecot, which asks it at a socket instead of starting one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.dovecot import DovecotServer
from tests.support.golden import normal
from tests.support.postlogin import imap_login, pairs, pop3_login, recording_on, wait_until
from tests.support.serving import Serving

pytestmark = pytest.mark.live

ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@example.com"
ASKS = "".join(f"service {name} {{\n  executable = {name} @DIRECTORY@/postlogin\n}}\n" for name in ("imap", "pop3"))
SERVICE = """
base_dir = @SERVER@
service postlogin {
  executable = script-login -d rawlog -t
  unix_listener postlogin {
  }
}
"""


@pytest.fixture(scope="module")
def server(dovecot_installed: None) -> Iterator[DovecotServer]:
    """A Dovecot whose imap and pop3 ask a socket that somebody else makes."""
    with DovecotServer(ASKS) as server:
        users = server.directory / "users"  # before anybody logs in: Dovecot remembers what it read for a while
        field = f"userdb_rawlog_postlogin_dir={server.directory}/by-field"
        lines = users.read_text().splitlines()
        users.write_text("".join(f"{line}{field if line.startswith(CAROL) else ''}\n" for line in lines))
        yield server


def test_dovecot_asks_the_daemon(server: DovecotServer) -> None:
    place = recording_on(server, ALICE)
    none = dict.fromkeys(("imap", "pop3", "submission", "lmtp", "sieve"))
    with Serving(server, SERVICE, backends=none):
        with imap_login(server, ALICE) as client:
            client.say(b"a2 NOOP\r\n")
            client.say(b"a3 LOGOUT\r\n")
            client.to_the_end()
        with pop3_login(server, ALICE) as client:
            client.say(b"STAT\r\n", b"+OK")
            client.say(b"QUIT\r\n", b"+OK")
            client.to_the_end()
        with imap_login(server, BOB) as client:
            client.say(b"a2 NOOP\r\n")
        wait_until(lambda: sum(out.endswith((b"secs).\r\n", b"Logging out.\r\n")) for _, out in pairs(place)) == 2)
        ours = [[normal(half) for half in pair] for pair in pairs(place)]
    theirs = [[normal(half) for half in pair] for pair in server.rawlogs(ALICE)]
    assert sorted(ours) == sorted(theirs)


def test_a_directory_of_the_configuration_and_one_of_the_userdb(server: DovecotServer) -> None:
    by_setting, by_field = server.directory / "by-setting", server.directory / "by-field"
    home = recording_on(server, CAROL)
    for place, user in ((by_setting / BOB, BOB), (by_setting / CAROL, CAROL), (by_field, CAROL)):
        place.mkdir(parents=True)
        os.chown(place, server.home(user).stat().st_uid, server.home(user).stat().st_gid)
    settings = f"rawlog_dir = {by_setting}/%u\n{SERVICE}"
    with Serving(server, settings, backends=dict.fromkeys(("imap", "pop3", "submission", "lmtp", "sieve"))):
        for user in (BOB, CAROL):
            with imap_login(server, user) as client:
                client.say(b"a2 NOOP\r\n")
                client.say(b"a3 LOGOUT\r\n")
                client.to_the_end()
        for place in (by_setting / BOB, by_field):
            wait_until(lambda place=place: [out[-8:] for _, out in pairs(place)] == [b"secs).\r\n"])  # type: ignore[misc]
    assert not any((by_setting / CAROL).iterdir())
    assert not any(home.iterdir())
