"""What a conversation is to those who hand it on: descriptors, and a card that says how it is recorded.

Knows: how both travel from process to process. Must not know: what is done with them. The holder keeps places and
never reads a card.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from rawlog.events import Direction
from rawlog.recorder.limits import FreeSpace, Limit

VERSION = 1
"""Of all that holders and workers of different releases must agree on: the ledger and its states, pipes, cards, words.
Whatever changes one of them so that others would misread it raises this number."""
MESSAGE = 16384
"""Bytes of the longest message: a card with two paths."""
FDS = 5
"""Descriptors that come with a conversation: by which it can be withdrawn, client, mail process, and its files."""
WITHDRAWN = b"n"
"""What the service writes into that pipe when it relays a conversation itself after all; it closes it when not."""


@dataclass(frozen=True, slots=True)
class Card:
    """How a conversation is recorded. ``files``: direction and path of each; ``name`` is for messages.

    ``most``: bytes of the recording, 0 for any number. ``floor``: bytes that stay free on the file system, 0 for none.
    """

    name: str
    stamps: bool
    boundaries: bool
    keep: bool
    files: Sequence[tuple[Direction, str]]
    most: int = 0
    floor: int = 0

    def encode(self) -> bytes:
        """As it travels."""
        files = [(direction.value, path) for direction, path in self.files]
        return json.dumps([self.name, self.stamps, self.boundaries, self.keep, files, self.most, self.floor]).encode()

    def limit(self, file: int) -> Limit:
        """What limits the recording; ``file`` is a descriptor of one of its files."""
        return Limit(self.most, FreeSpace(file, self.floor) if self.floor else None)


def numbers(limit: Limit | None) -> tuple[int, int]:
    """``most`` and ``floor`` of a card, for a limit."""
    if limit is None:
        return 0, 0
    return limit.session_bytes, (limit.space.floor or 0) if limit.space is not None else 0


def decode_card(data: bytes) -> Card:
    """The other way round."""
    name, stamps, boundaries, keep, files, most, floor = json.loads(data)
    return Card(name, stamps, boundaries, keep, [(Direction(value), path) for value, path in files], most, floor)


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
