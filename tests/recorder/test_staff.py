"""Processes that wait for work: one, one more when the bell rings, replaced when they die, gone with who needs them."""

from __future__ import annotations

import _socket
import errno
import itertools
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from rawlog.recorder.staff import BELL, start, take_bell
from tests.support.places import open_descriptors
from tests.support.staff import Staff

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="what is closed to others only root sees")


def serve(work: _socket.socket) -> None:
    """Says who answers; ``hang`` is never answered, but after the end of all others it ends, too."""
    while message := work.recv(100):
        if message == b"hang":
            parent = os.getppid()
            while os.getppid() == parent:
                time.sleep(0.01)
        else:
            work.send(b"%d" % os.getpid())


def staff_of(count: int) -> Staff:
    return Staff(partial(start, serve, count))


@pytest.fixture
def staff() -> Iterator[Staff]:
    staff = staff_of(2)
    yield staff
    staff.close()


def who_answers(staff: Staff) -> int:
    staff.work.send(b"who")
    return int(staff.work.recv(100))


def test_who_dies_is_replaced(staff: Staff) -> None:
    staff.ring()
    killed = staff.wait_for(2)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    new = staff.wait_for(2, without=killed)
    assert who_answers(staff) in new


def test_there_is_one_until_one_more_is_called_and_never_more_than_wanted(staff: Staff) -> None:
    (pid,) = staff.wait_for(1)
    assert who_answers(staff) == pid
    staff.wait_for(1)
    for _ in range(3):
        staff.ring()
        staff.wait_for(2)
    time.sleep(0.1)
    staff.wait_for(2)


def test_while_one_hangs_another_that_is_called_takes_the_work_and_nobody_waits_at_the_end() -> None:
    staff = staff_of(2)
    (first,) = staff.wait_for(1)
    staff.work.send(b"hang")
    staff.ring()
    assert who_answers(staff) in staff.wait_for(2)
    assert first in staff.pids()
    staff.close()  # the parent, too, although one still hangs


def test_a_single_one_stays_single() -> None:
    staff = staff_of(1)
    staff.ring()
    assert who_answers(staff) == staff.wait_for(1)[0]
    staff.close()


def test_one_that_can_not_be_started_is_tried_again_when_it_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    real, forks = os.fork, itertools.count(1)

    def fork() -> int:
        if next(forks) == 2:  # the first keeper
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return real()

    monkeypatch.setattr(os, "fork", fork)
    staff = staff_of(1)
    monkeypatch.undo()
    staff.work.send(b"who")
    time.sleep(0.05)
    assert staff.pids() == []
    staff.ring()
    assert int(staff.work.recv(100)) in staff.wait_for(1)
    staff.close()


@needs_root
def test_they_hold_nothing_of_who_started_them(tmp_path: Path) -> None:
    held = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(held, True)
    staff = staff_of(1)
    pid = who_answers(staff)
    assert kinds(pid) == ["pipe", "socket"]  # by the pipe the parent sees its end
    assert kinds(staff.parent) == ["pipe", "pipe", "socket"]  # the bell's and that one's
    os.close(held)
    staff.close()


def kinds(pid: int) -> list[str]:
    """What a process holds besides its standard input and outputs."""
    entries = Path(f"/proc/{pid}/fd").iterdir()
    return sorted(str(entry.readlink()).partition(":")[0] for entry in entries if int(entry.name) > 2)


def test_who_starts_them_holds_the_socket_and_the_bell() -> None:
    before = open_descriptors()
    staff = staff_of(1)
    assert open_descriptors() == before + 2
    staff.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("first", [b"", BELL, b"+"])
def test_where_there_is_no_bell_there_is_none(first: bytes) -> None:
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    if first:
        theirs.send(first)
    assert take_bell(ours) is None
    theirs.close()
    assert take_bell(ours) is None
    ours.close()
