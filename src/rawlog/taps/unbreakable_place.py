"""What a conversation is to those who hand it on: descriptors, and a card that says how it is recorded.

Knows: how both travel from process to process. Must not know: what is done with them. The holder keeps places and
never reads a card.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rawlog.engine.relay import Limits
from rawlog.events import Direction
from rawlog.recorder.limits import Limit
from rawlog.recorder.sinks import FileSink

MESSAGE = 16384
"""Bytes of the longest message: a card with two paths."""
FDS = 4
"""Descriptors of a conversation: client, mail process, and its files."""
CLOEXEC: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def _unlimited(files: Mapping[Direction, FileSink]) -> Limit | None:
    """No limit, as in Dovecot."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is the same for all conversations: seconds of the relay, and what limits a recording, by its files."""

    limits: Limits = field(default_factory=Limits)
    limit: Callable[[Mapping[Direction, FileSink]], Limit | None] = _unlimited


@dataclass(frozen=True, slots=True)
class Card:
    """How a conversation is recorded. ``files``: direction and path of each; ``name`` is for messages."""

    name: str
    stamps: bool
    boundaries: bool
    keep: bool
    files: Sequence[tuple[Direction, str]]

    def encode(self) -> bytes:
        """As it travels."""
        files = [(direction.value, path) for direction, path in self.files]
        return json.dumps([self.name, self.stamps, self.boundaries, self.keep, files]).encode()


def decode_card(data: bytes) -> Card:
    """The other way round."""
    name, stamps, boundaries, keep, files = json.loads(data)
    return Card(name, stamps, boundaries, keep, [(Direction(value), path) for value, path in files])


@dataclass(frozen=True, slots=True)
class Place:
    """A conversation: its slot in the ledger, its card, and client, mail process and files as descriptors."""

    slot: int
    card: bytes
    fds: Sequence[int]

    def close(self) -> None:
        """Let go of the descriptors."""
        for fd in self.fds:
            os.close(fd)
