"""Dovecot's master, played by the test: listeners, status reports, its wishes and its end."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rawlog.taps import postlogin_master
from rawlog.taps.postlogin_door import Door
from rawlog.taps.postlogin_master import Master
from tests.support.dropin import python_path
from tests.support.looping import Turning, turning

ENVIRONMENT = {"DOVECOT_CHILD_PROCESS": "1", "GENERATION": "9", "CLIENT_LIMIT": "3", "PROCESS_LIMIT": "2"}


class Scene:
    def __init__(self, made: Turning, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turning = made
        self.status, status = os.pipe()
        death, self.life = os.pipe()
        os.set_blocking(self.status, False)
        monkeypatch.setattr(postlogin_master, "STATUS_FD", status)
        monkeypatch.setattr(postlogin_master, "DEATH_FD", death)
        monkeypatch.setattr(postlogin_master, "DELAY", 0.01)
        self.fds = [self.status, status, death]
        self.door = Door(made.loop, lambda _: None, made.told.append)
        self.idle: list[bool] = []
        self.door.on_idle = lambda: self.idle.append(True)

    def start(self, **more: str) -> Master:
        listener = socket.socket()
        listener.listen()
        master = Master(self.turning.loop, self.door, ENVIRONMENT | more)
        self.door.open(listener)
        master.attend()
        self.turning.a_while(0.01)
        return master

    def expect(self, *wanted: tuple[int, int, int]) -> None:
        """Exactly these reports, as soon as they come."""
        seen: list[tuple[int, int, int]] = []

        def look() -> bool:
            seen.extend(self.reports())
            return len(seen) >= len(wanted)

        self.turning.until(look)
        assert tuple(seen) == wanted

    def reports(self) -> list[tuple[int, int, int]]:
        try:
            data = os.read(self.status, 4096)
        except BlockingIOError:
            return []
        return [struct.unpack("=iII", data[at : at + 12]) for at in range(0, len(data), 12)]  # type: ignore[misc]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with turning() as made:
        scene = Scene(made, monkeypatch)
        yield scene
        scene.door.shut()
        for fd in (*scene.fds, scene.life):
            if fd >= 0:
                os.close(fd)


def test_the_number_of_free_places_is_reported_at_first_and_a_while_after_it_changes(scene: Scene) -> None:
    scene.start()
    assert scene.reports() == [(os.getpid(), 9, 3)]
    scene.door.relayed(1)
    scene.door.relayed(2)
    scene.expect((os.getpid(), 9, 1))  # one report for what happened meanwhile
    scene.door.relayed(2)
    scene.turning.a_while(0.03)
    assert scene.reports() == []
    scene.door.relayed(0)
    scene.expect((os.getpid(), 9, 3))


def test_a_visit_that_is_over_is_reported_so_that_the_master_sees_that_there_was_one(scene: Scene) -> None:
    scene.start()
    scene.reports()
    scene.door.relayed(1)
    scene.door.relayed(0)
    scene.expect((os.getpid(), 9, 2), (os.getpid(), 9, 3))


def test_what_the_master_has_to_act_upon_is_reported_at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postlogin_master, "DELAY", 60)
    scene.start()
    scene.reports()
    scene.door.relayed(3)
    scene.expect((os.getpid(), 9, 0))
    scene.door.relayed(2)
    scene.expect((os.getpid(), 9, 1))


def test_a_master_that_is_behind_is_told_later(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postlogin_master, "RETRY", 0.01)
    os.set_blocking(postlogin_master.STATUS_FD, False)
    filler = 0
    with pytest.raises(BlockingIOError):
        while True:
            filler += os.write(postlogin_master.STATUS_FD, b"x" * 4096)
    scene.start()
    while filler:
        filler -= len(os.read(scene.status, filler))
    scene.turning.a_while()
    assert scene.reports() == [(os.getpid(), 9, 3)]


def test_limits_come_from_the_environment(scene: Scene) -> None:
    scene.start(SERVICE_COUNT="2", PROCESS_LIMIT="1", CLIENT_LIMIT="many")
    assert (scene.door.places, scene.door.left, scene.door.alone) == (1000, 2, True)
    assert scene.reports() == [(os.getpid(), 9, 2)]


def test_idle_and_asked_to_end_it_ends(scene: Scene) -> None:
    scene.start()
    os.kill(os.getpid(), signal.SIGINT)
    scene.turning.until(lambda: scene.idle)


def test_busy_and_asked_to_end_it_stays(scene: Scene) -> None:
    scene.start()
    scene.door.relayed(1)
    os.kill(os.getpid(), signal.SIGINT)
    scene.turning.a_while()
    assert (scene.idle, scene.door.free) == ([], 2)


@pytest.mark.parametrize("how", ["closed", "written"])
def test_the_end_of_the_master_shuts_the_door_and_ends_no_conversation(scene: Scene, how: str) -> None:
    scene.start()
    scene.door.relayed(1)
    if how == "closed":
        os.close(scene.life)
        scene.life = -1
    else:
        os.write(scene.life, b"x")
    scene.turning.until(lambda: scene.door.free == 0)
    assert scene.idle == []
    scene.door.relayed(0)
    assert scene.idle == [True]


FIND = """\
import os, socket, sys
from rawlog.taps.postlogin_master import inherited_listeners
listeners = inherited_listeners()
print([sock.fileno() for sock in listeners], [os.get_inheritable(sock.fileno()) for sock in listeners])
os.fstat(8)  # no listener: left as it was
"""


def test_listeners_are_found_among_what_was_inherited() -> None:
    listener, (left, right) = socket.socket(socket.AF_UNIX), socket.socketpair()
    listener.bind("")
    listener.listen()

    def places() -> None:
        os.dup2(listener.fileno(), 240)  # out of the way first: their own numbers may be those that are wanted
        os.dup2(left.fileno(), 208)
        os.dup2(240, 40)
        os.dup2(240, 9)
        os.dup2(208, 8)
        os.close(240)
        os.close(208)
        for fd in (8, 9, 40):
            os.set_inheritable(fd, True)

    asked = subprocess.run(
        [sys.executable, "-c", FIND],
        capture_output=True,
        text=True,
        preexec_fn=places,
        close_fds=False,
        env={"PYTHONPATH": python_path()},
        timeout=20,
    )
    assert asked.stdout == "[9, 40] [False, False]\n", asked.stderr
    for one in (listener, left, right):
        one.close()
