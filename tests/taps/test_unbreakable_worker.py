"""A worker by itself: it takes over what a predecessor left, and dies of what goes wrong in it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from rawlog.engine.bounds import Limits
from rawlog.engine.ledger import DONE, LIVE, Journal, Ledger
from rawlog.engine.pipes import Pipe, open_pipe, why_not
from rawlog.events import Direction
from rawlog.taps.unbreakable_place import WITHDRAWN, Card, Place
from rawlog.taps.unbreakable_worker import BUG, SILENT, SILENT_NOW, Worker, die

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"rawlog_relay = unbreakable: {why_not()}")


class Stage:
    """One conversation, a pipe with something in it, and a worker that takes over."""

    def __init__(self, place: Path, left: bytes, *, owner: int, silent: int = 0) -> None:
        self.path = place / "x.in"
        self.client, client = socket.socketpair()
        self.server, server = socket.socketpair()
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        card = Card("rawlog(u)", False, False, True, [(Direction.IN, str(self.path))])
        self.ledger = Ledger(2)
        self.ledger.clear(0)
        self.ledger.set_silent(0, silent)
        Journal(self.ledger, 0).begin(0)
        pipe = Pipe(0, *open_pipe())
        os.write(pipe.writer, left)
        self.ledger.own(0, owner)
        self.holder, channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.reports: list[str] = []
        places = {0: Place(0, card.encode(), [client.detach(), server.detach(), file])}
        self.worker = Worker(self.ledger, channel, [pipe], places, limits=Limits(), report=self.reports.append)
        self.holder.close()

    def talk(self) -> bytes:
        """Ends the conversation, and lets the worker end with it; what the server got."""
        self.client.sendall(b", hello\n")
        for sock in (self.client, self.server):
            sock.shutdown(socket.SHUT_WR)
        limit = self.worker.loop.call_later(10, self.worker.loop.stop)
        self.worker.loop.run()
        limit.cancel()
        self.server.settimeout(5)
        return self.server.recv(1000)


def test_it_goes_on_with_what_a_pipe_holds_and_ends_with_the_last_conversation(tmp_path: Path) -> None:
    stage = Stage(tmp_path, b"left", owner=1)
    assert stage.talk() == b"left, hello\n"
    assert stage.path.read_bytes() == b"left, hello\n"
    assert stage.ledger.state(0) == DONE


def test_what_belongs_to_nobody_is_thrown_away(tmp_path: Path) -> None:
    stage = Stage(tmp_path, b"of a conversation that ended", owner=2 * 1 + 1)
    assert stage.ledger.state(0) == LIVE
    assert stage.talk() == b", hello\n"


class Offer:
    """A worker without a holder, to which a conversation has been offered."""

    def __init__(self, place: Path, last_word: bytes = b"") -> None:
        self.path = place / "x.in"
        self.path.write_bytes(b"the service's own")
        self.client, client = socket.socketpair()
        self.server, server = socket.socketpair()
        self.ledger = Ledger(2)
        self.ledger.clear(1)
        holder, channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.worker = Worker(self.ledger, channel, [], {}, limits=Limits(), report=print)
        reader, self.withdrawal = os.pipe()
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        card = Card("rawlog(u)", False, False, True, [(Direction.IN, str(self.path))])
        socket.send_fds(holder, [b"C" + (1).to_bytes(8, "little") + card.encode()],
                        [reader, client.fileno(), server.fileno(), file])  # fmt: skip
        if last_word:
            holder.send(b"F" + last_word)
        for fd in (reader, file):
            os.close(fd)
        for sock in (holder, client, server):
            sock.close()

    def run(self) -> None:
        limit = self.worker.loop.call_later(10, self.worker.loop.stop)
        self.worker.loop.run()
        limit.cancel()


def test_what_is_offered_is_not_touched_before_it_is_decided(tmp_path: Path) -> None:
    offer = Offer(tmp_path)
    offer.worker.loop.call_later(0.1, offer.worker.loop.stop)
    offer.client.sendall(b"hello\n")
    offer.run()
    assert offer.path.read_bytes() == b"the service's own"
    os.close(offer.withdrawal)
    offer.client.shutdown(socket.SHUT_WR)
    offer.server.shutdown(socket.SHUT_WR)
    offer.run()
    assert offer.server.recv(100) == b"hello\n"
    assert offer.path.read_bytes() == b"hello\n"
    assert offer.ledger.state(1) == DONE


def test_what_is_withdrawn_is_let_go(tmp_path: Path) -> None:
    offer = Offer(tmp_path)
    os.write(offer.withdrawal, WITHDRAWN)
    os.close(offer.withdrawal)
    offer.run()
    assert offer.path.read_bytes() == b"the service's own"
    assert offer.client.recv(100) == b""  # nobody has the other end any more
    assert offer.ledger.state(1) == LIVE


def test_all_that_was_told_to_end_ends_what_comes_after(tmp_path: Path) -> None:
    offer = Offer(tmp_path, b"enough")
    offer.worker.loop.call_later(0.1, lambda: os.close(offer.withdrawal))
    offer.run()
    assert offer.server.recv(100) == b""
    assert offer.ledger.state(1) == DONE


@pytest.mark.parametrize("stage_before", [SILENT_NOW, SILENT])
def test_a_silent_conversation_is_relayed_and_says_so_once(tmp_path: Path, stage_before: int) -> None:
    stage = Stage(tmp_path, b"left", owner=1, silent=stage_before)
    assert stage.ledger.silent(0) == SILENT
    assert stage.talk() == b"left, hello\n"
    said = stage.path.read_bytes()
    assert (b"not recorded from here on" in said) is (stage_before == SILENT_NOW)
    assert b"hello" not in said
    assert len(stage.reports) == (1 if stage_before == SILENT_NOW else 0)


def test_a_bug_ends_the_process_with_one_line() -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.dup2(writer, 2)
        try:
            raise ValueError("two\nlines")
        except ValueError as error:
            die(error)
    os.close(writer)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == BUG
    with os.fdopen(reader, "rb") as file:
        said = file.read()
    assert said.startswith(b"rawlog worker %d: ValueError: two lines at test_unbreakable_worker.py:" % pid)
    assert said.endswith(b"; it is replaced\n")
