"""The holder: what it does when a worker dies of itself, when it is asked, and when it is left alone."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.engine.pipes import why_not
from rawlog.events import Direction
from rawlog.formats.dovecot import PairEncoder
from tests.support.unbreakable import Held, House

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"rawlog_relay = unbreakable: {why_not()}")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, places=3)
    yield house
    house.close()


def say(held: Held, data: bytes) -> None:
    held.client.sendall(data)
    assert held.server.recv(1000) == data
    held.server.sendall(b"OK\r\n")
    assert held.client.recv(1000) == b"OK\r\n"


def end(house: House, held: Held) -> None:
    held.client.close()
    held.server.close()
    house.wait_ended(held)


def wait_for_another(house: House, worker: int | None) -> int:
    deadline = time.monotonic() + 10
    while (now := house.worker) in (None, worker):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert now is not None
    return now


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_a_conversation_that_always_kills_the_recorder_goes_on_unrecorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = PairEncoder.chunk

    def chunk(self: PairEncoder, at: int | None, direction: Direction, data: bytes) -> bytes:
        if b"poison" in data:
            raise ZeroDivisionError("poison")
        return whole(self, at, direction, data)

    monkeypatch.setattr(PairEncoder, "chunk", chunk)
    house = House(tmp_path)
    monkeypatch.undo()
    try:
        bad, good = house.open(), house.open()
        for number in range(3):
            say(bad, b"%d\r\n" % number)
        time.sleep(0.3)
        bad.client.sendall(b"poison\r\n")
        assert bad.server.recv(100) == b"poison\r\n"
        bad.server.sendall(b"OK\r\n")
        deadline = time.monotonic() + 10
        while "several times" not in house.reports:
            assert time.monotonic() < deadline, house.reports
            say(good, b"good\r\n")
            time.sleep(0.01)
        assert bad.client.recv(100) == b"OK\r\n"
        say(bad, b"poison again\r\n")
        end(house, bad)
        worker = house.worker
        say(good, b"after\r\n")
        assert house.worker == worker
        end(house, good)
        assert bad.recorded(Direction.IN) == (
            b"0\r\n1\r\n2\r\n[rawlog: not recorded from here on: "
            b"the recorder died of it several times; please report that]\r\n"
        )
        assert good.recorded(Direction.IN).replace(b"good\r\n", b"") == b"after\r\n"
        assert house.reports.count("several times") == 1
        assert house.reports.count("ZeroDivisionError: poison") == 3
    finally:
        house.close()


def test_a_killed_worker_is_no_fault_of_the_conversation(house: House) -> None:
    held, worker = house.open(), None
    for number in range(6):
        say(held, b"%d\r\n" % number)
        worker = wait_for_another(house, worker)
        os.kill(worker, signal.SIGTERM if number % 2 else signal.SIGKILL)
    say(held, b"last\r\n")
    end(house, held)
    assert held.recorded(Direction.IN) == b"0\r\n1\r\n2\r\n3\r\n4\r\n5\r\nlast\r\n"
    assert house.reports == ""


def test_an_idle_conversation_takes_four_descriptors_in_each_process(house: House) -> None:
    first = house.open()
    say(first, b"x\r\n")
    worker = house.worker
    assert worker is not None
    time.sleep(0.2)  # the holder gets its copies of the worker's first pipes
    before = descriptors(house.pid), descriptors(worker)
    second = house.open()
    say(second, b"x\r\n")
    assert (descriptors(house.pid), descriptors(worker)) == (before[0] + 4, before[1] + 4)
    end(house, second)
    assert (descriptors(house.pid), descriptors(worker)) == before
    end(house, first)


def test_who_finds_no_place_is_told_so(house: House) -> None:
    held = [house.open() for _ in range(3)]
    one, other = socket.socketpair()
    socket.send_fds(house.front, [b"C[]"], [one.fileno(), other.fileno()])
    assert house.front.recv(10) == b"N"
    for each in held:
        end(house, each)
    end(house, house.open())


def test_the_end_of_the_service_is_not_the_end_of_its_conversations(tmp_path: Path) -> None:
    house = House(tmp_path)
    held = house.open()
    house.front.shutdown(socket.SHUT_RDWR)
    for number in range(3):
        worker = wait_for_another(house, None)
        os.kill(worker, signal.SIGKILL)
        say(held, b"%d\r\n" % number)
    held.client.close()
    held.server.close()
    house.close()
    assert held.recorded(Direction.IN) == b"0\r\n1\r\n2\r\n"


def test_when_the_holder_dies_the_worker_finishes(tmp_path: Path) -> None:
    house = House(tmp_path)
    held = house.open()
    say(held, b"before\r\n")
    worker = house.worker
    assert worker is not None
    os.kill(house.pid, signal.SIGKILL)
    os.waitpid(house.pid, 0)
    say(held, b"after\r\n")
    held.client.close()
    assert held.server.recv(10) == b""
    held.server.close()
    deadline = time.monotonic() + 10
    while alive(worker):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert held.recorded(Direction.IN) == b"before\r\nafter\r\n"
    house.front.close()


def alive(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_all_conversations_can_be_ended_and_workers_replaced(house: House) -> None:
    held = house.open()
    say(held, b"x\r\n")
    worker = house.worker
    house.front.send(b"R")
    wait_for_another(house, worker)
    say(held, b"y\r\n")
    os.kill(house.pid, signal.SIGHUP)
    say(held, b"z\r\n")
    house.front.send(b"Fenough")
    assert held.client.recv(10) == b""
    assert held.server.recv(10) == b""
    end(house, held)
    assert held.recorded(Direction.IN) == b"x\r\ny\r\nz\r\n"
