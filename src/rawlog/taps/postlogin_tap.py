"""What a conversation behind a login shows to its recorder: plain bytes, also when client and server compress them.

Knows: how the first answer tells whether COMPRESS (RFC 4978) can come at all, and what to do then. Must not know:
sockets, files. Nearly always it can't come (POP3, or a server that does not offer it), and the recorder gets the bytes
straight from the relay: what is not understood costs nothing.

Secrets are kept, as by Dovecot, unless told otherwise: the login itself happened before. With ``keep`` False what
there can still be (URLAUTH tokens, another AUTHENTICATE) is masked, and then everything has to be understood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rawlog.engine.plain import PlainRelay
from rawlog.events import Chunk, Direction, Event
from rawlog.recorder.recorder import Recorder

if TYPE_CHECKING:
    from rawlog.dialogue.redact import Masker

EARLY_LIMIT = 64 << 10
"""Bytes that are held until there is a recorder and the server's first answer; beyond it ``on_full`` is called."""

_Said = tuple[int, Direction, bytes]
_NOTHING: Mapping[Direction, int] = {}


class PostLoginTap:
    """The tap of a relay, from the answer to the login on.

    The conversation may begin, and even end, before its files are there: ``record`` brings the recorder, or None.
    """

    # fmt: off
    __slots__ = (
        "_answer", "_closed", "_early", "_early_size", "_given", "_keep", "_masker", "_on_full", "_recorder", "_relay",
        "_written", "on_answer",
    )
    # fmt: on

    def __init__(self, relay: PlainRelay, *, keep: bool, on_full: Callable[[], None]) -> None:
        self._relay = relay
        self._keep = keep
        self._on_full = on_full
        self._recorder: Recorder | None = None
        self._early: list[_Said] | None = None  # what was said before it is known what is needed
        self._early_size = 0
        self._given = 0  # how many of them are recorded
        self._answer: bytes | None = None  # what the server says first
        self._masker: Masker | None = None
        self._written = _NOTHING  # early bytes that are recorded, and will come out of the masker
        self._closed: tuple[int, str] | None = None
        self.on_answer: Callable[[], None] = _nothing
        """Called when the server has said something, and at the end of what can be held, as long as nothing records."""
        relay.tap = self._hold

    def record(self, recorder: Recorder | None) -> None:
        """From now on it can be recorded, or it is known that it can't."""
        if recorder is None:
            self._relay.tap = None
            self._early = None
            return
        self._recorder = recorder
        self._look(recorder)
        if self._closed is not None:
            self.close(*self._closed)

    def close(self, at: int, reason: str) -> None:
        """The conversation is over."""
        self._closed = at, reason
        self.on_answer()
        self.on_answer = self._on_full = _nothing  # of the session, which holds us
        if self._recorder is None:
            return
        if self._early:
            self._plug(self._recorder, self._masker_for(b""))
        if self._masker is not None:
            for direction in Direction:
                self._give(self._recorder, self._masker.end(direction))
        self._recorder.close(at, reason)

    def _hold(self, at: int, direction: Direction, data: bytes) -> None:
        if self._early is None:
            self._early = []
        self._early.append((at, direction, data))
        self._early_size += len(data)
        if direction is Direction.OUT and self._answer is None:
            self._answer = data
            self.on_answer()
        if self._recorder is not None:
            self._look(self._recorder)
        elif self._early_size > EARLY_LIMIT:
            self.on_answer()
            self._on_full()

    def _look(self, recorder: Recorder) -> None:
        """Decide, once the server has answered, what this conversation needs. Nothing is compressed before."""
        if self._answer is not None or self._early_size > EARLY_LIMIT:
            self._plug(recorder, self._masker_for(self._answer or b""))
        elif self._keep and self._early:
            for at, direction, data in self._early[self._given :]:
                recorder.chunk(at, direction, data)
            self._given = len(self._early)

    def _masker_for(self, answer: bytes) -> Masker | None:
        """What is needed to understand a conversation that goes on with ``answer``; None when nothing is."""
        if self._keep and b"COMPRESS=DEFLATE" not in answer:  # Dovecot's answer to a login has all capabilities
            return None
        from rawlog.dialogue.redact import Masker
        from rawlog.protocols.imap import ImapFramer
        from rawlog.protocols.pop3 import Pop3Framer

        framer = (Pop3Framer if answer.startswith(b"+") else ImapFramer)(wire_compressed=True)
        framer.authenticated = True
        return Masker(framer, keep=self._keep)

    def _plug(self, recorder: Recorder, masker: Masker | None) -> None:
        """From now on the recorder gets everything, straight or through a masker."""
        early, self._early, self._answer = self._early or [], None, None
        self.on_answer = self._on_full = _nothing
        self._masker = masker
        if masker is None:
            self._relay.tap = recorder.chunk
            for at, direction, data in early[self._given :]:
                recorder.chunk(at, direction, data)
            return

        def masked(at: int, direction: Direction, data: bytes) -> None:
            self._give(recorder, masker.chunk(at, direction, data))

        self._relay.tap = masked
        self._written = {Direction.IN: sum(len(data) for _, _, data in early[: self._given])}  # no answer is among them
        for at, direction, data in early:
            masked(at, direction, data)

    def _give(self, recorder: Recorder, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Chunk):
                written = self._written.get(event.direction, 0)
                known = min(written, len(event.data))
                if known:
                    self._written = {event.direction: written - known}
                recorder.chunk(event.at, event.direction, event.data[known:])
            else:
                recorder.mark(event.at, event.name, event.detail)


def _nothing() -> None:
    """What is called when nobody wants to know."""
