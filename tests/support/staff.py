"""Keepers, or who else is started like them, with their parent; and how many of them there are."""

from __future__ import annotations

import _socket
import os
import subprocess
import time
from collections.abc import Callable, Iterable

from rawlog.recorder.staff import take_bell
from tests.support.probes import state_of


class Staff:
    """``start()`` starts them; ``work`` is the socket it gives, ``ring`` asks for one more."""

    def __init__(self, start: Callable[[], _socket.socket]) -> None:
        before = set(children_of(os.getpid()))
        self.work = start()
        self.work.settimeout(10)
        (self.parent,) = set(children_of(os.getpid())) - before
        bell = take_bell(self.work)
        assert bell is not None
        self._bell = bell

    def ring(self) -> None:
        os.write(self._bell, b"+")

    def pids(self) -> list[int]:
        return children_of(self.parent)

    def wait_for(self, count: int, without: Iterable[int] = ()) -> list[int]:
        """Those who are there, as soon as they are so many besides those in ``without``."""
        eventually(lambda: len(set(self.pids()) - set(without)) == count)
        return sorted(set(self.pids()) - set(without))

    def close(self) -> None:
        """What the end of the service closes; everybody ends, and says that all went well."""
        pids = self.pids()
        self.work.close()
        os.close(self._bell)
        assert os.waitpid(self.parent, 0)[1] == 0
        eventually(lambda: not any(map(is_alive, pids)))


def children_of(pid: int) -> list[int]:
    asked = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(word) for word in asked.stdout.split()]


def is_alive(pid: int) -> bool:
    try:
        return state_of(pid)["State"][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
