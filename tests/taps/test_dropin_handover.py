"""The drop-in gives its descriptors to a service that runs, or keeps them and relays by itself."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawlog.engine.loop import Loop
from rawlog.settings.options import RawlogOptions
from rawlog.taps import dropin_handover
from rawlog.taps.dropin_handover import hand_over, request
from rawlog.taps.postlogin import PostLogin, PostLoginOptions
from rawlog.taps.postlogin_request import DROPIN, is_complete, speaker
from rawlog.taps.postlogin_service import serve_postlogin
from tests.support.dropin import House, Login
from tests.support.golden import normal
from tests.support.running import Running

FILES = [("in", 0, "/h/x.in"), ("out", 0, "/h/x.out")]


def test_the_service_understands_the_request() -> None:
    message = request(FILES, "bt", "a\tb\nc\x01d\0\udcff")
    assert is_complete(message)
    assert speaker(message) == DROPIN
    assert message.count(b"\n") == 2


class Service:
    """A listener played by the test: answers with ``words`` one after the other."""

    def __init__(self, path: Path, *words: bytes) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.confirmed = b"nothing"
        self.thread = threading.Thread(target=self._serve, args=words)
        self.thread.start()

    def _serve(self, *words: bytes) -> None:
        sock, _ = self.listener.accept()
        with sock:
            sock.settimeout(10)
            _, fds, _, _ = socket.recv_fds(sock, 65536, 10)
            for fd in fds:
                os.close(fd)
            for word in words:
                sock.sendall(word)
            if words:
                self.confirmed = sock.recv(10)

    def close(self) -> None:
        self.thread.join()
        self.listener.close()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAWLOG_SOCKET", str(tmp_path / "socket"))
    return tmp_path / "socket"


@pytest.mark.parametrize(("words", "taken"), [((b"+",), True), ((b"-",), False), ((), False)])
def test_only_after_an_answer_it_is_given_away(path: Path, words: tuple[bytes, ...], taken: bool) -> None:
    service = Service(path, *words)
    fds = [os.open(os.devnull, os.O_RDONLY) for _ in range(4)]
    files = [("in", fds[2], "/h/x.in"), ("out", fds[3], "/h/x.out")]
    assert hand_over(fds[0], fds[1], files, flags="t", user="u") is taken
    service.close()
    assert service.confirmed == (b"+" if taken else b"" if words else b"nothing")
    for fd in fds:
        os.close(fd)


def test_a_service_that_does_not_answer_is_not_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropin_handover, "PATIENCE", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert hand_over(0, 0, FILES, flags="", user="") is False


def test_nobody_there_is_no_trouble(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hand_over(0, 0, FILES, flags="", user="") is False
    monkeypatch.setenv("RAWLOG_SOCKET", "")
    assert hand_over(0, 0, FILES, flags="", user="") is False


# -- with a real service ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    house = House()
    yield house
    house.remove()


@pytest.fixture
def service(house: House) -> Iterator[Running]:
    path = house.directory / "service"

    def serve(loop: Loop, report: Callable[[str], None]) -> PostLogin:
        options = PostLoginOptions(RawlogOptions())
        return serve_postlogin(loop, str(path), options, report, mode=0o666)

    running = Running(serve, house.directory / "told")
    yield running
    running.stop()
    house.empty()


def test_a_running_service_relays_and_no_process_is_left(house: House, service: Running) -> None:
    login = Login(house, "-t", environment=house.environment() | {"RAWLOG_SOCKET": str(house.directory / "service")})
    login.process.wait(10)
    login.answer(b"a1 OK\r\n")
    login.say(b"a2 NOOP\r\n")
    asked = subprocess.run(["pgrep", "-f", f"{house.directory}/opt/lib"], capture_output=True, text=True)
    assert asked.stdout == ""
    login.end()
    assert normal(login.recording("in")) == b"TS a2 NOOP\r\n"
    assert normal(login.recording("out")) == b"TS a1 OK\r\n"
    assert login.errors() == ""
    assert service.told() == []


def test_a_service_that_has_died_costs_nothing(house: House, service: Running) -> None:
    service.stop()
    login = Login(house, "-t", environment=house.environment() | {"RAWLOG_SOCKET": str(house.directory / "service")})
    login.say(b"a2 NOOP\r\n")
    login.end()
    assert normal(login.recording("in")) == b"TS a2 NOOP\r\n"
