"""One connection to the post-login socket: messages in any pieces, descriptors, deadlines, answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from rawlog.taps import postlogin_visitor
from rawlog.taps.postlogin_visitor import Peer, Visitor, peer_of
from tests.support.looping import Turning, turning
from tests.support.places import open_descriptors

MESSAGE = b"VERSION\tscript-login\t1\t0\n\t\tu\n"


class Scene:
    """A visitor, and the test as its other side."""

    def __init__(self, made: Turning) -> None:
        self.turning = made
        self.mine, theirs = socket.socketpair()
        self.mine.settimeout(10)
        self.whole: list[Visitor] = []
        self.gone: list[Visitor] = []
        self.visitor = Visitor(made.loop, theirs, on_message=self.whole.append, on_gone=self.gone.append)
        self.visitor.look()

    def send(self, data: bytes, *fds: int) -> None:
        socket.send_fds(self.mine, [data], list(fds)) if fds else self.mine.sendall(data)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with turning() as made:
        scene = Scene(made)
        yield scene
        scene.visitor.close()
        scene.mine.close()


@pytest.mark.parametrize("cut", range(1, len(MESSAGE), 4))
def test_a_message_may_come_in_pieces(scene: Scene, cut: int) -> None:
    fd = os.open(os.devnull, os.O_RDONLY)
    scene.send(MESSAGE[:cut], fd)
    scene.turning.a_while(0.01)
    assert scene.whole == []
    scene.send(MESSAGE[cut:])
    scene.turning.until(lambda: scene.whole)
    assert scene.visitor.data == MESSAGE
    assert [os.fstat(got).st_rdev for got in scene.visitor.fds] == [os.fstat(fd).st_rdev]
    os.close(fd)


def test_a_message_that_is_there_already_needs_no_wake_up(scene: Scene) -> None:
    scene.send(MESSAGE)
    scene.visitor.look()
    assert scene.whole == [scene.visitor]


def test_the_kernel_says_who_it_is(scene: Scene) -> None:
    assert scene.visitor.peer == Peer(os.getpid(), os.getuid())
    assert peer_of(scene.mine) == Peer(os.getpid(), os.getuid())


def test_descriptors_that_nobody_took_are_closed(scene: Scene) -> None:
    before = open_descriptors()
    fds = [os.open(os.devnull, os.O_RDONLY) for _ in range(4)]
    scene.send(MESSAGE, *fds)
    for fd in fds:
        os.close(fd)
    scene.turning.until(lambda: scene.whole)
    assert open_descriptors() == before + 4
    scene.visitor.close()
    scene.visitor.close()
    assert open_descriptors() == before - 1
    assert scene.gone == [scene.visitor]
    assert not scene.visitor.open


def test_too_many_descriptors_are_noticed(scene: Scene) -> None:
    fds = [os.open(os.devnull, os.O_RDONLY) for _ in range(9)]
    scene.send(MESSAGE, *fds)
    scene.turning.until(lambda: scene.whole)
    assert scene.visitor.cut
    assert len(scene.visitor.fds) <= postlogin_visitor.FDS_LIMIT
    for fd in fds:
        os.close(fd)


@pytest.mark.parametrize("data", [b"", b"VERSION\tscript-login\t1\t0\nhalf", b"x" * (postlogin_visitor.LIMIT + 1)])
def test_who_ends_too_early_or_talks_too_much_is_left(scene: Scene, data: bytes) -> None:
    scene.send(data)
    if len(data) < 100:
        scene.mine.shutdown(socket.SHUT_WR)
    scene.turning.until(lambda: scene.gone)
    assert scene.whole == []
    assert scene.mine.recv(1) == b""


def test_who_sends_descriptors_one_by_one_is_left(scene: Scene) -> None:
    fd = os.open(os.devnull, os.O_RDONLY)
    before = open_descriptors()
    for _ in range(postlogin_visitor.FDS_LIMIT + 1):
        scene.send(b"x", fd)
    scene.turning.until(lambda: scene.gone)
    assert open_descriptors() == before - 1
    os.close(fd)


def test_who_says_nothing_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postlogin_visitor, "DEADLINE", 0.05)
    with turning() as made:
        scene = Scene(made)
        made.until(lambda: scene.gone)
        scene.mine.close()


def test_an_answer_goes_with_its_descriptor(scene: Scene) -> None:
    sent: list[bool] = []
    reader, writer = os.pipe()
    scene.visitor.answer(b"u\tuid=1\n", writer, sent.append)
    assert sent == [True]
    data, fds, _, _ = socket.recv_fds(scene.mine, 100, 1)
    os.write(fds[0], b"x")
    assert (data, os.read(reader, 1)) == (b"u\tuid=1\n", b"x")
    for fd in (reader, writer, *fds):
        os.close(fd)


def test_an_answer_that_does_not_fit_is_sent_on(scene: Scene) -> None:
    sent: list[bool] = []
    data, fd = os.urandom(4_000_000), os.open(os.devnull, os.O_RDONLY)
    scene.visitor.answer(data, fd, sent.append)
    assert sent == []
    got, fds = bytearray(), []
    while len(got) < len(data):
        scene.turning.a_while(0.001)
        more, came, _, _ = socket.recv_fds(scene.mine, 1 << 20, 1)
        got += more
        fds += came
    scene.turning.until(lambda: sent)
    assert (sent, len(fds)) == ([True], 1)
    assert got == data
    for one in (fd, *fds):
        os.close(one)


def test_an_answer_to_nobody_is_told(scene: Scene) -> None:
    sent: list[bool] = []
    scene.mine.close()
    scene.visitor.answer(b"u\n", None, sent.append)
    assert sent == [False]


def test_an_answer_that_waits_is_told_when_the_visitor_is_left(scene: Scene) -> None:
    sent: list[bool] = []
    scene.visitor.answer(b"x" * 4_000_000, None, sent.append)
    scene.visitor.close()
    assert sent == [False]


def test_while_nothing_is_expected_an_end_is_not_looked_at(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    ready = Visitor._ready
    monkeypatch.setattr(Visitor, "_ready", lambda self, events: (looked.append(events), ready(self, events)))
    watched = Scene(scene.turning)
    watched.send(MESSAGE)
    watched.turning.until(lambda: watched.whole)
    watched.mine.close()
    watched.turning.a_while()
    assert len(looked) == 1
    watched.visitor.close()


@pytest.mark.parametrize(("said", "yes"), [(b"+", True), (b"-", False), (b"", False)])
def test_a_confirmation(scene: Scene, said: bytes, yes: bool) -> None:
    seen: list[bool] = []
    scene.visitor.confirm(seen.append)
    scene.send(said)
    if not said:
        scene.mine.close()
    scene.turning.until(lambda: seen)
    assert seen == [yes]
    scene.visitor.close()
    assert seen == [yes]


def test_no_confirmation_before_the_end_is_no(scene: Scene) -> None:
    seen: list[bool] = []
    scene.visitor.confirm(seen.append)
    scene.visitor.close()
    assert seen == [False]
