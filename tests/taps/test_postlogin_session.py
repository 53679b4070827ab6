"""One recorded conversation: both directions, its end, and a recorder that comes late or never."""

from __future__ import annotations

import contextlib
import gc
import socket
import weakref
from collections.abc import Iterator

import pytest

from rawlog.events import Direction
from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.sinks import MemorySink
from rawlog.taps import postlogin_tap
from rawlog.taps.postlogin_session import Session
from tests.support.looping import Turning, turning

IN, OUT = Direction.IN, Direction.OUT


class Scene:
    def __init__(self, made: Turning) -> None:
        self.turning = made
        self.client, inner_client = socket.socketpair()
        self.server, inner_server = socket.socketpair()
        for one in (self.client, self.server):
            one.setblocking(False)
        self.ended: list[Session] = []
        self.session = Session(made.loop, inner_client, inner_server, keep_secrets=True, on_end=self.ended.append)
        self.sinks = {IN: MemorySink(), OUT: MemorySink()}
        flusher = Flusher(made.loop.call_later)
        self.recorder = Recorder(
            PairEncoder(stamps=False), self.sinks, name="x", report=made.told.append, flusher=flusher
        )
        self.session.start()

    def pass_on(self, source: socket.socket, target: socket.socket, data: bytes) -> None:
        """Say ``data``, and hear it on the other side."""
        source.setblocking(False)
        source.sendall(data)
        got = bytearray()

        def all_there() -> bool:
            with contextlib.suppress(BlockingIOError):
                got.extend(target.recv(1 << 20))
            return len(got) >= len(data)

        self.turning.until(all_there)
        assert got == data


@pytest.fixture
def scene() -> Iterator[Scene]:
    with turning() as made:
        scene = Scene(made)
        yield scene
        scene.client.close()
        scene.server.close()


def test_both_directions_are_passed_on_and_recorded(scene: Scene) -> None:
    scene.session.record(scene.recorder)
    scene.pass_on(scene.server, scene.client, b"a1 OK\r\n")
    scene.pass_on(scene.client, scene.server, b"a2 NOOP\r\n")
    scene.client.close()
    scene.server.close()
    scene.turning.until(lambda: scene.ended)
    assert (scene.sinks[IN].data, scene.sinks[OUT].data) == (b"a2 NOOP\r\n", b"a1 OK\r\n")
    assert scene.sinks[IN].closed


def test_a_recorder_may_come_after_the_end(scene: Scene) -> None:
    scene.pass_on(scene.server, scene.client, b"a1 OK\r\n")
    scene.client.close()
    scene.server.close()
    scene.turning.a_while()
    assert not scene.ended  # who ends the process waits for the recording
    scene.session.record(scene.recorder)
    assert scene.sinks[OUT].data == b"a1 OK\r\n"
    assert scene.sinks[OUT].closed
    assert scene.ended


def test_without_a_recorder_the_conversation_goes_on(scene: Scene) -> None:
    scene.session.record(None)
    scene.pass_on(scene.server, scene.client, b"a1 OK\r\n")
    scene.client.close()
    scene.server.close()
    scene.turning.until(lambda: scene.ended)


def test_too_much_for_a_recording_that_is_not_there_waits(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postlogin_tap, "EARLY_LIMIT", 10)
    scene.pass_on(scene.server, scene.client, b"x" * 11)
    scene.server.sendall(b"later")
    scene.turning.a_while()
    with pytest.raises(BlockingIOError):
        scene.client.recv(10)
    scene.session.record(scene.recorder)
    scene.turning.a_while()
    assert scene.client.recv(10) == b"later"
    scene.recorder.flush()
    assert scene.sinks[OUT].data == b"x" * 11 + b"later"


def test_what_waits_for_the_answer_comes_behind_it_and_once(scene: Scene) -> None:
    seen: list[bool] = []
    scene.session.when_answered(lambda: seen.append(True), 60)
    scene.pass_on(scene.client, scene.server, b"a2 NOOP\r\n")
    scene.turning.a_while(0.01)
    assert seen == []
    scene.pass_on(scene.server, scene.client, b"a1 OK\r\n")
    assert seen == [True]
    scene.pass_on(scene.server, scene.client, b"a2 OK\r\n")
    scene.session.abort("enough")
    scene.turning.a_while(0.01)
    assert seen == [True]
    scene.session.record(scene.recorder)
    assert scene.sinks[IN].data == b"a2 NOOP\r\n"
    assert scene.sinks[OUT].data == b"a1 OK\r\na2 OK\r\n"


def test_it_does_not_wait_for_ever(scene: Scene) -> None:
    seen: list[bool] = []
    scene.session.when_answered(lambda: seen.append(True), 0.001)
    scene.turning.until(lambda: seen)


def test_nor_beyond_the_end(scene: Scene) -> None:
    seen: list[bool] = []
    scene.session.when_answered(lambda: seen.append(True), 60)
    scene.session.abort("the mail process is gone")
    scene.turning.until(lambda: seen)


def test_nor_when_the_client_says_too_much(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postlogin_tap, "EARLY_LIMIT", 10)
    seen: list[bool] = []
    scene.session.when_answered(lambda: seen.append(True), 60)
    scene.pass_on(scene.client, scene.server, b"x" * 11)
    scene.turning.until(lambda: seen)


def test_finish_writes_and_ends(scene: Scene) -> None:
    scene.session.record(scene.recorder)
    scene.pass_on(scene.client, scene.server, b"a2 part")
    scene.session.finish("enough")
    assert scene.sinks[IN].data == b"a2 part"
    scene.turning.a_while(0.01)
    assert scene.client.recv(1) == b""
    scene.client.close()
    scene.server.close()
    scene.turning.until(lambda: scene.ended)


def test_abort_ends_at_once(scene: Scene) -> None:
    scene.session.record(scene.recorder)
    scene.session.abort("the mail process is gone")
    scene.turning.until(lambda: scene.ended)
    assert scene.sinks[IN].closed


def test_nothing_of_it_is_left_without_a_collector(scene: Scene) -> None:
    scene.session.record(scene.recorder)
    scene.pass_on(scene.server, scene.client, b"a1 OK\r\n")
    gone = weakref.ref(scene.session)
    gc.disable()
    try:
        scene.client.close()
        scene.server.close()
        scene.turning.until(lambda: scene.ended)
        scene.ended.clear()
        del scene.session
        assert gone() is None
    finally:
        gc.enable()
