"""The first events of a conversation that grows, until they tell its protocol and who the client is.

Knows: how many events are enough, and that SMTP and LMTP greet alike. Must not know: what is done with them.
"""

from __future__ import annotations

from rawlog.dialogue.exchange_pieces import LOOK
from rawlog.events import Chunk, Direction, Event
from rawlog.protocols.guess import guess_protocol


class Beginning:
    """Keeps the first events. ``protocol`` is what somebody knows already."""

    def __init__(self, protocol: str | None = None) -> None:
        self.events: list[Event] = []
        self._protocol = protocol
        self._heads = dict.fromkeys(Direction, b"")

    def take(self, event: Event) -> bool:
        """The next event; gives whether enough is known now."""
        self.events.append(event)
        if isinstance(event, Chunk):
            self._heads[event.direction] += event.data
        protocol, client = self._guess()
        # SMTP and LMTP greet alike: the client's first word tells.
        told = protocol is not None and (protocol != "smtp" or bool(self._heads[client]))
        return told or len(self.events) >= LOOK

    def told(self) -> tuple[str | None, Direction]:
        """The protocol, None when nothing told it, and the client's direction."""
        protocol, client = self._guess()
        return self._protocol or protocol, client

    def _guess(self) -> tuple[str | None, Direction]:
        return guess_protocol(self._heads[Direction.IN], self._heads[Direction.OUT])
