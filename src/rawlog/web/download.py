"""A recording to take away: without its secrets, and if wished without its names.

Knows: that what leaves is made safe again, whatever was masked before. Must not know: HTTP.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Literal

from rawlog.dialogue.pseudonyms import pseudonymous
from rawlog.dialogue.pseudonyms_names import Names
from rawlog.dialogue.sharing import shareable
from rawlog.events import Mark, Recording
from rawlog.formats.native import NativeEncoder
from rawlog.reading.opener import open_recording
from rawlog.recorder.pseudonym_key import new_key

Kind = Literal["masked", "pseudonyms"]


class Downloads:
    """Copies in the native format. All with pseudonyms have the same ones, until the viewer ends."""

    def __init__(self) -> None:
        self._names = Names(new_key())

    def copy(self, name: str, kind: Kind) -> Iterator[bytes]:
        """The safe copy of a recording, in pieces. Raises RawlogError before the first one when it can't be made."""
        recording = open_recording(name)
        if kind == "masked":
            return _encoded(shareable(recording).recording)
        return _encoded(pseudonymous(recording, self._names).recording)


def file_name(kind: Kind) -> str:
    """What the copy is called: nothing of the recording's own name, which may hold a user or an address."""
    return f"rawlog-{kind}-{secrets.token_hex(4)}.rawlog"


def _encoded(recording: Recording) -> Iterator[bytes]:
    encoder = NativeEncoder({"protocol": recording.protocol} if recording.protocol else {})
    for event in recording.events:
        if isinstance(event, Mark):
            yield encoder.mark(event)
        else:
            yield encoder.chunk(event.at, event.direction, event.data)
