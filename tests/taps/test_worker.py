"""A worker process by itself: what it gives up, what it serves, and what ends it."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rawlog.engine.confine import NETWORK_VERSION, landlock_version
from rawlog.engine.loop import Loop
from rawlog.errors import RawlogError
from rawlog.settings.loader import loads
from rawlog.taps import worker as worker_module
from rawlog.taps.build import doors, prepare
from rawlog.taps.sockets import Sockets
from rawlog.taps.worker import become, check_user, run_worker
from tests.support.backends import FakeServer, ImapScript
from tests.support.dovecot import free_ports
from tests.support.gateway import eventually
from tests.support.peer import SECONDS, Peer, dial
from tests.support.probes import CLOSED, EVERYTHING, Stage, own_state

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
OURSELVES = pwd.getpwuid(os.geteuid()).pw_name


class Child:
    """A forked process. ``said`` are its lines."""

    def __init__(self, life: Callable[[Callable[[str], None]], None]) -> None:
        read, write = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            code = 1
            try:
                signal.alarm(60)
                life(lambda line: [os.write(write, f"{line}\n".encode()), None][1])
                code = 0
            finally:
                os._exit(code)
        os.close(write)
        self._read = read
        self._code: int | None = None

    def code(self) -> int | None:
        """The exit code, minus the signal; None while it lives."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def ended(self) -> int:
        """Wait for its end."""
        eventually(lambda: self.code() is not None)
        assert self._code is not None
        return self._code

    def said(self) -> list[str]:
        """All it said, at its end."""
        self.ended()
        with open(self._read) as file:
            return file.read().splitlines()


@contextmanager
def worker(tmp_path: Path, user: str = OURSELVES, directory: str = "") -> Iterator[tuple[Child, int, int]]:
    """A worker that serves; gives the process, its port, and the descriptor whose end means that nobody is there."""
    (port,) = free_ports(1)
    with FakeServer(ImapScript()) as fake:
        configuration = loads(
            f"protocols = imap\nlisten = 127.0.0.1\nrawlog_user = {user}\nrawlog_dir = {directory or tmp_path}\n"
            f"rawlog_min_free_space = 0\nssl = no\n"
            f"protocol imap {{\n  rawlog_backend = imap://127.0.0.1:{fake.port}\n}}\n"
            f"service imap-login {{\n  inet_listener imap {{\n    port = {port}\n  }}\n}}\n"
        )
        prepared = prepare(configuration)
        sockets = Sockets(doors(prepared), 1)
        read, write = os.pipe()

        def life(report: Callable[[str], None]) -> None:
            os.close(write)
            run_worker(configuration, prepared, sockets.share(0), read, report)

        child = Child(life)
        sockets.close()
        os.close(read)
        try:
            yield child, port, write
        finally:
            if child.code() is None:
                os.kill(child.pid, signal.SIGKILL)
                child.ended()


def client(port: int) -> Peer:
    peer = dial(port)
    assert peer.line().startswith(b"* OK")
    assert peer.command(b"a LOGIN bob secret").startswith(b"a OK")
    return peer


def test_it_serves_and_ends_when_the_master_is_gone(tmp_path: Path) -> None:
    with worker(tmp_path) as (child, port, alive):
        with client(port) as peer:
            os.close(alive)
            eventually(lambda: refused(port))
            assert peer.command(b"b NOOP") == b"b OK done\r\n"
            peer.command(b"c LOGOUT")
        assert child.ended() == 0
        first, second = child.said()
        assert first == "the master process is gone; ending when the conversations are over"
        assert " user=bob " in second
    assert len(list(tmp_path.glob("*.in"))) == 1


@pytest.mark.parametrize("count", [1, 3])
def test_sigterm_drains_however_often_it_comes(tmp_path: Path, count: int) -> None:
    with worker(tmp_path) as (child, port, _):
        with client(port) as peer:
            for _ in range(count):
                os.kill(child.pid, signal.SIGTERM)
                time.sleep(0.02)
            eventually(lambda: refused(port))
            assert peer.command(b"b NOOP") == b"b OK done\r\n"
            peer.command(b"c LOGOUT")
        assert child.ended() == 0


def test_sigint_ends_it_and_sighup_does_not(tmp_path: Path) -> None:
    with worker(tmp_path) as (child, port, _), client(port) as peer:
        os.kill(child.pid, signal.SIGHUP)
        assert peer.command(b"b NOOP") == b"b OK done\r\n"
        os.kill(child.pid, signal.SIGINT)
        assert peer.rest() == b""
        assert child.ended() == 0
    (record,) = tmp_path.glob("*.in")
    assert record.read_bytes().endswith(b" b NOOP\r\n")


def test_it_can_only_do_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the work it tries what it need not."""
    stage = Stage(tmp_path)
    reports: list[Callable[[str], None]] = []

    def mad(loop: Loop) -> None:
        worked = stage.tried(EVERYTHING) if landlock_version() >= NETWORK_VERSION else []
        reports[0](repr([worked, own_state()]))

    monkeypatch.setattr(Loop, "run", mad)
    monkeypatch.setattr(worker_module, "settle_memory", lambda: None)
    monkeypatch.setattr(worker_module, "Refusals", lambda loop, report: reports.append(report))
    with worker(tmp_path, directory=f"{stage.raw}/%u") as (child, _, _):
        assert child.said() == [repr([[], CLOSED])]


@root_only
def test_root_is_given_up_for_good(tmp_path: Path) -> None:
    def life(report: Callable[[str], None]) -> None:
        become("nobody")
        report(f"{os.getresuid()} {os.getresgid()} {os.getgroups()}")
        os.setuid(0)

    child = Child(life)
    (said,) = [line for line in child.said() if line.startswith("(")]
    entry = pwd.getpwnam("nobody")
    assert said == f"{(entry.pw_uid,) * 3} {(entry.pw_gid,) * 3} [{entry.pw_gid}]"
    assert child.ended() == 1  # setuid(0) is refused


@root_only
def test_a_user_that_does_not_exist_is_told() -> None:
    check_user("nobody")
    for function in (check_user, become):
        with pytest.raises(RawlogError, match=r"rawlog_user nope: no such user; create it \(useradd --system nope\)"):
            function("nope")


def test_who_is_not_root_stays_who_he_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    check_user("nope")
    become("nope")


def test_root_may_stay_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "setresuid", lambda *ids: pytest.fail("it became somebody else"))
    become("root")


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False
