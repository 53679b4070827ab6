"""Unbreakable conversations below the master of a real Dovecot: workers are killed, and no client notices."""

from __future__ import annotations

import imaplib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawlog.engine.pipes import why_not
from tests.support.dovecot import DovecotServer
from tests.support.golden import without_stamps
from tests.support.postlogin import configuration, imap_login, install, python_for_mail_users, recording_on, wait_until
from tests.support.unbreakable import workers

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(why_not()), reason=f"rawlog_relay = unbreakable: {why_not()}"),
]

SERVICE = "@DIRECTORY@/opt/bin/rawlog-service"
ALICE, BOB = "alice@example.com", "bob@example.com"
MANY = """\
mail_max_userip_connections = 0
service imap-login {
  service_count = 0
  process_min_avail = 1
}
"""
KILLS = 200
PATIENCE = 90
TALKERS, READERS, SYNCS = 44, 3, 3


@pytest.fixture
def start(dovecot_installed: None) -> Iterator[Callable[..., DovecotServer]]:
    servers: list[DovecotServer] = []

    def start(options: str = "") -> DovecotServer:
        server = DovecotServer(configuration(" ".join(f"{SERVICE} --relay unbreakable {options}".split())) + MANY)
        install(server.directory)
        service = server.directory / "opt" / "bin" / "rawlog-service"
        service.write_text(service.read_text().replace(sys.executable, python_for_mail_users()))
        servers.append(server)
        server.start()
        recording_on(server, ALICE)
        return server

    yield start
    for server in servers:
        server.stop()


def children(pid: int) -> list[int]:
    """Children of a process that were not waited for yet."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def service_pid(server: DovecotServer) -> int:
    asked = subprocess.run(["pgrep", "-P", str(server.pid), "-f", "rawlog-service"], capture_output=True, text=True)
    return int(asked.stdout.split()[0])


def holder_pid(server: DovecotServer) -> int:
    """The child of the service that has one child, which holds the ledger; the keepers' parent holds none."""
    for pid in children(service_pid(server)):
        held = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        if any("rawlog-ledger" in name for name in held):
            return pid
    raise AssertionError("no holder")


class Killer(threading.Thread):
    """Kills the worker of one holder, at random, until told to stop."""

    def __init__(self, holder: int) -> None:
        super().__init__(daemon=True)
        self.kills = 0
        self._holder = holder
        self._over = threading.Event()

    def run(self) -> None:
        chance, last = random.Random(5), 0
        while not self._over.wait(chance.uniform(0.0, 0.05)):
            for worker in workers(self._holder):
                if worker != last:
                    os.kill(worker, signal.SIGKILL)
                    last = worker
                    self.kills += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


def same_as_dovecot(server: DovecotServer, user: str) -> int:
    """Compares every recording with Dovecot's own of the same mail process; how many there were."""
    ours = sorted((server.home(user) / "dovecot.rawlog").glob("*.in"))
    for path in ours:
        pid = path.stem.rpartition("-")[2]
        (theirs,) = server.rawlog_dir(user).glob(f"*.{pid}.*.in")
        for ending in (".in", ".out"):
            mine = path.with_suffix(ending).read_bytes()
            assert mine == without_stamps(theirs.with_suffix(ending).read_bytes()), path
    return len(ours)


def talk(server: DovecotServer, number: int, enough: threading.Event, failures: list[str]) -> None:
    """One imaplib conversation: appends, fetches what it appended, until it is enough."""
    try:
        with imaplib.IMAP4("127.0.0.1", server.imap_port, timeout=PATIENCE) as client:
            client.login(ALICE, server.users[ALICE])
            box = f"box{number}"
            client.create(box)
            done = 0
            while not enough.is_set() or done < 3:
                body = f"Subject: {number}.{done}\r\n\r\n".encode() + b"line %d\r\n" % done * (1 + done % 40)
                client.append(box, "", "", body)
                client.select(box)
                _, data = client.fetch(str(done + 1), "(BODY.PEEK[])")
                assert isinstance(data[0], tuple)
                assert data[0][1] == body
                client.noop()
                done += 1
                time.sleep(0.1)
    except Exception as error:
        failures.append(f"talker {number}: {type(error).__name__}: {error}")


