"""Freed memory is kept where malloc can be told to, and nothing is changed elsewhere."""

from __future__ import annotations

import ctypes

import pytest

from rawlog.engine import memory
from rawlog.engine.bounds import READ_MAX
from rawlog.engine.memory import READ_MAX_KEPT, keep_freed_memory


class Libc:
    """A C library whose mallopt knows some settings."""

    def __init__(self, *known: int) -> None:
        self._known = known
        self.set: dict[int, int] = {}

    def mallopt(self, name: int, value: int) -> int:
        self.set[name] = value
        return int(name in self._known)


def test_glibc_is_told_three_things(monkeypatch: pytest.MonkeyPatch) -> None:
    libc = Libc(-1, -2, -3)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: libc)
    assert keep_freed_memory() == READ_MAX_KEPT
    assert libc.set == {-3: 32 << 20, -1: 64 << 20, -2: 1 << 20}


def test_where_a_setting_is_refused_reads_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Libc(-1, -2))
    assert keep_freed_memory() == READ_MAX


@pytest.mark.parametrize("error", [OSError("no such library"), None])
def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch, error: OSError | None) -> None:
    def load(name: str | None) -> object:
        if error is not None:
            raise error
        return object()

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert keep_freed_memory() == READ_MAX


def test_the_real_one_answers() -> None:
    assert keep_freed_memory() in (READ_MAX, READ_MAX_KEPT)


def test_both_directions_stay_below_the_promise() -> None:
    records = -(-READ_MAX_KEPT // 16384)
    assert 2 * (READ_MAX_KEPT + records * 22) <= 512 << 10
    assert memory.KEPT <= 64 << 20
