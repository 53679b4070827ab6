"""What every format of a recording has in common: the shape of an encoder and of a decoder, and the stamp.

Knows: how an event becomes bytes of a recording and back, as an interface; Dovecot's time stamp, which two formats
share. Must not know: files, clocks, protocols. Bytes and times come in as arguments, so the same encoder serves a
live recorder and a converter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from rawlog.events import Direction, Event, Mark

STAMP = re.compile(rb"([0-9]{1,12}\.[0-9]{6}) ")
"""One stamp at a line start. Group 1 is the time without the blank."""

STAMP_BEGUN = re.compile(rb"(?:[0-9]{1,12}(?:\.[0-9]{0,6})?)?\Z")
"""What may still become a stamp when more bytes arrive."""

STAMP_LIMIT = 20
"""Bytes of the longest stamp: twelve digits (the year 33658), the dot, six digits, the blank."""


class Encoder(Protocol):
    """Turns the events of one conversation into the bytes of a recording. It never fails and keeps no data back
    except where a format says so (then :meth:`end` gives it)."""

    @property
    def single(self) -> bool:
        """True when both directions go to one stream, False when each has its own."""

    def chunk(self, at: int | None, direction: Direction, data: bytes) -> bytes:
        """The bytes to append to the stream of ``direction``. ``at`` in microseconds since the epoch; None
        (unknown) is written as time 0 by formats that need a time."""

    def mark(self, mark: Mark) -> bytes:
        """The bytes to append for a mark: to the stream of IN, or to the only one. Empty where the format can't
        say it."""

    def end(self, direction: Direction) -> bytes:
        """What is to be written at the end of that direction. Call it once per direction."""


class Decoder(Protocol):
    """Turns the bytes of a recording into events, piece by piece. However they are cut, the same text comes out."""

    def feed(self, data: bytes) -> Sequence[Event]:
        """The events that ``data`` completes. Raises FormatError only where a decoder says so."""

    def end(self) -> Sequence[Event]:
        """The events of what was held back, now that nothing follows. Call it once."""


def stamp(at: int | None) -> bytes:
    """Dovecot's stamp for a time in microseconds since the epoch: seconds, dot, six digits, one blank.

    >>> stamp(1795385217427810)
    b'1795385217.427810 '
    """
    return b"%d.%06d " % divmod(at or 0, 1_000_000)


def stamp_time(text: bytes) -> int:
    """The microseconds of a stamp without its blank, as :data:`STAMP` gives it in group 1.

    >>> stamp_time(b'1795385217.427810')
    1795385217427810
    """
    return int(text.replace(b".", b""))
