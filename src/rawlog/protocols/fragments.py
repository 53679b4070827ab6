"""What the framer makes, and what it keeps of each direction while it makes it.

Knows: fragments, spans, lanes. Must not know: how a lane is cut; that is the framer's work.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from rawlog.events import Direction
from rawlog.protocols.tape import Tape

Span = tuple[int, int]  # offsets [start, end) in the stream of one direction


class Kind(Enum):
    """What a fragment is."""

    LINE = "line"
    LITERAL = "literal"
    BLOCK = "block"
    OPAQUE = "opaque"


class Switch(Enum):
    """A point where the transport under the conversation changes."""

    COMPRESS = "compress"


class Fragment(NamedTuple):
    """A piece of one direction: bytes ``[start, end)`` of that direction's stream.

    ``data`` is the line with its ending for ``Kind.LINE``, and empty for the others, which can be of any size.
    ``secrets`` are the spans inside it that hold credentials, in order.
    """

    direction: Direction
    kind: Kind
    start: int
    end: int
    data: bytes = b""
    secrets: tuple[Span, ...] = ()


class Mode(Enum):
    """What the next bytes of a lane are."""

    LINES = 0
    COUNTED = 1  # a literal: skip a number of bytes
    DOTTED = 2  # a dot block: skip until a line with one dot
    LONG = 3  # a line over the limit: skip until LF
    REST = 4  # opaque until the end


class Lane:
    """One direction: its tape and what the framer is doing with it."""

    __slots__ = (
        "begin",
        "direction",
        "ended",
        "head",
        "held",
        "may_be_tls",
        "mode",
        "pin",
        "said",
        "secret_at",
        "tape",
        "undecided",
        "wanted",
        "window",
    )

    def __init__(self, direction: Direction) -> None:
        self.direction = direction
        self.tape = Tape()
        self.mode = Mode.LINES
        self.held = False
        self.ended = False
        self.may_be_tls = False  # the next byte is looked at: is it the beginning of a TLS record?
        self.begin = 0  # where the fragment in progress began, and the last one ended
        self.wanted = 0  # bytes that the literal in progress still lacks
        self.secret_at: int | None = None  # from here on the fragment in progress is secret
        self.head: list[bytes] | None = None  # what is kept of the fragment in progress for the grammar
        self.window = b""  # the last bytes of a long line or dot block
        self.pin: int | None = None  # from here on it is not yet decided what is secret
        self.said = b""  # the beginning of the last literal that is secret, or may be
        self.undecided: list[Fragment] = []  # complete, but behind the pin


def within(spans: list[Span], start: int, end: int) -> tuple[Span, ...]:
    """The parts of the spans that lie in [start, end), in order, joined where they overlap."""
    joined: list[Span] = []
    for a, b in sorted((max(a, start), min(b, end)) for a, b in spans if max(a, start) < min(b, end)):
        if joined and a < joined[-1][1]:
            a, b = joined[-1][0], max(b, joined.pop()[1])
        joined.append((a, b))
    return tuple(joined)
