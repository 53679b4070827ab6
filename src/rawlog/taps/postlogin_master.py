"""Dovecot's master, as a service process sees it: inherited listeners, status reports, and its death.

Knows: which descriptors and which words in the environment the master leaves to its children, and what it wants to be
told. Must not know: what the service does. All of it was observed on 2.3.19 and read in the line of 2.4.
"""

from __future__ import annotations

import os
import signal
import stat
import struct
from _socket import SO_ACCEPTCONN, SOL_SOCKET, SocketType
from collections.abc import Mapping

from rawlog.engine.loop import READ, Loop
from rawlog.taps.postlogin_door import PLACES, Door

STATUS_FD = 5
"""Where the master reads status reports: pid, generation, and how many more connections we accept."""
DEATH_FD = 6
"""Readable, or hung up, when the master is gone or has a new configuration."""
FIRST_FD = 7
"""Listeners begin here; 2.4 puts two other descriptors before them."""
LAST_FD = 63
DELAY = 1.0
"""Seconds until a report that decides nothing: the master acts when no place is left or one is free again, and when
nobody was here for idle_kill. Each report wakes it up, twice at every login otherwise."""
RETRY = 0.1
"""Seconds until a status report is tried again when the master is behind."""


def inherited_listeners() -> list[SocketType]:
    """The listening sockets that the master has opened for us."""
    found = []
    for fd in range(FIRST_FD, LAST_FD + 1):
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
        except OSError:  # not open
            continue
        sock = SocketType(fileno=fd)
        if sock.getsockopt(SOL_SOCKET, SO_ACCEPTCONN):
            os.set_inheritable(fd, False)
            found.append(sock)
        else:
            sock.detach()
    return found


class Master:
    """Keeps Dovecot's master informed about ``door``, and shuts it when the master wants that or is gone.

    What is relayed then goes on; ``door.on_idle`` tells when all is over.
    """

    def __init__(
        self,
        loop: Loop,
        door: Door,
        environment: Mapping[str, str],
    ) -> None:
        self._loop = loop
        self._door = door
        self._generation = _number(environment, "GENERATION", 0)
        self._told = -1
        self._waiting = False
        door.places = _number(environment, "CLIENT_LIMIT", PLACES)
        door.left = _number(environment, "SERVICE_COUNT", 0) or None
        door.alone = _number(environment, "PROCESS_LIMIT", 0) == 1
        door.on_change = self._changed

    def attend(self) -> None:
        """Begin: report for the first time, and listen for the end."""
        self._loop.register(DEATH_FD, self._died, READ)
        self._loop.add_signal(signal.SIGINT, self._asked_to_end)
        self._changed()

    def _changed(self) -> None:
        """Tell the master: after this wake-up when it has to act, else with what happens meanwhile."""
        free = self._door.free
        if free == self._told:
            return
        if not free or self._told <= 0:
            self._loop.call_soon(self._tell)
        else:
            self._tell_later(DELAY)

    def _tell_later(self, seconds: float) -> None:
        if not self._waiting:
            self._waiting = True
            self._loop.call_later(seconds, self._tell_now)

    def _tell_now(self) -> None:
        """Somebody was here, and the master must know, or it takes us for idle: even if all places are free again."""
        self._waiting = False
        free = self._door.free
        if free and free == self._told:
            self._write(free - 1, free)
        else:
            self._tell()

    def _tell(self) -> None:
        if self._door.free != self._told:
            self._write(self._door.free)

    def _write(self, *numbers: int) -> None:
        """Reports, one for each number of free places."""
        reports = b"".join(struct.pack("=iII", os.getpid(), self._generation, free) for free in numbers)
        try:
            os.write(STATUS_FD, reports)
        except BlockingIOError:
            self._tell_later(RETRY)
        except OSError:  # the master is gone, which the other descriptor tells too
            self._told = numbers[-1]
        else:
            self._told = numbers[-1]

    def _asked_to_end(self) -> None:
        """SIGINT: the master has seen us idle for idle_kill seconds."""
        if self._door.busy:
            self._tell()
        else:
            self._door.shut()

    def _died(self, events: int) -> None:
        self._loop.unregister(DEATH_FD)
        self._door.shut()


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else default
