"""The drop-in command behind the login of a real Dovecot, beside Dovecot's own rawlog in the same login."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.dovecot import DovecotServer
from tests.support.golden import normal
from tests.support.postlogin import (
    configuration,
    imap_login,
    install,
    pairs,
    pop3_login,
    recording_on,
    wait_until,
)

pytestmark = pytest.mark.live

OURS = "@DIRECTORY@/opt/lib/python3/site-packages/rawlog/libexec/rawlog"
DOVECOT = "/usr/lib/dovecot/rawlog"
ALICE, BOB, NOHOME = "alice@example.com", "bob@example.com", "nohome@example.com"


@pytest.fixture(scope="module")
def server(dovecot_installed: None) -> Iterator[DovecotServer]:
    """Ours around Dovecot's: ours sees the client's side, and has the address in its names."""
    server = DovecotServer(configuration(f"script-login -d {OURS} -I -t {DOVECOT} -t"))
    install(server.directory)
    with server:
        recording_on(server, ALICE)
        yield server


def place(server: DovecotServer) -> Path:
    return server.home(ALICE) / "dovecot.rawlog"


def both(server: DovecotServer) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """Ours and Dovecot's recording of the last login, complete."""

    def look() -> list[tuple[bytes, bytes]]:
        ours, theirs = pairs(place(server), "127.0.0.1-"), pairs(place(server), "2")
        complete = ours and theirs and theirs[-1][0] and [*map(len, ours[-1])] == [*map(len, theirs[-1])]
        return [ours[-1], theirs[-1]] if complete else []

    ours, theirs = wait_until(look)
    return ours, theirs


@pytest.fixture
def empty(server: DovecotServer) -> Iterator[None]:
    """No recordings of other tests."""
    yield
    for path in place(server).iterdir():
        path.unlink()


@pytest.fixture
def trust(server: DovecotServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.ca_file))


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_imap_conversation_is_recorded_as_dovecot_records_it(
    server: DovecotServer, trust: ssl.SSLContext, tls: bool
) -> None:
    with imap_login(server, ALICE, trust if tls else None) as client:
        client.say(b"a2 NOOP\r\n")
        for piece in (b"a3 ", b"NO"):
            client.socket.sendall(piece)
        client.say(b"OP\r\n", b"a3 ")
        client.say(b"a4 APPEND INBOX {19+}\r\nSubject: n\r\n\r\nA\0B\xffC\r\n")
        client.say(b"a5 SELECT INBOX\r\n")
        client.say(b"a6 FETCH 1:* BODY[]\r\n")
        client.say(b"a7 LOGOUT\r\n")
        assert client.to_the_end() == b""
    ours, theirs = both(server)
    assert [normal(data) for data in ours] == [normal(data) for data in theirs]
    assert normal(ours[0]).startswith(b"TS a2 NOOP\r\nTS a3 NOOP\r\nTS a4 APPEND INBOX {19+}\r\n")


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_pop3_conversation_is_recorded_as_dovecot_records_it(
    server: DovecotServer, trust: ssl.SSLContext, tls: bool
) -> None:
    with pop3_login(server, ALICE, trust if tls else None) as client:
        client.say(b"STAT\r\n", b"+OK")
        client.say(b"UIDL\r\n", b".\r\n")
        client.say(b"QUIT\r\n", b"+OK")
        assert client.to_the_end() == b""
    ours, theirs = both(server)
    assert [normal(data) for data in ours] == [normal(data) for data in theirs]
    assert normal(ours[0]) == b"TS STAT\r\nTS UIDL\r\nTS QUIT\r\n"


def test_users_without_the_directory_are_not_recorded(server: DovecotServer) -> None:
    with imap_login(server, BOB) as client:
        client.say(b"a2 NOOP\r\n")
    assert list(server.home(BOB).glob("dovecot.rawlog*")) == []


def test_who_has_no_home_is_never_recorded_in_base_dir(server: DovecotServer) -> None:
    trap = server.base_dir / "dovecot.rawlog"
    trap.mkdir()
    trap.chmod(0o777)
    with imap_login(server, NOHOME) as client:
        client.say(b"a2 NOOP\r\n")
    wait_until(lambda: "rawlog(nohome@example.com): not recorded: no home directory" in server.log())
    assert list(trap.glob("127.0.0.1-*")) == []


def test_wrong_options_cost_no_login(dovecot_server: Callable[[str], DovecotServer]) -> None:
    server = DovecotServer(configuration(f"script-login -d {OURS} -x -t"))
    install(server.directory)
    with server:
        recording_on(server, ALICE)
        with imap_login(server, ALICE) as client:
            client.say(b"a2 NOOP\r\n")
        wait_until(lambda: "not recorded: -x: no such option" in server.log())
        assert pairs(place(server)) == []


def test_it_may_be_followed_by_another_script(dovecot_installed: None) -> None:
    server = DovecotServer(configuration(f"script-login -d {OURS} -t @DIRECTORY@/other.sh"))
    install(server.directory)
    other = server.directory / "other.sh"
    other.write_text(
        "#!/bin/sh\n"
        f"export RAWLOG_DIR={server.directory}/elsewhere\n"
        'export USERDB_KEYS="$USERDB_KEYS rawlog_dir"\n'
        'exec "$@"\n'
    )
    other.chmod(0o755)
    elsewhere = server.directory / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    with server:
        recording_on(server, ALICE)
        with imap_login(server, ALICE) as client:
            client.say(b"a2 LOGOUT\r\n")
        wait_until(lambda: pairs(place(server)) and pairs(place(server))[-1][0])
        ours, theirs = pairs(place(server))[-1], pairs(elsewhere)[-1]
        assert [normal(data) for data in ours] == [normal(data) for data in theirs]


def test_it_hands_over_to_a_service_that_runs(dovecot_installed: None) -> None:
    """The userdb says where: its field rawlog_socket becomes RAWLOG_SOCKET in the environment."""
    relay = "service rawlog {\n  executable = @DIRECTORY@/opt/bin/rawlog-service\n"
    relay += "  unix_listener rawlog {\n    mode = 0666\n  }\n}\n"
    server = DovecotServer(configuration(f"script-login -d {OURS} -t") + relay)
    install(server.directory)
    with server:
        users = server.directory / "users"
        lines = users.read_text().splitlines()
        users.write_text(
            "".join(
                f"{line}userdb_rawlog_socket={server.base_dir}/rawlog\n" if line.startswith(ALICE) else f"{line}\n"
                for line in lines
            )
        )
        recording_on(server, ALICE)
        with imap_login(server, ALICE) as client:
            client.say(b"a2 NOOP\r\n")
            asked = subprocess.run(["pgrep", "-fa", f"{server.directory}/opt/lib"], capture_output=True, text=True)
            assert [line for line in asked.stdout.splitlines() if " rawlog-service" not in line] == []  # nobody else
            client.say(b"a3 LOGOUT\r\n")
        wait_until(lambda: pairs(place(server)) and pairs(place(server))[-1][0].endswith(b"LOGOUT\r\n"))
        assert normal(pairs(place(server))[-1][0]) == b"TS a2 NOOP\r\nTS a3 LOGOUT\r\n"
