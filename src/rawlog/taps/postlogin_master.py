"""Dovecot's master, as a service process sees it: inherited listeners, status reports, and its death.

Knows: which descriptors and which words in the environment the master leaves to its children, and what it wants to be
told. Must not know: what the service does. All of it was observed on 2.3.19 and read in the line of 2.4.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import struct
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
RETRY = 0.1
"""Seconds until a status report is tried again when the master is behind."""


def inherited_listeners() -> list[socket.socket]:
    """The listening sockets that the master has opened for us."""
    found = []
    for fd in range(FIRST_FD, LAST_FD + 1):
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
        except OSError:  # not open
            continue
        sock = socket.socket(fileno=fd)
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
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
        """Tell the master, after this wake-up: one report for all that happened in it."""
        if self._door.free != self._told and not self._waiting:
            self._waiting = True
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        self._waiting = False
        free = self._door.free
        if free == self._told:
            return
        try:
            os.write(STATUS_FD, struct.pack("=iII", os.getpid(), self._generation, free))
        except BlockingIOError:
            self._waiting = True
            self._loop.call_later(RETRY, self._tell)
        except OSError:  # the master is gone, which the other descriptor tells too
            self._told = free
        else:
            self._told = free

    def _asked_to_end(self) -> None:
        """SIGINT: the master has seen us idle for idle_kill seconds."""
        if not self._door.busy:
            self._door.shut()

    def _died(self, events: int) -> None:
        self._loop.unregister(DEATH_FD)
        self._door.shut()


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else default
