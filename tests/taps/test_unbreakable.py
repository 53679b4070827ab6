"""The service's side: what is handed over, what is not, and what happens when the holder is gone."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.engine.bounds import Limits
from rawlog.engine.loop import Loop
from rawlog.engine.pipes import why_not
from rawlog.events import Direction
from rawlog.taps import unbreakable
from rawlog.taps.holder import Holder
from rawlog.taps.unbreakable import Unbreakable
from rawlog.taps.unbreakable_place import Card

needs_pipes = pytest.mark.skipif(bool(why_not()), reason=f"rawlog_relay = unbreakable: {why_not()}")


class Door:
    places = 2


class Front:
    def __init__(self, place: Path) -> None:
        self.loop = Loop()
        self.reports: list[str] = []
        self.place = place
        self.house = Unbreakable(self.loop, Door(), limits=Limits(), report=self.reports.append)
        self.said: list[str] = []
        self.kept: list[socket.socket] = []
        self.ends: list[tuple[socket.socket, socket.socket]] = []

    def offer(self, name: str, *, card: Card | None = None, keep: bool = False) -> None:
        client, theirs = socket.socketpair()
        server, ours = socket.socketpair()
        path = str(self.place / name)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        card = card or Card(name, False, False, True, [(Direction.IN, path)])
        self.ends.append((client, server))
        for sock in (theirs, ours):
            sock.setblocking(False)

        def taken(yes: bool) -> None:
            self.said.append(f"{name} {'taken' if yes else 'refused'}")
            if keep and not yes:
                self.kept += [theirs, ours]
                return
            theirs.close()
            ours.close()
            os.close(file)

        fds = [theirs.fileno(), ours.fileno(), file]
        self.house.offer(card, fds, taken=taken, ended=lambda: self.said.append(f"{name} ended"))

    def until(self, *words: str) -> None:
        limit = self.loop.call_later(10, self.loop.stop)

        def look() -> None:
            if set(words) <= set(self.said):
                self.loop.stop()
            else:
                self.loop.call_later(0.005, look)

        self.loop.call_soon(look)
        self.loop.run()
        limit.cancel()
        assert set(words) <= set(self.said), self.said


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    front = Front(tmp_path)
    yield front
    for sock in [*front.kept, *(end for pair in front.ends for end in pair)]:
        sock.close()
    front.house.close()
    if front.house._pid:
        os.waitpid(front.house._pid, 0)
    front.loop.close()


@needs_pipes
def test_a_conversation_is_taken_and_its_end_is_heard(front: Front) -> None:
    front.offer("one")
    front.offer("two")
    front.offer("three")
    front.until("one taken", "two taken", "three refused")
    for sock in front.ends[1]:
        sock.close()
    front.until("two ended")
    assert "one ended" not in front.said
    front.offer("four")
    front.until("four taken")


@needs_pipes
def test_when_the_holder_dies_all_count_as_ended_and_the_next_gets_a_new_one(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.offer("one")
    front.until("one taken")
    first = front.house._pid
    client, server = front.ends[0]
    server.settimeout(10)
    client.sendall(b"before")
    assert server.recv(100) == b"before"
    os.kill(first, signal.SIGKILL)
    front.until("one ended")
    client.sendall(b"goes on")
    assert server.recv(100) == b"goes on"
    front.offer("two")
    front.until("two refused")
    monkeypatch.setattr(front.house, "_not_before", 0.0)
    front.offer("three")
    front.until("three taken")
    assert front.house._pid != first
    assert len(front.reports) == 1
    assert "holder of conversations has died" in front.reports[0]


@needs_pipes
def test_a_holder_that_dies_before_its_answer_leaves_the_conversation_to_the_service(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    say = Holder._say

    def die(self: Holder) -> None:
        if b"A" in self._outgoing:
            (front.place / "worker").write_text(str(self.pid))
            os._exit(9)
        say(self)

    with monkeypatch.context() as patch:
        patch.setattr(Holder, "_say", die)
        front.offer("one", keep=True)
    front.until("one refused")
    worker = int((front.place / "worker").read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists():  # it has nothing to do
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (front.place / "one").write_bytes(b"ours")
    client, server = front.ends[0]
    client.sendall(b"for the service")
    assert front.kept[0].recv(100) == b"for the service"
    server.sendall(b"too")
    assert front.kept[1].recv(100) == b"too"
    assert (front.place / "one").read_bytes() == b"ours"


@needs_pipes
def test_a_holder_that_dies_before_it_has_passed_a_conversation_on_leaves_it_too(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Holder, "_take", lambda *_: os._exit(9))
        front.offer("one", keep=True)
        front.offer("two", keep=True)
    front.until("one refused", "two refused")
    for number in range(2):
        front.ends[number][0].sendall(b"for the service")
        assert front.kept[2 * number].recv(100) == b"for the service"


@needs_pipes
def test_what_is_too_long_to_say_is_refused_at_once(front: Front) -> None:
    front.offer("one", card=Card("x" * 20000, False, False, True, []))
    assert front.said == ["one refused"]


def test_where_it_is_not_possible_it_says_so_once_and_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unbreakable, "why_not", lambda: "it needs Linux, this is plan9")
    front = Front(tmp_path)
    front.offer("one")
    assert front.said == ["one refused"]
    assert front.reports == [
        "rawlog_relay = unbreakable is not possible here: it needs Linux, this is plan9; "
        "conversations are relayed as with fast"
    ]


@needs_pipes
def test_a_holder_that_can_not_be_started_costs_nothing(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(unbreakable, "start_holder", fail)
    front.offer("one")
    assert front.said == ["one refused"]
    assert "no holder can be started: Cannot allocate memory" in front.reports[0]