def read(server: DovecotServer, message: bytes, enough: threading.Event, failures: list[str]) -> None:
    """One conversation that fetches a large message again and again."""
    try:
        with imaplib.IMAP4("127.0.0.1", server.imap_port, timeout=PATIENCE) as client:
            client.login(ALICE, server.users[ALICE])
            client.select("bulk", readonly=True)
            done = 0
            while not enough.is_set() or done < 2:
                _, data = client.fetch("1", "(BODY.PEEK[])")
                assert isinstance(data[0], tuple)
                assert data[0][1] == message
                done += 1
                time.sleep(0.3)
    except Exception as error:
        failures.append(f"reader: {type(error).__name__}: {error}")


def sync(server: DovecotServer, place: Path, failures: list[str]) -> None:
    """One run of mbsync into an empty maildir."""
    (place / "mail").mkdir(parents=True)
    (place / "mbsyncrc").write_text(
        f"IMAPAccount a\nHost 127.0.0.1\nPort {server.imap_port}\nUser {ALICE}\nPass {server.users[ALICE]}\n"
        "SSLType None\nAuthMechs LOGIN\n\n"
        "IMAPStore far\nAccount a\n\n"
        f"MaildirStore near\nPath {place}/mail/\nInbox {place}/inbox\nSubFolders Verbatim\n\n"
        "Channel c\nFar :far:bulk\nNear :near:bulk\nCreate Near\nSyncState *\n"
    )
    command = ["mbsync", "-c", str(place / "mbsyncrc"), "c"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    got = list((place / "mail" / "bulk").glob("*/*"))
    if done.returncode or len(got) != 1:
        failures.append(f"mbsync: {done.returncode}: {done.stderr}: {len(got)} messages")


def test_no_conversation_notices_two_hundred_kills(start: Callable[..., DovecotServer], tmp_path: Path) -> None:
    server = start()
    message = b"Subject: bulk\r\n\r\n" + b"QUJD" * 19 * 2 + b"\r\n" + b"".join(b"%070d\r\n" % n for n in range(40000))
    with imaplib.IMAP4("127.0.0.1", server.imap_port, timeout=PATIENCE) as client:
        client.login(ALICE, server.users[ALICE])
        client.create("bulk")
        client.append("bulk", "", "", message)
    enough, failures = threading.Event(), list[str]()
    threads = [threading.Thread(target=talk, args=(server, n, enough, failures), daemon=True) for n in range(TALKERS)]
    threads += [threading.Thread(target=read, args=(server, message, enough, failures)) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    killer = Killer(holder_pid(server))
    killer.start()
    for number in range(SYNCS):
        sync(server, tmp_path / str(number), failures)
    deadline = time.monotonic() + PATIENCE
    while killer.kills < KILLS and time.monotonic() < deadline and not failures:
        time.sleep(0.05)
    enough.set()
    for thread in threads:
        thread.join(PATIENCE)
    killer.stop()
    assert failures == []
    assert killer.kills >= KILLS
    wait_until(lambda: not any(path.stat().st_size == 0 for path in server.rawlog_dir(ALICE).glob("*.out")))
    time.sleep(1.5)  # Dovecot's own recorder writes up to a second late
    assert same_as_dovecot(server, ALICE) == TALKERS + READERS + SYNCS + 1


@pytest.mark.parametrize("options", ["-t", "-b", "-t -b", "-f out"])
def test_every_form_survives_kills(start: Callable[..., DovecotServer], options: str) -> None:
    server = start(options)
    with imap_login(server, ALICE) as client:
        killer = Killer(holder_pid(server))
        killer.start()
        for number in range(300):
            client.say(b"b%d NOOP\r\n" % number)
            time.sleep(0.003)
        killer.stop()
        client.say(b"c LOGOUT\r\n")
        assert client.to_the_end() == b""
    place = server.home(ALICE) / "dovecot.rawlog"
    (said,) = place.glob("*.out")
    wait_until(lambda: b"Logging out" in said.read_bytes())
    assert [said.read_bytes().count(b"b%d OK" % number) for number in range(300)] == [1] * 300
    heard = list(place.glob("*.in"))
    if "-f" in options:
        assert heard == []
    else:
        assert [heard[0].read_bytes().count(b"b%d NOOP\r\n" % number) for number in range(300)] == [1] * 300
    assert killer.kills > 5


def test_the_holder_dies_and_conversations_end_in_their_own_time(start: Callable[..., DovecotServer]) -> None:
    server = start()
    with imap_login(server, ALICE) as client:
        os.kill(holder_pid(server), signal.SIGKILL)
        client.say(b"a2 NOOP\r\n")
        with imap_login(server, ALICE) as other:
            other.say(b"a2 NOOP\r\n")
            client.say(b"a3 NOOP\r\n")
            other.say(b"a3 LOGOUT\r\n")
        client.say(b"a4 LOGOUT\r\n")
        assert client.to_the_end() == b""
    wait_until(lambda: "the holder of conversations has died" in server.log())
    time.sleep(1.5)
    assert same_as_dovecot(server, ALICE) == 2


def test_the_service_dies_and_conversations_go_on(start: Callable[..., DovecotServer]) -> None:
    server = start()
    with imap_login(server, ALICE) as client:
        os.kill(service_pid(server), signal.SIGKILL)
        client.say(b"a2 NOOP\r\n")
        with imap_login(server, ALICE) as other:
            other.say(b"a2 LOGOUT\r\n")
        client.say(b"a3 LOGOUT\r\n")
        assert client.to_the_end() == b""
    time.sleep(1.5)
    assert same_as_dovecot(server, ALICE) == 2


def test_sighup_brings_new_code_under_load_and_no_conversation_ends(start: Callable[..., DovecotServer]) -> None:
    server = start()
    enough, failures = threading.Event(), list[str]()
    message = b"Subject: bulk\r\n\r\n" + b"".join(b"%070d\r\n" % n for n in range(40000))
    with imap_login(server, ALICE) as idle, imaplib.IMAP4("127.0.0.1", server.imap_port, timeout=PATIENCE) as client:
        client.login(ALICE, server.users[ALICE])
        client.create("bulk")
        client.append("bulk", "", "", message)
        threads = [threading.Thread(target=talk, args=(server, n, enough, failures), daemon=True) for n in range(8)]
        threads.append(threading.Thread(target=read, args=(server, message, enough, failures), daemon=True))
        for thread in threads:
            thread.start()
        holder = holder_pid(server)
        for number, name in enumerate(("the second code", "the third code")):
            new_code(server, name)
            os.kill(service_pid(server), signal.SIGHUP)
            wait_until(lambda: name in server.log())  # noqa: B023
            idle.say(b"b%d NOOP\r\n" % number)
            os.kill(workers(holder)[0], signal.SIGKILL)  # what follows runs the new code, too
            wait_until(lambda: server.log().count(name) == 2)  # noqa: B023
        assert holder_pid(server) == holder
        enough.set()
        for thread in threads:
            thread.join(PATIENCE)
        idle.say(b"c LOGOUT\r\n")
    assert failures == []
    time.sleep(1.5)
    assert same_as_dovecot(server, ALICE) == 8 + 1 + 2


def test_code_of_another_version_is_refused_and_the_old_one_goes_on(start: Callable[..., DovecotServer]) -> None:
    server = start()
    with imap_login(server, ALICE) as client:
        before = workers(holder_pid(server))
        edit(server, "unbreakable_place.py", "\nVERSION = ", "\nVERSION = 9")
        os.kill(service_pid(server), signal.SIGHUP)
        wait_until(lambda: "conversations go on with the old code: they are kept as version" in server.log())
        client.say(b"a2 NOOP\r\n")
        assert workers(holder_pid(server)) == before
        client.say(b"a3 LOGOUT\r\n")
    time.sleep(1.5)
    assert same_as_dovecot(server, ALICE) == 1


def new_code(server: DovecotServer, name: str) -> None:
    """The code on the disk says who it is from now on."""
    edit(server, "unbreakable_worker.py", "        gc.freeze()\n", f'        gc.freeze()\n        report("{name}")\n')


def edit(server: DovecotServer, file: str, old: str, new: str) -> None:
    path = server.directory / "opt" / "lib" / "python3" / "site-packages" / "rawlog" / "taps" / file
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
