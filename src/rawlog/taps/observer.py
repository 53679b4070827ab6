"""Watches one leg of a conversation: learns who logged in, and records from the moment it is known where to.

Knows: a Masker (which knows the protocol), and how to ask for a recorder. Must not know: sockets, TLS, settings.
What is seen before it is known where the recording goes is held in memory, bounded, and written when it is known: so a
conversation is whole from its greeting on even where the directory depends on the user, and a login that fails leaves
no file behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rawlog.dialogue.redact import Masker
from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.recorder.recorder import Recorder

EARLY_LIMIT = 64 * 1024  # bytes held before login: several times what a greeting, capabilities and SASL take

OpenRecorder = Callable[[str | None, int], "Recorder | None"]  # user or None, time -> recorder, or None: not recorded


class Observer:
    """The tap of one leg.

    ``open_recorder`` is asked at once when ``needs_user`` is False, else when the login has succeeded; None from it
    means that this conversation is not recorded. ``on_login`` is told the user's name (None: nobody knows it).
    """

    def __init__(
        self,
        masker: Masker,
        open_recorder: OpenRecorder,
        *,
        needs_user: bool,
        on_login: Callable[[str | None], None],
    ) -> None:
        self.recorder: Recorder | None = None
        self.user: str | None = None
        self.seen = dict.fromkeys(Direction, 0)  # bytes on this leg, in the clear
        self._masker = masker
        self._open_recorder = open_recorder
        self._needs_user = needs_user
        self._on_login = on_login
        self._logged_in = False
        self._waiting = True
        self._early: list[Event] = []
        self._early_size = 0
        self._dropped = 0

    def tap(self, at: int, direction: Direction, data: bytes) -> None:
        """What the leg read (IN) or wrote (OUT)."""
        self.seen[direction] += len(data)
        events = self._masker.chunk(at, direction, data)
        if self._waiting and not self._needs_user:
            self._start(at)
        for event in events:
            self._record(event)
        if not self._logged_in and self._masker.framer.authenticated:
            self._login(at)

    def mark(self, at: int, name: str, detail: Mapping[str, str]) -> None:
        """What the bytes cannot say."""
        self._record(Mark(at, name, detail))

    def close(self, at: int, reason: str) -> None:
        """The conversation is over."""
        for direction in Direction:
            for event in self._masker.end(direction):
                self._record(event)
        self._early.clear()
        if self.recorder is not None:
            self.recorder.close(at, reason)

    def _login(self, at: int) -> None:
        self._logged_in = True
        self.user = self._masker.framer.user
        self._on_login(self.user)
        if self._waiting:
            self._start(at)
        self.mark(at, "login", {"user": self.user or ""})

    def _start(self, at: int) -> None:
        self._waiting = False
        self.recorder = self._open_recorder(self.user, at)
        early, self._early = self._early, []
        if self._dropped:
            cause = f"more than {EARLY_LIMIT} bytes before login"
            self._record(Mark(at, "gap", {"bytes": str(self._dropped), "cause": cause}))
        for event in early:
            self._record(event)

    def _record(self, event: Event) -> None:
        if self._waiting:
            self._keep(event)
        elif self.recorder is None:
            return
        elif isinstance(event, Chunk):
            self.recorder.chunk(event.at, event.direction, event.data)
        else:
            self.recorder.mark(event.at, event.name, event.detail)

    def _keep(self, event: Event) -> None:
        size = len(event.data) if isinstance(event, Chunk) else 0
        if self._early_size + size > EARLY_LIMIT:
            self._dropped += size
            return
        self._early.append(event)
        self._early_size += size
