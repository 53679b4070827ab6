"""The daemon: workers that come and go, reloads, drains, and what it can't begin with."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.support.fakeserving import fake_serving, login, raw, talk
from tests.support.gateway import eventually
from tests.support.peer import SECONDS, dial
from tests.support.serving import Serving, rows


def refused(port: int) -> bool:
    try:
        dial(port).close()
    except ConnectionRefusedError:
        return True
    return False


def reload(gateway: Serving, change: tuple[str, str] | None = None) -> None:
    """Change the configuration, and let it be read."""
    if change is not None:
        text = gateway.file.read_text()
        assert change[0] in text
        gateway.file.write_text(text.replace(*change))
    before = gateway.log().count("reload: ")
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: gateway.log().count("reload: ") > before)


@contextmanager
def under_load(gateway: Serving, clients: int = 4) -> Iterator[list[str]]:
    """Clients that talk all the time: some come and go, some stay. What went wrong is in the list."""
    wrong: list[str] = []
    over = threading.Event()

    def visitor(number: int) -> None:
        try:
            while not over.is_set():
                talk(gateway, b"visitor%d" % number)
        except (AssertionError, OSError) as error:
            wrong.append(f"visitor {number}: {error!r}")

    def resident(number: int) -> None:
        try:
            with login(gateway, b"resident%d" % number) as peer:
                while not over.is_set():
                    assert peer.command(b"n ECHO 3000").endswith(b"n OK done\r\n")
                peer.command(b"z LOGOUT")
        except (AssertionError, OSError) as error:
            wrong.append(f"resident {number}: {error!r}")

    threads = [threading.Thread(target=what, args=(n,)) for what in (visitor, resident) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        over.set()
        for thread in threads:
            thread.join(SECONDS)


# -- workers ----------------------------------------------------------------------------------------------------------


def test_all_workers_serve_one_port() -> None:
    with fake_serving() as gateway:
        assert len(gateway.workers()) == 2
        with ExitStack() as stack:
            for _ in range(24):
                stack.enter_context(login(gateway))
        ends = gateway.ends(24)
        assert {re.search(r" (\d+)-\d+: ", line)[1] for line in ends} == set(map(str, gateway.workers()))  # type: ignore[index]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_workers_give_up_root_and_their_memory_is_their_own() -> None:
    with fake_serving() as gateway:
        talk(gateway)
        for pid in gateway.workers():
            with open(f"/proc/{pid}/status") as file:
                status = file.read()
            assert re.search(r"^Uid:(\t65534){4}$", status, re.MULTILINE)
            assert re.search(r"^Cap(Eff|Prm):\t0+$", status, re.MULTILINE)
            with open(f"/proc/{pid}/limits") as file:
                assert re.search(r"^Max core file size +0 +0 ", file.read(), re.MULTILINE)


def test_workers_count_together_also_over_a_reload_and_a_death() -> None:
    limits = "rawlog_max_ip_connections = 6\nmail_max_userip_connections = 4\nrawlog_unlimited_networks =\n"
    with fake_serving(limits) as gateway:
        bobs = [login(gateway) for _ in range(4)]
        with dial(gateway.ports["imap"]) as fifth:
            assert fifth.line().startswith(b"* OK ")
            assert fifth.command(b"a LOGIN bob secret").startswith(b"* BYE ")
        reload(gateway)
        others = [login(gateway, b"carol") for _ in range(2)]
        with dial(gateway.ports["imap"]) as seventh:
            assert b"too many connections" in seventh.rest()
        assert "127.0.0.1 has 6 connections; refused (rawlog_max_ip_connections)" in gateway.log()
        for pid in gateway.workers():
            os.kill(pid, signal.SIGKILL)
        for peer in (*bobs, *others):
            peer.rest()
            peer.close()
        eventually(lambda: gateway.log().count("starting another") >= 2)
        assert len([login(gateway) for _ in range(4)]) == 4


def test_a_killed_worker_is_replaced_and_the_next_connection_works() -> None:
    with fake_serving("rawlog_workers = 1\n") as gateway:
        (first,) = gateway.workers()
        with login(gateway) as peer:
            os.kill(first, signal.SIGKILL)
            talk(gateway)  # it waits in the queue of the socket until a worker is there again
            assert peer.rest() == b""
        assert gateway.await_log(rf"worker {first} was killed by signal 9; its conversations have ended; starting")
        (second,) = gateway.workers()
        assert second != first


def test_a_worker_that_can_not_live_is_tried_ever_more_slowly() -> None:
    with fake_serving("rawlog_workers = 1\n") as gateway:
        began = time.monotonic()
        for _ in range(3):
            (pid,) = eventually(gateway.workers)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda pid=pid: pid not in gateway.workers())
        eventually(gateway.workers)
        assert time.monotonic() - began >= 0.1 + 0.2 + 0.4
        talk(gateway)


def test_when_the_master_is_killed_its_workers_finish_and_end() -> None:
    with fake_serving() as gateway:
        workers = gateway.workers()
        with login(gateway) as peer:
            gateway.process.kill()
            gateway.process.wait(SECONDS)
            eventually(lambda: refused(gateway.ports["imap"]))
            assert peer.command(b"b ECHO 5000").endswith(b"b OK done\r\n")
            assert peer.command(b"c LOGOUT").endswith(b"c OK bye\r\n")
        eventually(lambda: not any(alive(pid) for pid in workers))
        assert len(gateway.ends()) == 1


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# -- reloads ----------------------------------------------------------------------------------------------------------


def test_a_reload_keeps_conversations_and_holds_for_new_ones() -> None:
    with fake_serving() as gateway:
        new = gateway.place("new")
        with login(gateway) as peer:
            reload(gateway, ("@/raw".replace("@", str(gateway.directory)), str(new)))
            assert peer.command(b"b NOOP") == b"b OK done\r\n"
            talk(gateway)
            gateway.ends(1)
            assert len(rows(new)) == 2
            peer.command(b"c LOGOUT")
        gateway.ends(2)
        (record,) = gateway.records("raw", 2)
        assert record.in_ == b"b NOOP\r\nc LOGOUT\r\n"


def test_reloads_under_load_lose_nothing() -> None:
    with fake_serving() as gateway:
        with under_load(gateway) as wrong:
            for number in range(4):
                reload(gateway, (f"rawlog_workers = {2 - number % 2}", f"rawlog_workers = {1 + number % 2}"))
                time.sleep(0.1)
        assert wrong == []
        eventually(lambda: len(gateway.workers()) == 2)
        talk(gateway)


def test_a_reload_with_a_bad_file_changes_nothing() -> None:
    with fake_serving() as gateway:
        workers = gateway.workers()
        reload(gateway, ("rawlog_workers", "rawlog_wrokers"))
        sentence = (
            "unknown setting 'rawlog_wrokers': did you mean rawlog_workers?; the old configuration stays in force"
        )
        assert sentence in gateway.log()
        assert gateway.workers() == workers
        talk(gateway)


def test_a_reload_with_a_port_that_is_taken_changes_nothing() -> None:
    with fake_serving() as gateway, socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        reload(gateway, (f"port = {gateway.ports['imaps']}", f"port = {port}"))
        assert f"reload: listener tls:127.0.0.1:{port}: the address is in use;" in gateway.log()
        talk(gateway)
        talk(gateway, port="imaps")


def test_a_port_that_is_given_up_is_free_although_conversations_go_on() -> None:
    with fake_serving() as gateway:
        old = gateway.ports["imap"]
        with ExitStack() as stack:
            peers = [stack.enter_context(login(gateway)) for _ in range(6)]
            reload(gateway, (f"port = {old}", f"port = {gateway.ports['pop3']}"))
            eventually(lambda: refused(old))
            talk(gateway, port="pop3")
            for peer in peers:
                assert peer.command(b"b NOOP") == b"b OK done\r\n"


def test_a_listener_that_changes_its_kind_keeps_its_place() -> None:
    with fake_serving() as gateway:
        plain, tls = gateway.ports["imap"], gateway.ports["imaps"]
        text = (
            gateway.file.read_text().replace(f"port = {plain}", "port = @").replace(f"port = {tls}", f"port = {plain}")
        )
        gateway.file.write_text(text.replace("port = @", f"port = {tls}"))
        gateway.ports["imap"], gateway.ports["imaps"] = tls, plain
        reload(gateway)
        eventually(lambda: len(gateway.workers()) == 2)
        talk(gateway)
        talk(gateway, port="imaps")


# -- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole_group", [False, True], ids=["master", "all"])
def test_sigterm_drains(whole_group: bool) -> None:
    with fake_serving() as gateway:
        with login(gateway) as peer:
            workers = gateway.workers()
            gateway.process.send_signal(signal.SIGTERM)
            for pid in workers if whole_group else ():  # as systemd does where KillMode is control-group
                with suppress(ProcessLookupError):  # the worker without a conversation has ended already
                    os.kill(pid, signal.SIGTERM)
            eventually(lambda: refused(gateway.ports["imap"]))
            assert peer.command(b"b ECHO 5000").endswith(b"b OK done\r\n")
            assert gateway.process.poll() is None
            assert peer.command(b"c LOGOUT").endswith(b"c OK bye\r\n")
        assert gateway.process.wait(SECONDS) == 0
        assert gateway.log().count("ending: no more connections") == 1
        (record,) = gateway.records("raw", 1)
        assert record.in_ == b"b ECHO 5000\r\nc LOGOUT\r\n"


@pytest.mark.parametrize("signals", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,)], ids=["twice", "sigint"])
def test_it_can_be_ended_now(signals: tuple[int, ...]) -> None:
    with fake_serving() as gateway:
        with login(gateway) as peer:
            peer.command(b"b NOOP")
            for number in signals:
                gateway.process.send_signal(number)
                eventually(lambda: "ending:" in gateway.log() or gateway.process.poll() is not None)
            assert peer.rest() == b""
            assert gateway.process.wait(SECONDS) == 0
        assert gateway.ends(1)[0].endswith("end='the gateway was ended'")
        (record,) = gateway.records("raw", 1)
        assert record.in_ == b"b NOOP\r\n"


def test_a_reload_and_the_end_at_once() -> None:
    with fake_serving() as gateway:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            gateway.process.send_signal(number)
        assert gateway.process.wait(SECONDS) == 0


# -- what it can't begin with -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        ("rawlog_dirr = /x\n", 2, r"unknown setting 'rawlog_dirr': did you mean rawlog_dir\?"),
        ("service imap-login {\n", 2, r"'}' is missing"),
        ("rawlog_dir = /x/%{nosuch}\n", 2, r"unknown variable %\{nosuch\}"),
        ("ssl_key = </no/such.pem\n", 2, r"ssl_key: /no/such.pem: No such file or directory"),
        ("protocols = pop3\n", 1, r"nothing to serve; set rawlog_backend in protocol imap"),
        ("listen = 192.0.2.1\n", 1, r"listener 192.0.2.1:\d+: this machine has no such address"),
    ],
)
def test_a_bad_configuration_starts_nothing(more: str, code: int, told: str) -> None:
    with fake_serving(more, start=False) as gateway:
        result, said = gateway.run()
        assert result == code
        *warnings, last = said.splitlines()
        assert re.match(rf"rawlog: .*{told}", last)
        assert not warnings or code == 1
        assert refused(gateway.ports["imap"])


def test_two_daemons_can_not_share_a_port() -> None:
    with fake_serving() as gateway:
        code, said = gateway.run()
        assert code == 1
        assert said.startswith(f"rawlog: listener 127.0.0.1:{gateway.ports['imap']}: the address is in use; ")
        talk(gateway)


@pytest.mark.skipif(os.geteuid() != 0, reason="nobody but root can become somebody else")
def test_the_user_of_the_workers_must_exist() -> None:
    with fake_serving("rawlog_user = no-such-user\n", start=False) as gateway:
        code, said = gateway.run()
        assert code == 1
        assert said == (
            "rawlog: rawlog_user no-such-user: no such user; create it (useradd --system no-such-user) "
            "or name another\n"
        )


def test_a_unix_socket_has_its_mode_and_is_removed_at_the_end() -> None:
    more = "service imap-login {\n  unix_listener gate {\n    mode = 0640\n  }\n}\n"
    with fake_serving(more) as gateway:
        path = gateway.directory / "run" / "gate"
        assert path.stat().st_mode & 0o777 == 0o640
        reload(gateway, ("mode = 0640", "mode = 0666"))
        assert path.stat().st_mode & 0o777 == 0o666
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(SECONDS)
            client.connect(str(path))
            assert client.recv(100).startswith(b"* OK ")
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(SECONDS) == 0
        assert not path.exists()
        assert "client=unix" in gateway.log()
        assert raw(gateway).is_dir()
