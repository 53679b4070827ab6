"""One login: promise, files and refusals in every order they can come."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from rawlog.events import Direction
from rawlog.recorder.directory import NotRecorded
from rawlog.recorder.naming import Opened
from rawlog.recorder.sinks import FileSink
from rawlog.taps import postlogin_login
from rawlog.taps.postlogin_login import Login
from rawlog.taps.postlogin_request import parse_request
from rawlog.taps.postlogin_visitor import Visitor
from tests.support.looping import Turning, turning
from tests.support.places import open_descriptors

MESSAGE = b"VERSION\tscript-login\t1\t0\n\t\tu\tuid=1\n"
NO = NotRecorded("because")


class Scene:
    """A login, and what it did: ``events`` in order."""

    def __init__(self, made: Turning) -> None:
        self.turning = made
        self.mine, theirs = socket.socketpair()
        self.mine.settimeout(10)
        self.client, inner = socket.socketpair()
        self.whole: list[Visitor] = []
        self.visitor = Visitor(made.loop, theirs, on_message=self.whole.append, on_gone=lambda _: None)
        self.visitor.look()
        socket.send_fds(self.mine, [MESSAGE], [inner.fileno()])
        inner.close()
        made.until(lambda: self.whole)
        self.events: list[object] = []
        self.sockets: list[socket.socket] = []
        self.login = Login(
            self.visitor,
            parse_request(MESSAGE),
            new_session=self._session,  # type: ignore[arg-type]
            begin=lambda session, answered: self.events.append(("begin", answered)),
            record=lambda session, user, made: self.events.append(("record", user, made)),
            decline=self._decline,
        )

    def _session(self, client: socket.socket, server: socket.socket) -> object:
        self.sockets += [client, server]
        return "session"

    def _decline(self, visitor: Visitor, request: object, why: NotRecorded) -> None:
        self.events.append(("decline", why))
        visitor.answer(b"u\n", None, lambda _: visitor.close())

    def files(self) -> Opened:
        return Opened("/h/x", {Direction.IN: FileSink(os.open(os.devnull, os.O_WRONLY), "/h/x.in")})

    def given(self) -> tuple[bytes, int]:
        """The answer that the mail process gets, and how many descriptors with it."""
        data, fds, _, _ = socket.recv_fds(self.mine, 1000, 2)
        for fd in fds:
            os.close(fd)
        return data, len(fds)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with turning() as made:
        scene = Scene(made)
        yield scene
        scene.visitor.close()
        for one in (scene.mine, scene.client, *scene.sockets):
            one.close()


def test_a_promise_answers_and_the_files_follow(scene: Scene) -> None:
    scene.login.promised()
    assert scene.given() == (b"u\tuid=1\n", 1)
    files = scene.files()
    scene.login.answered(files)
    assert scene.events == [("begin", True), ("record", "u", files)]
    files.sinks[Direction.IN].close()


def test_files_without_a_promise_answer_too(scene: Scene) -> None:
    files = scene.files()
    scene.login.answered(files)
    assert scene.given() == (b"u\tuid=1\n", 1)
    assert scene.events == [("begin", True), ("record", "u", files)]
    files.sinks[Direction.IN].close()


def test_a_promise_that_is_not_kept_leaves_the_relay(scene: Scene) -> None:
    scene.login.promised()
    scene.login.answered(NO)
    assert scene.events == [("begin", True), ("record", "u", NO)]


def test_no_means_that_the_mail_process_keeps_the_client(scene: Scene) -> None:
    scene.login.answered(NO)
    assert scene.events == [("decline", NO)]
    assert scene.given() == (b"u\n", 0)


def test_without_sockets_the_mail_process_keeps_the_client_and_the_files_are_closed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(postlogin_login._socket, "socketpair", fail)
    scene.login.promised()
    before = open_descriptors()
    scene.login.answered(scene.files())
    assert open_descriptors() == before
    ((what, why),) = scene.events  # type: ignore[misc]
    assert (what, scene.given()) == ("decline", (b"u\n", 0))
    assert "Too many open files; raise the limit" in why.reason


def test_files_that_are_there_before_the_answer_has_gone_wait_for_it(scene: Scene) -> None:
    """A mail process that takes its answer late."""
    scene.visitor._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    with pytest.raises(BlockingIOError):
        while True:
            scene.visitor._sock.send(b"-" * 100, socket.MSG_DONTWAIT)
    scene.login.promised()
    assert scene.login.relayed
    files = scene.files()
    scene.login.answered(files)
    assert scene.events == []
    got = b""
    while not got.endswith(b"u\tuid=1\n"):
        got += scene.mine.recv(1 << 16)
        scene.turning.a_while(0.01)
    assert scene.events == [("begin", True), ("record", "u", files)]
    files.sinks[Direction.IN].close()


def test_a_mail_process_that_is_gone_costs_nothing(scene: Scene) -> None:
    scene.visitor.close()
    before = open_descriptors()
    scene.login.promised()
    scene.login.answered(scene.files())
    assert scene.events == []
    assert open_descriptors() == before


def test_a_mail_process_that_goes_before_the_answer_is_told(scene: Scene) -> None:
    scene.mine.close()
    scene.login.promised()
    assert scene.events == [("begin", False)]
