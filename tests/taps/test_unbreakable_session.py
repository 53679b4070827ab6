"""A session that goes to the holder when it can, and is relayed here when not."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rawlog.engine.loop import Loop
from rawlog.events import Direction
from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.sinks import FileSink
from rawlog.taps.postlogin_session import Session
from rawlog.taps.unbreakable_place import Card
from rawlog.taps.unbreakable_session import UnbreakableSession


class House:
    """Answers offers as it is told."""

    def __init__(self, answer: bool | None) -> None:
        self.answer = answer
        self.offers: list[Sequence[int]] = []
        self.taken: Callable[[bool], None] = lambda yes: None
        self.ended: Callable[[], None] = lambda: None

    def offer(
        self, card: Card, fds: Sequence[int], *, taken: Callable[[bool], None], ended: Callable[[], None]
    ) -> None:
        self.offers.append(fds)
        self.taken, self.ended = taken, ended
        if self.answer is not None:
            taken(self.answer)


class Stage:
    def __init__(self, place: Path, answer: bool | None = None) -> None:
        self.loop = Loop()
        self.house = House(answer)
        self.path = place / "x.in"
        self.sinks = {
            Direction.IN: FileSink(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), str(self.path))
        }
        self.client, client = socket.socketpair()
        self.server, server = socket.socketpair()
        self.over: list[object] = []
        self.session = UnbreakableSession(
            self.house,  # type: ignore[arg-type]
            client,
            server,
            ordinary=self.ordinary,
            on_end=self.ended,
        )

    def ordinary(self, client: socket.socket, server: socket.socket, on_end: Callable[[Session], None]) -> Session:
        return Session(self.loop, client, server, keep_secrets=True, on_end=on_end)

    def recorder(self) -> Recorder:
        flusher = Flusher(self.loop.call_later)
        return Recorder(PairEncoder(False), self.sinks, name="x", report=print, flusher=flusher)

    def hand_over(self) -> None:
        card = Card("x", False, False, True, [(Direction.IN, str(self.path))])
        self.session.hand_over(card, self.sinks, self.recorder)

    def ended(self, session: object) -> None:
        self.over.append(session)
        self.loop.stop()

    def talk(self) -> None:
        """Says something, ends, and waits for the end."""
        self.client.sendall(b"hello\n")
        for sock in (self.client, self.server):
            sock.shutdown(socket.SHUT_WR)
        limit = self.loop.call_later(10, self.loop.stop)
        self.loop.run()
        limit.cancel()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def new(answer: bool | None = None) -> Stage:
        made.append(Stage(tmp_path, answer))
        return made[-1]

    yield new
    for stage in made:
        stage.client.close()
        stage.server.close()
        stage.loop.close()


@pytest.mark.parametrize("files_first", [True, False])
def test_it_is_offered_once_it_has_begun_and_has_files(make: Callable[..., Stage], files_first: bool) -> None:
    stage = make(True)
    steps = [stage.hand_over, stage.session.start]
    first, second = steps if files_first else reversed(steps)
    first()
    assert stage.house.offers == []
    second()
    assert len(stage.house.offers[0]) == 3
    assert stage.sinks[Direction.IN].fd == -1
    assert stage.client.recv(1) == b""
    assert stage.over == []
    stage.house.ended()
    assert stage.over == [stage.session]


def test_what_the_holder_refuses_is_relayed_and_recorded_here(make: Callable[..., Stage]) -> None:
    stage = make(False)
    stage.session.start()
    stage.hand_over()
    stage.talk()
    assert stage.over == [stage.session]
    assert stage.server.recv(100) == b"hello\n"
    assert stage.path.read_bytes() == b"hello\n"


def test_without_files_it_is_relayed_unrecorded(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.session.start()
    stage.session.record(None)
    stage.talk()
    assert stage.over == [stage.session]
    assert stage.server.recv(100) == b"hello\n"
    assert stage.path.read_bytes() == b""


def test_a_mail_process_that_is_gone_ends_it_and_late_files_are_closed(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.session.abort("the mail process is gone")
    assert stage.over == [stage.session]
    assert stage.client.recv(1) == b""
    stage.hand_over()
    assert stage.house.offers == []
    assert stage.sinks[Direction.IN].fd == -1


def test_it_can_be_finished_where_it_is_relayed(make: Callable[..., Stage]) -> None:
    stage = make(False)
    stage.session.start()
    stage.hand_over()
    stage.session.finish("enough")
    for sock in (stage.client, stage.server):
        sock.shutdown(socket.SHUT_WR)
    stage.loop.call_later(10, stage.loop.stop)
    stage.loop.run()
    assert stage.over == [stage.session]
