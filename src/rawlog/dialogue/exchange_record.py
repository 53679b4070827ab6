"""An exchange: what is noted of a command and its answer.

Knows: texts, sizes, times, and where the bytes are. Must not know: any protocol.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rawlog.dialogue.exchange_pieces import Piece
from rawlog.dialogue.search_text import Hit
from rawlog.protocols.fragments import Span

TEXT_LIMIT = 1000
"""Bytes that are kept of a command's or an answer's line. A longer one is data rather than dialogue."""

SPANS_LIMIT = 1000
"""Pieces of an answer that are kept apart when others lie in between; further ones join the last."""

HITS_LIMIT = 5
"""Places where texts were found that are kept: enough to show why an exchange was found."""

GREETING = "greeting"
"""The verb of what the server says before the first command, be it the greeting or the answer to a login before."""

UNASKED = "unasked"
"""The verb of what the server says when nothing was asked."""

UNKNOWN = "?"
"""The verb of a line that is no command."""

_FAILURES = frozenset(("NO", "BAD", "BYE", "-ERR"))


@dataclass(slots=True, eq=False)
class Exchange:
    """A command and its answer. Times are in microseconds since the epoch, None where they are not known.

    ``number`` counts from 1 in the order in which exchanges began. ``verb`` is the command in capitals (``UID FETCH``,
    ``RCPT``), ``greeting``, ``unasked`` or ``?``. ``command`` is its first line and ``answer`` the status line, both
    without ending, credentials masked, at most 1000 bytes. ``status`` is the word or code of the answer (``OK``,
    ``BAD``, ``+OK``, ``250``), empty when there is none; of several (LMTP gives one for each recipient: ``replies``)
    the worst.

    ``began`` and ``asked`` are the times of the first and the last byte that the client said, ``first`` is that of the
    first byte which the server said after that, ``ended`` that of its last byte. ``sent`` and ``received`` count the
    bytes of client and server; ``said`` and ``heard`` tell where they are: offsets in the client's and the server's
    stream. ``hits`` is what was looked for and found in it: each text once at least, and not more than a few.

    It changes while it is made; who is given one is given a complete one.
    """

    number: int
    verb: str
    command: bytes = b""
    tag: str = ""
    status: str = ""
    answer: bytes = b""
    replies: list[bytes] = field(default_factory=list)
    began: int | None = None
    asked: int | None = None
    first: int | None = None
    ended: int | None = None
    sent: int = 0
    received: int = 0
    said: list[Span] = field(default_factory=list)
    heard: list[Span] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        """Whether there is an answer."""
        return bool(self.status)

    @property
    def failed(self) -> bool:
        """Whether the server said no: NO, BAD or BYE (but to LOGOUT), ``-ERR``, or a code from 400 on."""
        if self.status == "BYE" and self.verb == "LOGOUT":
            return False
        return self.status in _FAILURES or (self.status.isdecimal() and int(self.status) >= 400)

    @property
    def is_command(self) -> bool:
        """Whether the client asked for anything; greetings and what comes unasked are none."""
        return self.verb not in (GREETING, UNASKED)

    @property
    def latency(self) -> int | None:
        """Microseconds from the client's last byte to the last byte of the answer; None where there is none.

        Of IDLE it is what follows DONE, of AUTHENTICATE what follows the last response, of DATA what follows the text.
        """
        return _between(self.asked, self.ended) if self.answered else None

    @property
    def first_latency(self) -> int | None:
        """Microseconds from the client's last byte to the first byte of the answer."""
        return _between(self.asked, self.first) if self.answered else None

    @property
    def talking(self) -> int | None:
        """Microseconds from the client's first to its last byte: of IDLE the time spent in it."""
        return _between(self.began, self.asked)

    # -- while it is made -----------------------------------------------------------------------------------------

    def say(self, piece: Piece) -> None:
        """The client's next piece of it."""
        if not self.sent:
            self.began = piece.began
        self.asked = piece.ended
        self.first = None
        fragment = piece.fragment
        self.sent += fragment.end - fragment.start
        _add(self.said, fragment.start, fragment.end)
        if piece.hits:
            self._found(piece.hits)

    def hear(self, piece: Piece) -> None:
        """The server's next piece of it."""
        if self.first is None:
            self.first = piece.began
        self.ended = piece.ended
        fragment = piece.fragment
        self.received += fragment.end - fragment.start
        _add(self.heard, fragment.start, fragment.end)
        if piece.hits:
            self._found(piece.hits)

    def adopt(self, other: Exchange) -> None:
        """What ``other`` heard was for this one."""
        if not other.received:
            return
        if self.first is None and not _is_before(other.first, self.asked):
            self.first = other.first
        self.ended = other.ended
        self.received += other.received
        for start, end in other.heard:
            _add(self.heard, start, end)
        self._found(other.hits)

    def judge(self, status: str, answer: bytes) -> None:
        """The answer's status, and its line."""
        self.status, self.answer = status, answer[:TEXT_LIMIT]

    def _found(self, hits: Iterable[Hit]) -> None:
        for hit in hits:
            if len(self.hits) < HITS_LIMIT or all(hit.text != known.text for known in self.hits):
                self.hits.append(hit)


def _add(spans: list[Span], start: int, end: int) -> None:
    if spans and (spans[-1][1] == start or len(spans) >= SPANS_LIMIT):
        spans[-1] = (spans[-1][0], end)
    else:
        spans.append((start, end))


def _between(start: int | None, end: int | None) -> int | None:
    return None if start is None or end is None else max(0, end - start)


def _is_before(time: int | None, other: int | None) -> bool:
    return time is not None and other is not None and time < other
