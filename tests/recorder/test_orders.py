"""Asking the keepers: promises, answers, and what happens when they are slow, late or gone."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.events import Direction
from rawlog.recorder import keeper, orders
from rawlog.recorder.descriptors import send
from rawlog.recorder.directory import NotRecorded
from rawlog.recorder.keeper import Order, decode_order
from rawlog.recorder.naming import Opened
from rawlog.recorder.orders import Keepers
from rawlog.recorder.staff import BELL
from tests.support import hanging
from tests.support.hanging import HANGING
from tests.support.looping import Turning, turning
from tests.support.places import NOBODY, open_descriptors

DEADLINE = 0.1
USER = os.geteuid() or NOBODY, os.getegid() or NOBODY


class Scene:
    """Keepers played by the test: ``their`` is their end of the socket."""

    def __init__(self, turning: Turning, deadline: float = DEADLINE) -> None:
        ours, self.their = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.their.settimeout(10)
        self.calls, bell = os.pipe()
        send(self.their, BELL, [bell])
        os.close(bell)
        self.turning = turning
        self.keepers = Keepers(turning.loop, ours, count=2, deadline=deadline)
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

    def rung(self) -> bool:
        """Whether one keeper more was asked for."""
        return bool(select.select([self.calls], [], [], 0)[0])

    def close(self) -> None:
        self.keepers.close()
        self.their.close()
        os.close(self.calls)

    def wait(self, count: int) -> list[object]:
        self.turning.until(lambda: len(self.said) >= count)
        return self.said


@pytest.fixture
def scene() -> Iterator[Scene]:
    with turning() as made:
        scene = Scene(made)
        yield scene
        scene.close()


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


def test_an_order_that_waits_long_calls_one_keeper_more_before_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "PATIENCE", 1 / 1000)
    with turning() as made:
        scene = Scene(made, deadline=60.0)
        scene.ask("/slow")
        made.until(scene.rung)
        assert scene.said == []
        scene.answer(keeper.NO, scene.asked(), "at last")
        assert reason(scene.wait(1)[0]) == "at last"
        scene.close()


def test_an_order_that_is_late_calls_one_keeper_more_even_when_nobody_looked_before(scene: Scene) -> None:
    scene.ask("/slow")
    time.sleep(DEADLINE * 2)  # in something else that happens in the loop
    scene.wait(1)
    assert scene.rung()


def test_who_is_answered_in_time_calls_nobody() -> None:
    with turning() as made:
        scene = Scene(made, deadline=60.0)
        for number in range(3):
            scene.ask()
            scene.answer(keeper.NO, scene.asked(), "no")
            scene.wait(number + 1)
        scene.keepers._look()  # what the timer does
        assert not scene.rung()
        scene.ask()
        scene.keepers._look()
        assert not scene.rung()
        scene.close()


def test_a_keeper_that_can_not_be_called_is_no_error(scene: Scene) -> None:
    os.close(scene.calls)
    scene.ask("/slow")
    scene.wait(1)
    scene.calls = os.open(os.devnull, os.O_RDONLY)


def test_each_order_has_a_deadline_of_its_own(scene: Scene) -> None:
    """One timer is enough for all: it goes on to the next one."""
    loop, ends = scene.turning.loop, dict[str, float]()

    def ask(home: str) -> None:
        begin = loop.monotonic()
        scene.keepers.ask(Order(home, 1, 2, 3, 4), lambda answer: ends.update({home: loop.monotonic() - begin}))

    ask("/a")
    loop.call_later(DEADLINE / 2, lambda: ask("/b"))
    loop.call_later(DEADLINE * 2, lambda: ask("/c"))
    scene.turning.until(lambda: "/b" in ends)
    scene.keepers._stuck.clear()  # or nobody would be asked for /c
    scene.turning.until(lambda: "/c" in ends)
    assert list(ends) == ["/a", "/b", "/c"]
    assert min(ends.values()) >= DEADLINE * 0.99


def test_who_let_the_keepers_go_hears_nothing_and_holds_nothing(scene: Scene) -> None:
    scene.ask()
    before = open_descriptors()
    scene.keepers.close()
    assert open_descriptors() == before - 2  # the socket, the bell
    scene.turning.a_while(DEADLINE * 1.5)
    assert scene.said == []


def test_an_order_behind_one_that_hangs_is_answered_before_any_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only keeper hangs; nobody waits for that longer than it takes to call another."""

    monkeypatch.setattr(keeper, "carry_out", hanging.carry_out)
    monkeypatch.setattr(orders, "PATIENCE", 1 / 1000)
    with turning() as made:
        said: list[str] = []
        keepers = Keepers(made.loop, keeper.start_keepers(2), deadline=60.0)
        for home in (HANGING, "/nowhere/1", "/nowhere/2"):
            keepers.ask(Order(home, *USER, 3, 4), lambda answer: said.append(reason(answer)))
        made.until(lambda: len(said) == 2)
        assert said == [f"/nowhere/{n}/dovecot.rawlog: no such directory; make it (mkdir) to record" for n in (1, 2)]
        assert keepers.refusal("/nowhere/3") is None
        keepers.close()


def test_with_real_keepers(tmp_path: Path) -> None:
    with turning() as made:
        said: list[object] = []
        keepers = Keepers(made.loop, keeper.start_keepers(1))
        keepers.ask(Order(str(tmp_path), *USER, 3, 4), said.append)
        made.until(lambda: said)
        assert isinstance(said.pop(), NotRecorded)
        keepers.close()
        keepers.ask(Order("/h", 1, 2, 3, 4), said.append)
        made.until(lambda: said)
        assert "the keepers have ended" in reason(said[0])
