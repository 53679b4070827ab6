"""How much a recording may take: bytes of one conversation, and what must stay free on the file system.

Knows: numbers, and how to ask a file system for its free space. Must not know: what is done when a limit is reached;
that is the recorder's policy. Asking costs a system call, so the answer is kept for a few seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

SESSION_BYTES = 64 << 20
"""One recording, both directions together: three hours of a busy client, or one large mailbox fetched whole."""

FLOOR_BYTES = 500 << 20
FLOOR_SHARE = 20
"""The larger of 500 MiB and one twentieth of the file system stays free for mail and everything else."""

ASK_AGAIN = 2.0
"""Seconds an answer about free space is good for. At a gigabit a second 250 MB come in meanwhile: half the floor."""


class FreeSpace:
    """Looks whether a file system has room left. One object for all recordings in one place."""

    __slots__ = ("_asked", "_clock", "_short", "_where", "floor")

    def __init__(
        self, where: str | int, floor: int | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``where``: a path or descriptor on the file system; ``floor``: bytes, None for the default, 0 for none."""
        self.floor = floor
        self._where = where
        self._clock = clock
        self._asked = float("-inf")
        self._short = ""

    def short(self) -> str:
        """Why nothing more should be written, or nothing. A file system that does not answer is no reason."""
        now = self._clock()
        if now - self._asked >= ASK_AGAIN:
            self._asked = now
            self._short = self._ask()
        return self._short

    def _ask(self) -> str:
        try:
            answer = os.statvfs(self._where)
        except OSError:
            return ""
        floor = self.floor
        if floor is None:
            floor = max(FLOOR_BYTES, answer.f_blocks * answer.f_frsize // FLOOR_SHARE)
        free = answer.f_bavail * answer.f_frsize
        return f"less than {floor} bytes free on the file system" if free < floor else ""


class Limit:
    """The limits of one recording, so each has its own. ``session_bytes`` 0 means no limit of its size.

    A recording that has reached its size stays as it is, even when a smaller piece would fit: it has one end.
    """

    __slots__ = ("_full", "session_bytes", "space")

    def __init__(self, session_bytes: int = SESSION_BYTES, space: FreeSpace | None = None) -> None:
        self.session_bytes = session_bytes
        self.space = space
        self._full = False

    def reached(self, recorded: int, more: int) -> str:
        """Why ``more`` bytes can't follow the ``recorded`` ones, or nothing."""
        if self._full or (self.session_bytes and recorded + more > self.session_bytes):
            self._full = True
            return f"limit of {self.session_bytes} bytes reached"
        return self.space.short() if self.space else ""
