"""The post-login door as a service: its socket, its signals, its start below a master."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.settings.options import RawlogOptions
from rawlog.taps.postlogin import PostLogin, PostLoginOptions
from rawlog.taps.postlogin_service import end_on_signals, serve_postlogin
from tests.support.dropin import python_path
from tests.support.looping import Turning, turning
from tests.support.mailprocess import MailProcess
from tests.support.places import NOBODY, shared_directory

OPTIONS = PostLoginOptions(RawlogOptions(stamps=True), trusted=frozenset((os.geteuid(),)))
UID = os.geteuid() or NOBODY


@pytest.fixture
def made() -> Iterator[Turning]:
    with turning() as made:
        yield made


def serve(made: Turning, path: Path, mode: int = 0o600) -> PostLogin:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()  # keepers that are gone: they are not what is tested here
    return serve_postlogin(made.loop, str(path), OPTIONS, made.told.append, orders=ours, mode=mode)


def test_a_socket_that_nobody_listens_on_is_replaced(made: Turning, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    service = serve(made, path, 0o666)
    assert path.stat().st_mode & 0o777 == 0o666
    with pytest.raises(RawlogError, match=f"{path}: no post-login socket can be made: Address already in use"):
        serve(made, path)
    service.door.shut()


@pytest.mark.parametrize("what", ["file", "directory that is missing"])
def test_a_place_that_can_not_be_had_is_named(made: Turning, tmp_path: Path, what: str) -> None:
    path = tmp_path / "socket"
    if what == "file":
        path.write_text("precious")
    else:
        path = tmp_path / "nowhere" / "socket"
    with pytest.raises(RawlogError, match=str(path)):
        serve(made, path)
    assert what != "file" or path.read_text() == "precious"


def test_a_first_sigterm_shuts_the_door_and_a_second_one_ends_conversations(made: Turning, tmp_path: Path) -> None:
    service = serve(made, tmp_path / "socket")
    finished: list[str] = []
    service.finish = finished.append  # type: ignore[method-assign]
    kept = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)}
    end_on_signals(made.loop, service)
    for number in kept:
        os.kill(os.getpid(), number)  # nothing happens
    assert service.door.free
    os.kill(os.getpid(), signal.SIGTERM)
    made.until(lambda: not service.door.free)
    assert finished == []
    os.kill(os.getpid(), signal.SIGTERM)
    made.until(lambda: finished)
    for number, old in kept.items():
        signal.signal(number, old)


SERVE = """\
import os
from rawlog.settings.options import RawlogOptions
from rawlog.taps.postlogin import PostLoginOptions
from rawlog.taps.postlogin_service import serve_under_master
options = PostLoginOptions(RawlogOptions(stamps=True), trusted=frozenset((os.geteuid(),)))
serve_under_master(options, print)
"""


class Below:
    """The service in a process of its own, with the test as its master."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "socket"
        self.place = directory / "home" / "dovecot.rawlog"
        self.place.mkdir(parents=True)
        for path in (self.place.parent, self.place):
            os.chown(path, UID, UID if UID == NOBODY else os.getegid())
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(100)
        self.status, status = os.pipe()
        death, self.life = os.pipe()

        def places() -> None:
            for number, fd in ((207, self.listener.fileno()), (205, status), (206, death)):
                os.dup2(fd, number)
            for number in (5, 6, 7):
                os.dup2(number + 200, number)
                os.close(number + 200)

        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            stdout=subprocess.PIPE,
            preexec_fn=places,
            pass_fds=(5, 6, 7),
            env={"PYTHONPATH": python_path(), "GENERATION": "4", "CLIENT_LIMIT": "10", "DOVECOT_CHILD_PROCESS": "1"},
        )
        os.close(status)
        os.close(death)

    def free(self) -> int:
        """The next report: how many places are free."""
        pid, generation, free = struct.unpack("=iII", os.read(self.status, 12))
        assert (pid, generation) == (self.process.pid, 4)
        return int(free)

    def login(self) -> MailProcess:
        mail = MailProcess(self.path)
        mail.ask(f"alice\tuid={UID}\tgid={self.place.stat().st_gid}\thome={self.place.parent}")
        assert mail.answer().startswith(b"alice\tuid=")
        assert mail.server is not None
        return mail

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.listener.close()
        os.close(self.status)
        os.close(self.life)


@pytest.fixture
def below() -> Iterator[Below]:
    with shared_directory() as directory:
        made = Below(directory)
        yield made
        made.stop()


def wait_for(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_below_a_master_it_serves_reports_and_ends_with_the_last_conversation(below: Below) -> None:
    assert below.free() == 10
    mail = below.login()
    assert below.free() == 9
    os.kill(below.process.pid, signal.SIGTERM)  # no more logins, but this one goes on
    assert below.free() == 0
    assert mail.server is not None
    mail.server.sendall(b"a1 OK\r\n")
    assert mail.client.recv(100) == b"a1 OK\r\n"
    mail.close()
    assert below.process.wait(10) == 0
    assert next(below.place.glob("*.out")).read_bytes().endswith(b" a1 OK\r\n")


def test_below_a_master_that_dies_it_ends(below: Below) -> None:
    assert below.free() == 10
    os.close(below.life)
    below.life = os.open(os.devnull, os.O_RDONLY)
    assert below.process.wait(10) == 0


def test_killed_it_leaves_nothing_running(below: Below) -> None:
    below.login().close()
    asked = subprocess.run(["pgrep", "-P", str(below.process.pid)], capture_output=True, text=True)
    (parent,) = asked.stdout.split()
    below.process.kill()
    below.process.wait()
    wait_for(lambda: not Path(f"/proc/{parent}").exists() or "Z" in Path(f"/proc/{parent}/stat").read_text())
