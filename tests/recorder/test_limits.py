"""Limits: the size of one recording, and what stays free."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from rawlog.recorder.limits import ASK_AGAIN, FLOOR_BYTES, SESSION_BYTES, FreeSpace, Limit
from tests.support.recording import Timers

GIB = 1 << 30


class Disk:
    """Stands in for ``os.statvfs``."""

    def __init__(self, size: int, free: int) -> None:
        self.size = size
        self.free = free
        self.asked = 0

    def statvfs(self, where: str | int) -> SimpleNamespace:
        self.asked += 1
        if self.free < 0:
            raise OSError("gone")
        return SimpleNamespace(f_frsize=4096, f_blocks=self.size // 4096, f_bavail=self.free // 4096)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], Disk]:
    def make(size: int, free: int) -> Disk:
        made = Disk(size, free)
        monkeypatch.setattr(os, "statvfs", made.statvfs)
        return made

    return make


def test_session_size() -> None:
    limit = Limit(100)
    assert limit.reached(0, 100) == ""
    assert limit.reached(60, 40) == ""
    assert limit.reached(60, 41) == "limit of 100 bytes reached"
    assert limit.reached(60, 1) == "limit of 100 bytes reached"  # it has one end
    assert limit.reached(60, 0) == "limit of 100 bytes reached"


def test_default_and_none() -> None:
    assert Limit().reached(SESSION_BYTES - 1, 1) == ""
    assert Limit().reached(SESSION_BYTES, 1)
    assert Limit(0).reached(1 << 60, 1 << 60) == ""


@pytest.mark.parametrize(("size", "floor"), [(GIB, FLOOR_BYTES), (100 * GIB, 5 * GIB)])
def test_default_floor(disk: Callable[[int, int], Disk], size: int, floor: int) -> None:
    disk(size, floor)
    assert FreeSpace("/").short() == ""
    disk(size, floor - 4096)
    assert FreeSpace("/").short() == f"less than {floor} bytes free on the file system"


def test_own_floor(disk: Callable[[int, int], Disk]) -> None:
    disk(GIB, 8192)
    assert FreeSpace("/", 8192).short() == ""
    assert FreeSpace("/", 8193).short()
    assert FreeSpace("/", 0).short() == ""


def test_asked_every_few_seconds(disk: Callable[[int, int], Disk]) -> None:
    asked, timers = disk(GIB, 0), Timers()
    space = FreeSpace("/", 4096, clock=timers.now)
    assert space.short()
    asked.free = GIB
    timers.advance(ASK_AGAIN * 0.9)
    assert space.short()
    timers.advance(ASK_AGAIN * 0.1)
    assert space.short() == ""
    assert asked.asked == 2


def test_a_file_system_that_does_not_answer(disk: Callable[[int, int], Disk]) -> None:
    disk(GIB, -1)
    assert FreeSpace("/").short() == ""


def test_both(disk: Callable[[int, int], Disk]) -> None:
    asked, timers = disk(GIB, 0), Timers()
    limit = Limit(100, FreeSpace("/", 4096, clock=timers.now))
    assert "less than 4096" in limit.reached(0, 1)
    asked.free = GIB
    timers.advance(ASK_AGAIN)
    assert limit.reached(0, 1) == ""
    assert "limit of 100" in limit.reached(100, 1)


def test_a_real_file_system() -> None:
    assert FreeSpace("/", 1 << 80).short()
    descriptor = os.open("/", os.O_RDONLY)
    assert FreeSpace(descriptor, 0).short() == ""
    os.close(descriptor)
