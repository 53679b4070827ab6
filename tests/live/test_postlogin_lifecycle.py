"""The post-login service below the master of a real Dovecot: kills, stops, reloads, hibernation."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.dovecot import DovecotServer
from tests.support.golden import normal
from tests.support.postlogin import imap_login, pairs, recording_on, wait_until
from tests.support.postlogin_service import ALICE, BOB, children, last, place, service_pids, starting

pytestmark = pytest.mark.live


@pytest.fixture
def start(dovecot_installed: None) -> Iterator[Callable[..., DovecotServer]]:
    """Starts a Dovecot with the service: ``start(options, more, service)``; alice is recorded."""
    with starting() as start:
        yield start


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_after_the_end_of_the_service_the_next_login_is_recorded(
    start: Callable[..., DovecotServer], signal_number: int
) -> None:
    server = start()
    first = imap_login(server, ALICE)
    first.say(b"a2 NOOP\r\n")
    (pid,) = service_pids(server)
    os.kill(pid, signal_number)
    with imap_login(server, ALICE) as second:
        second.say(b"a3 NOOP\r\n")
        if signal_number == signal.SIGTERM:  # what is relayed goes on
            first.say(b"a4 LOGOUT\r\n")
        first.close()
        assert pid not in service_pids(server) or signal_number == signal.SIGTERM
    wait_until(lambda: any(b"a3 NOOP" in in_ for in_, _ in pairs(place(server))))
    wait_until(lambda: pid not in service_pids(server))


def test_a_file_system_that_hangs_costs_no_login(start: Callable[..., DovecotServer]) -> None:
    """Keepers that are stopped look like keepers that wait in the kernel."""
    server = start()
    with imap_login(server, ALICE) as client:
        client.say(b"a2 NOOP\r\n")
    (pid,) = service_pids(server)
    (parent,) = children(pid)
    keepers = [parent, *children(parent)]  # with the parent, or one more would come and do their work
    for keeper in keepers:
        os.kill(keeper, signal.SIGSTOP)
    try:
        with imap_login(server, ALICE) as client:
            client.say(b"a3 NOOP\r\n")
        wait_until(lambda: "did not answer within 2 s" in server.log())
    finally:
        for keeper in keepers:
            os.kill(keeper, signal.SIGCONT)
    recording_on(server, BOB)
    with imap_login(server, BOB) as client:
        client.say(b"a4 LOGOUT\r\n")
    wait_until(lambda: pairs(server.home(BOB) / "dovecot.rawlog"))
    assert not any(b"a3 NOOP" in in_ for in_, _ in pairs(place(server)))


def test_when_the_only_keeper_hangs_another_one_serves_the_login(start: Callable[..., DovecotServer]) -> None:
    server = start()
    with imap_login(server, ALICE) as client:
        client.say(b"a2 NOOP\r\n")
    (parent,) = children(service_pids(server)[0])
    (keeper,) = children(parent)
    os.kill(keeper, signal.SIGSTOP)
    try:
        with imap_login(server, ALICE) as client:
            client.say(b"a3 NOOP\r\n")
        wait_until(lambda: any(b"a3 NOOP" in in_ for in_, _ in pairs(place(server))))
        assert len(children(parent)) == 2
    finally:
        os.kill(keeper, signal.SIGCONT)


def test_hundreds_of_logins_while_the_service_is_killed(start: Callable[..., DovecotServer]) -> None:
    """The 2,000 of them: ``python benchmarks/postlogin.py soak``."""
    server = start()
    for number in range(200):
        if number % 10 == 9:
            for pid in service_pids(server):
                os.kill(pid, signal.SIGKILL)
        with imap_login(server, ALICE) as client:
            client.say(b"a2 LOGOUT\r\n")
    assert server.log().count("killed with signal 9") == 20
    wait_until(lambda: sum(in_.endswith(b"a2 LOGOUT\r\n") for in_, _ in pairs(place(server))) >= 180)


def test_killed_within_200_ms_nothing_older_is_lost(start: Callable[..., DovecotServer]) -> None:
    server = start()
    with imap_login(server, ALICE) as client:
        client.say(b"a2 NOOP\r\n")
        wait_until(lambda: any(b"a2 NOOP" in in_ for in_, _ in pairs(place(server))))
        (pid,) = service_pids(server)
        os.kill(pid, signal.SIGKILL)
    (pair,) = pairs(place(server))
    assert normal(pair[0]) == b"TS a2 NOOP\r\n"
    assert normal(pair[1]).endswith(b"secs).\r\n")


def test_a_reload_ends_no_conversation(start: Callable[..., DovecotServer]) -> None:
    server = start()
    with imap_login(server, ALICE) as client:
        client.say(b"a2 NOOP\r\n")
        (old,) = service_pids(server)
        os.kill(server.pid, signal.SIGHUP)
        wait_until(lambda: "SIGHUP received" in server.log())
        with imap_login(server, ALICE) as other:
            other.say(b"b2 NOOP\r\n")
            assert service_pids(server) != [old]
            client.say(b"a3 LOGOUT\r\n")
    wait_until(lambda: any(in_.endswith(b"a3 LOGOUT\r\n") for in_, _ in pairs(place(server))))
    wait_until(lambda: old not in service_pids(server))
    assert "SIGINT" not in server.log()


def test_an_idle_service_ends_when_the_master_wants_it(start: Callable[..., DovecotServer]) -> None:
    server = start(service="  idle_kill = 1s\n")
    with imap_login(server, ALICE) as client:
        client.say(b"a2 NOOP\r\n")
        time.sleep(2.5)  # busy: the master leaves it alone
        client.say(b"a3 LOGOUT\r\n")
    wait_until(lambda: not service_pids(server))
    assert "idle SIGINT" not in server.log()
    with imap_login(server, ALICE) as client:
        client.say(b"a4 NOOP\r\n")


def test_hibernation_goes_on_in_the_same_recording(start: Callable[..., DovecotServer]) -> None:
    server = start(
        more="imap_hibernate_timeout = 1s\nservice imap-hibernate {\n  unix_listener imap-hibernate {\n"
        "    mode = 0666\n  }\n}\nservice imap {\n  unix_listener imap-master {\n    mode = 0666\n"
        "  }\n}\nmail_max_userip_connections = 20\n"
    )
    with imap_login(server, ALICE) as client:
        client.say(b"a2 SELECT INBOX\r\n")
        client.say(b"a3 IDLE\r\n", b"+ ")
        pid = int(server.log().rpartition("mpid=")[2].partition(",")[0])
        wait_until(lambda: not Path(f"/proc/{pid}").exists())
        client.say(b"DONE\r\n", b"a3 ")
        client.say(b"a4 LOGOUT\r\n")
    wait_until(lambda: last(server, b"OK Logout completed")[0].endswith(b"LOGOUT\r\n"))
    in_, _ = last(server, b"OK Logout completed")
    assert normal(in_) == b"TS a2 SELECT INBOX\r\nTS a3 IDLE\r\nTS DONE\r\nTS a4 LOGOUT\r\n"
    assert len(pairs(place(server))) == 1


def doveadm(server: DovecotServer, *words: str) -> str:
    ask = ["doveadm", "-c", str(server.directory / "dovecot.conf"), *words]
    return subprocess.run(ask, capture_output=True, text=True, timeout=20).stdout


def test_doveadm_sees_and_kicks_a_recorded_user(start: Callable[..., DovecotServer]) -> None:
    server = start()
    with imap_login(server, ALICE) as client:
        client.say(b"a2 NOOP\r\n")
        assert ALICE in doveadm(server, "who")
        assert ALICE in doveadm(server, "kick", ALICE)
        assert isinstance(client.to_the_end(), bytes)
    last(server, b"* BYE ")
