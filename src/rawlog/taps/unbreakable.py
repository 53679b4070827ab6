"""The post-login service's side of unbreakable conversations: hands them to the holder, and hears when they end.

Knows: the words that the holder understands, and that it may be gone. Must not know: how a conversation is relayed. A
conversation that the holder does not take stays with the service, which relays it as any other.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from rawlog.engine.bounds import Limits
from rawlog.engine.loop import READ, Loop
from rawlog.engine.pipes import why_not
from rawlog.taps.holder_process import start_holder
from rawlog.taps.unbreakable_place import MESSAGE, WITHDRAWN, Card

PAUSE = 1.0
"""Seconds until a holder that could not be started, or died, is tried again."""


class HasPlaces(Protocol):
    """Who knows how many conversations there may be."""

    places: int


class Unbreakable:
    """Conversations for a holder, which is started for the first of them; it takes ``door.places`` at a time."""

    def __init__(self, loop: Loop, door: HasPlaces, *, limits: Limits, report: Callable[[str], None]) -> None:
        self._loop = loop
        self._door = door
        self._limits = limits
        self._report = report
        self._sock: socket.socket | None = None
        self._pid = 0
        self._count = 0
        self._not_before = float("-inf")
        self._asked: deque[tuple[int, Callable[[bool], None], Callable[[], None]]] = deque()
        self._ends: dict[int, Callable[[], None]] = {}
        self._possible = not (reason := why_not())
        if reason:
            report(f"rawlog_relay = unbreakable is not possible here: {reason}; conversations are relayed as with fast")

    def offer(
        self, card: Card, fds: Sequence[int], *, taken: Callable[[bool], None], ended: Callable[[], None]
    ) -> None:
        """Hand over copies of client, mail process and files.

        ``taken(yes)`` is called once, perhaps at once: True: close yours; False: it is yours to relay. ``ended()`` is
        called later when it was taken and has ended, or nobody here will know.
        """
        message = b"C" + card.encode()
        if len(message) + 8 > MESSAGE or not self._ready():
            taken(False)
            return
        withdrawal = self._hand_over(message, fds)
        if withdrawal is None:
            taken(False)
        else:
            self._asked.append((withdrawal, taken, ended))

    def _hand_over(self, message: bytes, fds: Sequence[int]) -> int | None:
        """Send it; returns by what it can be withdrawn. None when it can't be sent."""
        assert self._sock is not None
        try:
            reader, writer = os.pipe()
        except OSError:
            return None
        try:
            socket.send_fds(self._sock, [message], [reader, *fds])
        except OSError:
            os.close(writer)
            return None
        finally:
            os.close(reader)
        return writer

    def finish(self, reason: str) -> None:
        """End all conversations; what is queued is still delivered."""
        self._tell(b"F" + reason.encode())

    def replace_worker(self) -> None:
        """Let a new worker go on with everything."""
        self._tell(b"R")

    def close(self) -> None:
        """Hand over nothing more. What was goes on without us."""
        if self._sock is not None:
            self._loop.unregister(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _tell(self, message: bytes) -> None:
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.send(message)

    def _ready(self) -> bool:
        """Whether there is a holder."""
        now = self._loop.monotonic()
        if self._sock is None and self._possible and now >= self._not_before:
            self._not_before = now + PAUSE
            try:
                self._pid, self._sock = start_holder(self._door.places, limits=self._limits, report=self._report)
            except OSError as error:
                self._report(f"no holder can be started: {error.strerror}; conversations are relayed as with fast")
                return False
            self._count = 0
            self._loop.register(self._sock.fileno(), self._heard, READ)
        return self._sock is not None

    def _heard(self, events: int) -> None:
        assert self._sock is not None
        try:
            message = self._sock.recv(64)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._lost()
        elif message.startswith(b"E"):
            self._ends.pop(int(message[1:]))()
        else:
            withdrawal, taken, ended = self._asked.popleft()
            os.close(withdrawal)
            if message == b"A":
                self._ends[self._count] = ended
                self._count += 1
            taken(message == b"A")

    def _lost(self) -> None:
        """The holder is gone. Its worker finishes what it has; we hear no more of it."""
        self.close()
        pid = self._pid
        self._loop.call_later(PAUSE, lambda: _forget(pid))  # it may not have ended altogether yet
        self._report("the holder of conversations has died; its worker finishes them, new ones get a new holder")
        asked, self._asked = self._asked, deque()
        ends, self._ends = self._ends, {}
        for withdrawal, taken, _ in asked:
            with contextlib.suppress(OSError):  # nobody has got it
                os.write(withdrawal, WITHDRAWN)
            os.close(withdrawal)
            taken(False)
        for ended in ends.values():
            ended()


def _forget(pid: int) -> None:
    """Let the system forget a child that has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
