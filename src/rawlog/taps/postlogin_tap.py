"""What a conversation behind a login shows to its recorder: plain bytes, also when client and server compress them.

Knows: how the first answer tells whether COMPRESS (RFC 4978) can come at all, and what to do then. Must not know:
sockets, files. Nearly always it can't come (POP3, or a server that does not offer it), and the recorder gets the bytes
straight from the leg: what is not understood costs nothing.

Secrets are kept, as by Dovecot, unless told otherwise: the login itself happened before. With ``keep`` False what
there can still be (URLAUTH tokens, another AUTHENTICATE) is masked, and then everything has to be understood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawlog.engine.leg import Leg
from rawlog.events import Chunk, Direction, Event
from rawlog.recorder.recorder import Recorder

if TYPE_CHECKING:
    from rawlog.dialogue.redact import Masker

EARLY_LIMIT = 64 << 10
"""Bytes of a client that are held until the server's first answer; who sends more before it waits for no COMPRESS."""


class PostLoginTap:
    """The tap of the client's leg, from the answer to the login on."""

    def __init__(self, leg: Leg, recorder: Recorder, *, keep: bool) -> None:
        self._leg = leg
        self._recorder = recorder
        self._keep = keep
        self._early: list[tuple[int, Direction, bytes]] = []
        self._early_size = 0
        self._masker: Masker | None = None
        leg.tap = self._first

    def close(self, at: int, reason: str) -> None:
        """The conversation is over."""
        self._plug(None)
        if self._masker is not None:
            for direction in Direction:
                self._record(self._masker.end(direction))
        self._recorder.close(at, reason)

    def _first(self, at: int, direction: Direction, data: bytes) -> None:
        self._early.append((at, direction, data))
        self._early_size += len(data)
        if direction is Direction.OUT or self._early_size > EARLY_LIMIT:
            self._plug(self._masker_for(data if direction is Direction.OUT else b""))

    def _masker_for(self, answer: bytes) -> Masker | None:
        """What is needed to understand a conversation that goes on with ``answer``; None when nothing is."""
        if self._keep and b"COMPRESS=DEFLATE" not in answer:  # Dovecot's answer to a login has all capabilities
            return None
        from rawlog.dialogue.redact import Masker
        from rawlog.protocols.registry import framer_for

        framer = framer_for("pop3" if answer.startswith(b"+") else "imap", wire_compressed=True)
        framer.authenticated = True
        return Masker(framer, keep=self._keep)

    def _plug(self, masker: Masker | None) -> None:
        """From now on the recorder gets everything, through a masker or straight."""
        early, self._early = self._early, []
        if self._leg.tap == self._first:
            self._masker = masker
            self._leg.tap = self._recorder.chunk if masker is None else self._masked
        for at, direction, data in early:
            if masker is None:
                self._recorder.chunk(at, direction, data)
            else:
                self._masked(at, direction, data)

    def _masked(self, at: int, direction: Direction, data: bytes) -> None:
        assert self._masker is not None
        self._record(self._masker.chunk(at, direction, data))

    def _record(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Chunk):
                self._recorder.chunk(event.at, event.direction, event.data)
            else:
                self._recorder.mark(event.at, event.name, event.detail)
