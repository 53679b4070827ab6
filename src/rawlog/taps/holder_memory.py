"""What a holder must remember to go on as another program: numbers of descriptors, and who they belong to.

Knows: a form of it that lies in memory with a descriptor of its own, and its version. Must not know: processes. The
first thing in it is the version, so that code of another release can see that it would misread the rest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rawlog.engine.bounds import Limits
from rawlog.engine.pipes import Pipe
from rawlog.errors import FormatError
from rawlog.taps.unbreakable_place import VERSION, Place


@dataclass(frozen=True, slots=True)
class Memory:
    """``front``, ``channel`` and ``ledger`` are descriptors, -1 for none; ``room`` says how many places the ledger has;
    ``worker`` is a process. ``numbers`` and ``strikes`` are by slot. ``outgoing`` is not yet said to the service."""

    ledger: int
    room: int
    limits: Limits
    front: int
    worker: int
    channel: int
    pipes: Sequence[Pipe]
    places: Sequence[Place]
    numbers: Mapping[int, int]
    strikes: Mapping[int, int]
    count: int
    last_word: bytes
    outgoing: Sequence[bytes]

    @property
    def descriptors(self) -> list[int]:
        """All that must stay open."""
        ends = [end for pipe in self.pipes for end in (pipe.reader, pipe.writer)]
        fds = [fd for place in self.places for fd in place.fds]
        return [fd for fd in (self.ledger, self.front, self.channel, *ends, *fds) if fd >= 0]

    def store(self) -> int:
        """Writes it down; returns the descriptor of that. Raises OSError."""
        fd = os.memfd_create("rawlog-memory", os.MFD_CLOEXEC)
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(json.dumps([VERSION, self._plain()]).encode())
        return fd

    def _plain(self) -> dict[str, object]:
        return {
            "ledger": self.ledger,
            "room": self.room,
            "limits": list(self.limits),
            "front": self.front,
            "worker": self.worker,
            "channel": self.channel,
            "pipes": [[pipe.index, pipe.reader, pipe.writer] for pipe in self.pipes],
            "places": [[place.slot, place.card.decode(), list(place.fds)] for place in self.places],
            "numbers": list(self.numbers.items()),
            "strikes": list(self.strikes.items()),
            "count": self.count,
            "last_word": self.last_word.decode(),
            "outgoing": [message.decode() for message in self.outgoing],
        }


def recall(fd: int) -> Memory:
    """What :meth:`Memory.store` wrote. Raises FormatError for another version, in a sentence for the log."""
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        version, plain = json.loads(file.read())
    if version != VERSION:
        raise FormatError(f"they are kept as version {version}, the code on the disk speaks version {VERSION}")
    plain["limits"] = Limits(*plain["limits"])
    plain["pipes"] = [Pipe(*words) for words in plain["pipes"]]
    plain["places"] = [Place(slot, card.encode(), fds) for slot, card, fds in plain["places"]]
    plain["numbers"] = dict(plain["numbers"])
    plain["strikes"] = dict(plain["strikes"])
    plain["last_word"] = plain["last_word"].encode()
    plain["outgoing"] = [message.encode() for message in plain["outgoing"]]
    return Memory(**plain)
