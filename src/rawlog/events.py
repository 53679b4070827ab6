"""What happens in a recorded conversation: chunks of bytes, and marks.

Knows: the two directions, and the two kinds of event that every other part of the house passes around.
Must not know: protocols, formats, files, clocks. An event is made with the time as an argument, so that
the same code serves a live conversation and one read from a file years later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple


class Direction(Enum):
    """Which way bytes went, seen from the process that records: Dovecot's ``.in`` and ``.out``.

    On a client's leg IN is client to server. On a leg towards a remote server (LMTP proxy, relay) the recorder
    is itself the client, so IN is what came from the remote server, as in Dovecot.
    """

    IN = "in"
    OUT = "out"

    __hash__ = object.__hash__  # Enum's own is written in Python, and directions are looked up for every read

    @property
    def other(self) -> Direction:
        """The opposite direction."""
        return Direction.OUT if self is Direction.IN else Direction.IN


class Chunk(NamedTuple):
    """What one read saw.

    ``at`` is in microseconds since the epoch (UTC); None when the recording has no time stamps. ``data`` is
    never empty in what the house makes.
    """

    at: int | None
    direction: Direction
    data: bytes


class Mark(NamedTuple):
    """What the bytes cannot say: ``opened``, ``tls``, ``login``, ``compress``, ``gap``, ``closed``.

    ``at`` as in :class:`Chunk`. ``detail`` holds plain text by name, for instance ``{"user": "alice"}``.
    """

    at: int | None
    name: str
    detail: Mapping[str, str] = {}


Event = Chunk | Mark


class Recording(NamedTuple):
    """One recorded conversation: a name to show to people, and its events in order.

    ``timed`` is False when no chunk has a time; then the order holds within each direction only.
    ``protocol`` is ``imap``, ``pop3``, ``smtp``, ``lmtp``, ``managesieve``, or None when nothing said it.
    """

    name: str
    events: Iterable[Event]
    timed: bool = True
    protocol: str | None = None
