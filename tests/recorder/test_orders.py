"""Asking the keepers: promises, answers, and what happens when they are slow, late or gone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.events import Direction
from rawlog.recorder import keeper, orders
from rawlog.recorder.directory import NotRecorded
from rawlog.recorder.keeper import Order, decode_order
from rawlog.recorder.naming import Opened
from rawlog.recorder.orders import Keepers
from tests.support.looping import Turning, turning
from tests.support.places import open_descriptors

DEADLINE = 0.1


class Scene:
    """Keepers played by the test: ``their`` is their end of the socket."""

    def __init__(self, turning: Turning) -> None:
        ours, self.their = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.their.settimeout(10)
        self.turning = turning
        self.keepers = Keepers(turning.loop, ours, count=2, deadline=DEADLINE)
        self.said: list[object] = []

    def ask(self, home: str = "/h") -> None:
        order = Order(home, 1, 2, 3, 4)
        self.keepers.ask(order, self.said.append, lambda: self.said.append("promise"))

    def asked(self) -> int:
        """The number of the next order that a keeper takes."""
        return decode_order(self.their.recv(10000))[0]

    def answer(self, word: bytes, number: int, *texts: str, files: int = 0) -> None:
        message = b"\0".join([word, b"%d" % number, *(text.encode() for text in texts)])
        if not files:
            self.their.send(message)
            return
        fds = [os.open(os.devnull, os.O_WRONLY) for _ in range(files)]
        socket.send_fds(self.their, [message], fds)
        for fd in fds:
            os.close(fd)

    def wait(self, count: int) -> list[object]:
        self.turning.until(lambda: len(self.said) >= count)
        return self.said


@pytest.fixture
def scene() -> Iterator[Scene]:
    with turning() as made:
        scene = Scene(made)
        yield scene
        scene.keepers.close()
        scene.their.close()


def reason(answer: object) -> str:
    assert isinstance(answer, NotRecorded)
    return answer.reason


def test_first_the_promise_then_the_files(scene: Scene) -> None:
    scene.ask()
    number = scene.asked()
    scene.answer(keeper.PROMISE, number)
    scene.answer(keeper.FILES, number, "/h/x", "in /h/x.in", "out /h/x.out", files=2)
    assert scene.said == []  # never from inside the call
    promise, opened = scene.wait(2)
    assert promise == "promise"
    assert isinstance(opened, Opened)
    assert opened.path == "/h/x"
    assert {direction: sink.name for direction, sink in opened.sinks.items()} == {
        Direction.IN: "/h/x.in",
        Direction.OUT: "/h/x.out",
    }
    for sink in opened.sinks.values():
        sink.write(b"x")
        assert not os.get_inheritable(sink.fd)
        sink.close()


def test_a_promise_may_be_of_no_interest(scene: Scene) -> None:
    scene.keepers.ask(Order("/h", 1, 2, 3, 4), scene.said.append)
    number = scene.asked()
    scene.answer(keeper.PROMISE, number)
    scene.answer(keeper.NO, number, "because")
    assert scene.wait(1) == [NotRecorded("because")]


@pytest.mark.parametrize(("word", "expected"), [(keeper.NO, False), (keeper.EXPECTED, True)])
def test_no_comes_with_its_reason(scene: Scene, word: bytes, expected: bool) -> None:
    scene.ask()
    scene.answer(word, scene.asked(), "because")
    assert scene.wait(1) == [NotRecorded("because", expected=expected)]


def test_files_without_their_descriptors_are_no_files(scene: Scene) -> None:
    before = open_descriptors()
    scene.ask()
    scene.answer(keeper.FILES, scene.asked(), "/h/x", "in /h/x.in", "out /h/x.out", files=1)
    assert "too many open files" in reason(scene.wait(1)[0])
    assert open_descriptors() == before


def test_who_does_not_answer_in_time_is_left_alone_for_a_while(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.ask("/slow")
    number = scene.asked()
    assert "did not answer within 0.1 s" in reason(scene.wait(1)[0])
    scene.ask("/slow")
    assert "look at the file system of /slow" in reason(scene.wait(2)[1])
    scene.ask("/other")
    scene.answer(keeper.EXPECTED, scene.asked(), "other")  # the second /slow was not even asked for
    assert reason(scene.wait(3)[2]) == "other"
    before = open_descriptors()
    scene.answer(keeper.FILES, number, "/h/x", "in /h/x.in", files=1)  # too late: closed
    scene.turning.a_while()
    assert len(scene.said) == 3
    assert open_descriptors() == before


def test_when_all_keepers_hang_nobody_waits(scene: Scene) -> None:
    scene.ask("/one")
    scene.ask("/two")
    scene.wait(2)
    scene.ask("/three")
    assert "all 2 keepers wait" in reason(scene.wait(3)[2])
    scene.answer(keeper.NO, scene.asked(), "at last")  # one is back
    scene.turning.a_while()
    scene.asked()
    scene.ask("/three")
    scene.answer(keeper.NO, scene.asked(), "fine")
    assert reason(scene.wait(4)[3]) == "fine"


def test_after_the_penalty_it_is_tried_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "PENALTY", 0.05)
    scene.ask("/slow")
    scene.asked()
    scene.wait(1)
    scene.turning.a_while(0.1)
    scene.ask("/slow")
    scene.answer(keeper.NO, scene.asked(), "asked again")
    assert reason(scene.wait(2)[1]) == "asked again"


def test_homes_are_not_remembered_without_limit(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "HOMES_LIMIT", 1)
    for home in ("/one", "/two"):
        scene.ask(home)
        scene.wait(len(scene.said) + 1)
    for number in (scene.asked(), scene.asked()):
        scene.answer(keeper.NO, number, "late")
    scene.turning.a_while()
    scene.ask("/one")  # forgotten
    scene.answer(keeper.NO, scene.asked(), "asked")
    assert reason(scene.wait(3)[2]) == "asked"


def test_when_the_keepers_are_gone_everybody_is_told(scene: Scene) -> None:
    scene.ask()
    scene.their.close()
    assert "the keepers have ended" in reason(scene.wait(1)[0])
    scene.ask()
    assert "the keepers have ended" in reason(scene.wait(2)[1])


def test_an_answer_that_fails_does_not_cost_the_others(scene: Scene) -> None:
    errors: list[BaseException] = []
    scene.turning.loop.on_error = errors.append

    def fail(answer: object) -> None:
        raise RuntimeError("a mistake")

    scene.keepers.ask(Order("/h", 1, 2, 3, 4), fail)
    scene.answer(keeper.NO, scene.asked(), "x")
    scene.ask()
    scene.answer(keeper.NO, scene.asked(), "y")
    assert reason(scene.wait(1)[0]) == "y"
    assert [str(error) for error in errors] == ["a mistake"]


def test_with_real_keepers(tmp_path: Path) -> None:
    with turning() as made:
        scene = Scene(made)
        scene.keepers.close()
        keepers = Keepers(made.loop, keeper.start_keepers(1))
        keepers.ask(Order(str(tmp_path), os.geteuid() or 65534, os.getegid() or 65534, 3, 4), scene.said.append)
        assert isinstance(scene.wait(1)[0], NotRecorded)
        keepers.close()
        keepers.ask(Order("/h", 1, 2, 3, 4), scene.said.append)
        assert "the keepers have ended" in reason(scene.wait(2)[1])
