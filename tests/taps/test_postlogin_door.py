"""The listening end: places, the last connection, and what happens without descriptors."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.taps import postlogin_door
from rawlog.taps.postlogin_door import Door
from rawlog.taps.postlogin_visitor import Visitor
from tests.support.looping import Turning, turning


class Scene:
    def __init__(self, made: Turning, path: Path) -> None:
        self.turning, self.path = made, path
        self.whole: list[Visitor] = []
        self.idle: list[bool] = []
        self.free: list[int] = []
        self.door = Door(made.loop, self.whole.append, made.told.append)
        self.door.on_change = lambda: self.free.append(self.door.free)
        self.door.on_idle = lambda: self.idle.append(True)
        self.clients: list[socket.socket] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(100)

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(self.path))
        self.clients.append(client)
        return client


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with turning() as made:
        scene = Scene(made, tmp_path / "socket")
        yield scene
        scene.door.shut()
        scene.door.relayed(0)
        for one in (*scene.clients, *scene.whole):
            one.close()
        scene.turning.until(lambda: not scene.door.busy)


def test_who_comes_takes_a_place_until_it_leaves(scene: Scene) -> None:
    scene.door.places = 3
    assert scene.door.free == 0  # nobody can come yet
    scene.door.open(scene.listener)
    assert scene.door.free == 3
    scene.connect().sendall(b"1\n2\n")
    scene.turning.until(lambda: scene.whole)
    assert (scene.door.busy, scene.door.free) == (1, 2)
    scene.door.relayed(1)
    scene.whole[0].close()
    assert (scene.door.busy, scene.door.free) == (1, 2)
    scene.door.relayed(0)
    assert (scene.door.free, scene.free[-1]) == (3, 3)
    assert scene.idle == []


def test_a_mistake_costs_one_login_and_not_all_that_follow(scene: Scene) -> None:
    came: list[Visitor] = []

    def fail(visitor: Visitor) -> None:
        came.append(visitor)
        raise KeyError("x")

    scene.door._on_message = fail
    errors: list[BaseException] = []
    scene.turning.loop.on_error = errors.append
    scene.door.open(scene.listener)
    for number in (1, 2):
        client = scene.connect()
        client.sendall(b"1\n2\n")
        scene.turning.until(lambda number=number: len(came) == number)  # type: ignore[misc]
        assert client.recv(1) == b""
    assert [type(error) for error in errors] == [KeyError, KeyError]
    assert scene.door.busy == 0


def test_without_a_free_place_the_others_wait_in_the_kernel(scene: Scene) -> None:
    scene.door.places = 1
    scene.door.open(scene.listener)
    for _ in range(2):
        scene.connect().sendall(b"1\n2\n")
    scene.turning.until(lambda: scene.whole)
    scene.turning.a_while()
    assert (len(scene.whole), scene.door.free, scene.door.full) == (1, 0, False)
    scene.whole[0].close()
    scene.turning.until(lambda: len(scene.whole) == 2)


def test_who_is_alone_lets_one_more_in(scene: Scene) -> None:
    scene.door.places, scene.door.alone = 1, True
    scene.door.open(scene.listener)
    scene.door.relayed(1)
    assert (scene.door.free, scene.door.full) == (1, False)
    scene.connect().sendall(b"1\n2\n")
    scene.turning.until(lambda: scene.whole)
    assert scene.door.full


def test_after_the_last_connection_nobody_is_accepted(scene: Scene) -> None:
    scene.door.left = 1
    scene.door.open(scene.listener)
    for _ in range(2):
        scene.connect().sendall(b"1\n2\n")
    scene.turning.until(lambda: scene.whole)
    scene.turning.a_while()
    assert (len(scene.whole), scene.door.free, scene.idle) == (1, 0, [])
    scene.whole[0].close()
    assert scene.idle == [True]


def test_shut_means_that_who_is_here_may_stay(scene: Scene) -> None:
    scene.door.open(scene.listener)
    scene.connect().sendall(b"1\n2\n")
    scene.turning.until(lambda: scene.whole)
    scene.door.relayed(1)
    scene.door.shut()
    assert (scene.door.free, scene.idle) == (0, [])
    with pytest.raises(ConnectionRefusedError):
        scene.connect()
    scene.whole[0].close()
    assert scene.idle == []
    scene.door.relayed(0)
    assert scene.idle == [True]


def test_without_descriptors_logins_wait_a_moment(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postlogin_door, "REST", 0.02)
    scene.door.open(scene.listener)
    failures = [OSError(errno.EMFILE, os.strerror(errno.EMFILE))] * 2
    make = Visitor.__init__

    def fail_twice(self: Visitor, *arguments: object, **words: object) -> None:
        if failures:
            raise failures.pop()
        make(self, *arguments, **words)  # type: ignore[arg-type]

    monkeypatch.setattr(Visitor, "__init__", fail_twice)
    clients = [scene.connect() for _ in range(3)]
    clients[2].sendall(b"1\n2\n")
    scene.turning.until(lambda: scene.whole)
    assert "raise the limit of open files" in scene.turning.told[0]
