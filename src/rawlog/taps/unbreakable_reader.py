"""What an unbreakable conversation behind a login shows to its record; it survives the process that thinks it.

Knows: the same as :mod:`rawlog.taps.postlogin_tap`: whether COMPRESS can come, whether secrets are masked. Must not
know: sockets, files, journals. It is pickled at each checkpoint, so it holds nothing but what it has understood.
"""

from __future__ import annotations

from rawlog.dialogue.inflate import ResumableInflater
from rawlog.dialogue.redact import Masker
from rawlog.events import Chunk, Direction, Event
from rawlog.protocols.registry import framer_for

EARLY_LIMIT = 32 << 10
"""Bytes of a client that are held until the server's first answer; who sends more before it waits for no COMPRESS."""


class PostLoginReader:
    """Gives the bytes as they are, or through a masker. ``keep``: secrets are not masked."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._masker: Masker | None = None
        self._decided = False
        self._early: list[Chunk] = []
        self._early_size = 0

    @property
    def slow(self) -> bool:
        """Whether it has to understand what it sees."""
        return self._masker is not None

    @property
    def plain(self) -> bool:
        """Whether it gives everything as it is, from now on."""
        return self._decided and self._masker is None

    def chunk(self, at: int, direction: Direction, data: bytes) -> list[Event]:
        """What is to be recorded now."""
        if self._decided:
            return self._understood(Chunk(at, direction, data))
        self._early.append(Chunk(at, direction, data))
        self._early_size += len(data)
        if direction is Direction.OUT or self._early_size > EARLY_LIMIT:
            return self._decide(data if direction is Direction.OUT else b"")
        return []

    def end(self, direction: Direction) -> list[Event]:
        """The same at the end of a direction."""
        events = [] if self._decided else self._decide(b"")
        return events if self._masker is None else [*events, *self._masker.end(direction)]

    def _understood(self, chunk: Chunk) -> list[Event]:
        if self._masker is None:
            return [chunk]
        return self._masker.chunk(chunk.at, chunk.direction, chunk.data)

    def _decide(self, answer: bytes) -> list[Event]:
        """The server has answered the login, or nothing will be known of that."""
        self._decided = True
        if not self._keep or b"COMPRESS=DEFLATE" in answer:  # Dovecot's answer to a login has all capabilities
            framer = framer_for("pop3" if answer.startswith(b"+") else "imap", wire_compressed=True)
            framer.authenticated = True
            self._masker = Masker(framer, keep=self._keep, inflater=ResumableInflater)
        early, self._early = self._early, []
        return [event for chunk in early for event in self._understood(chunk)]
