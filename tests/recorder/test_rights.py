"""Acting as users: nothing of root is left while it lasts, one follows another, and what fails leaves root."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawlog.recorder.rights import act_as
from tests.support.places import NOBODY, STRANGER, ids_given_back

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="acting as another user takes root")


@pytest.fixture(autouse=True)
def own_ids_afterwards() -> Iterator[None]:
    with ids_given_back():
        yield


def ids() -> tuple[tuple[int, int, int], tuple[int, int, int], list[int]]:
    return os.getresuid(), os.getresgid(), os.getgroups()


@needs_root
def test_acting_as_a_user_leaves_nothing_of_root_but_the_way_to_the_next() -> None:
    act_as(NOBODY, NOBODY)
    assert ids() == ((0, NOBODY, 0), (0, NOBODY, 0), [NOBODY])
    assert "CapEff:\t0000000000000000" in Path("/proc/self/status").read_text()
    act_as(STRANGER, NOBODY)
    assert ids() == ((0, STRANGER, 0), (0, NOBODY, 0), [NOBODY])
    act_as(STRANGER, STRANGER)
    assert ids() == ((0, STRANGER, 0), (0, STRANGER, 0), [STRANGER])


@needs_root
def test_who_acts_as_the_user_already_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    act_as(NOBODY, NOBODY)
    monkeypatch.delattr(os, "setresuid")
    act_as(NOBODY, NOBODY)
    monkeypatch.undo()


@needs_root
@pytest.mark.parametrize("call", ["setgroups", "setresgid", "setresuid"])
def test_a_change_that_fails_leaves_root_and_the_next_one_works(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    real: Callable[..., None] = getattr(os, call)

    def fail(*given: object) -> None:
        if given in (([STRANGER],), (-1, STRANGER, -1)):
            raise PermissionError(1, "Operation not permitted")
        real(*given)

    act_as(NOBODY, NOBODY)
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(PermissionError):
        act_as(STRANGER, STRANGER)
    assert os.getresuid() == (0, 0, 0)
    act_as(NOBODY, NOBODY)
    assert ids() == ((0, NOBODY, 0), (0, NOBODY, 0), [NOBODY])


@needs_root
def test_a_change_that_did_not_happen_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "setresgid", lambda *given: None)
    with pytest.raises(PermissionError, match=f"uid {NOBODY} and gid {NOBODY} can't be taken on"):
        act_as(NOBODY, NOBODY)
    assert os.getresuid() == (0, 0, 0)


def test_an_ordinary_user_can_be_nobody_else() -> None:
    mine = os.geteuid() or NOBODY
    pid = os.fork()
    if not pid:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setresuid(mine, mine, mine)
            before = ids()
            act_as(mine, 12345)
            with pytest.raises(PermissionError, match=f"uid {mine} can't act as uid {mine + 1}"):
                act_as(mine + 1, 12345)
            code = int(ids() != before)
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
