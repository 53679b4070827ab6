"""Watches one leg of a conversation: learns who logged in, and records what the plans ask for.

Knows: a Masker (which knows the protocol), the plans, and how to ask for a recorder. Must not know: sockets, TLS,
settings. What is seen before it is known where a recording goes is held in memory, bounded, and written when it is
known: so a conversation is whole from its greeting on even where the directory depends on the user, and a login that
fails leaves no file behind.

After the login nothing depends on what is seen, so understanding it is put off for a moment: a command that is being
answered never waits for the understanding of the one before, and several together cost a third less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rawlog.dialogue.redact import Masker
from rawlog.events import Chunk, Direction, Mark
from rawlog.recorder.recorder import Recorder
from rawlog.taps.plan import Part, Plan

EARLY_LIMIT = 64 * 1024  # bytes held before login: several times what a greeting, capabilities and SASL take

PUT_OFF = 0.05  # seconds; with the recorder's own 150 ms it is 200 that a killed process may lose (security.md P5)
PUT_OFF_BYTES = 16 * 1024  # and with a recorder's 48 KiB it is 64; more than so much at once is bulk, not put off
PUT_OFF_CHUNKS = 16  # takes half a millisecond to understand: nobody shall wait longer than that

Later = Callable[[float, Callable[[], None]], object]  # seconds, what to call then
Answer = Callable[["Recorder | None"], None]  # None: it is not recorded
Closed = Callable[["_Record"], None]
OpenRecorder = Callable[[Plan, "str | None", int, Answer], None]  # plan, user, time; answers now or later


class Observer:
    """The tap of one leg. ``on_login`` is told the user's name (None: the mechanism does not show it).

    ``later`` is ``call_later`` of the event loop; without it nothing is put off.
    """

    def __init__(
        self,
        masker: Masker,
        plans: Sequence[Plan],
        open_recorder: OpenRecorder,
        *,
        on_login: Callable[[str | None], None],
        later: Later | None = None,
    ) -> None:
        self.user: str | None = None
        self.logged_in = False
        self.seen = dict.fromkeys(Direction, 0)  # bytes on this leg, in the clear
        self._masker = masker
        self._on_login = on_login
        self._marks: list[Mark] = []
        self._records = [_Record(plan, open_recorder, self._marks) for plan in plans]
        self._emitted = dict.fromkeys(Direction, 0)  # bytes that came out of the masker
        self._failed = False  # a mistake of ours: nothing more is recorded
        self._later = later
        self._backlog: list[tuple[int, Direction, bytes] | Mark] = []  # put off
        self._backlog_bytes = 0
        self._promised = False  # to look at the backlog

    def tap(self, at: int, direction: Direction, data: bytes) -> None:
        """What the leg read (IN) or wrote (OUT). What it raises is our mistake; the recording ends with it."""
        size = len(data)
        self.seen[direction] += size
        if self._failed:
            return
        if not self.logged_in or self._later is None:
            self._understand(at, direction, data)
            return
        self._backlog.append((at, direction, data))
        self._backlog_bytes += size
        if self._backlog_bytes > PUT_OFF_BYTES or len(self._backlog) >= PUT_OFF_CHUNKS:
            self.catch_up()
        elif not self._promised:
            self._promised = True
            self._later(PUT_OFF, self._keep_promise)

    def mark(self, at: int, name: str, detail: Mapping[str, str]) -> None:
        """What the bytes cannot say."""
        mark = Mark(at, name, detail)
        if self._backlog:
            self._backlog.append(mark)
        else:
            self._mark(mark)

    def catch_up(self) -> None:
        """Understand and record what was put off. What it raises is our mistake; the recording ends with it."""
        backlog, self._backlog = self._backlog, []
        self._backlog_bytes = 0
        for seen in backlog:
            if isinstance(seen, Mark):
                self._mark(seen)
            elif not self._failed:
                self._understand(*seen)

    def _keep_promise(self) -> None:
        self._promised = False
        self.catch_up()

    def _understand(self, at: int, direction: Direction, data: bytes) -> None:
        try:
            for event in self._masker.chunk(at, direction, data):
                self._event(event)
            if not self.logged_in and self._masker.framer.authenticated:
                self._login(at)
        except Exception as error:
            self._failed = True
            self._mark(Mark(at, "gap", {"cause": f"internal error: {type(error).__name__}"}))
            raise

    def close(self, at: int, reason: str, closed: Callable[[], None]) -> None:
        """The conversation is over; ``closed`` is called when its recordings are written, at once or a little later.

        What it raises is our mistake; the recordings are closed all the same.
        """
        waiting = set(map(id, self._records))

        def one_closed(record: _Record) -> None:
            waiting.discard(id(record))
            if not waiting:
                closed()

        try:
            self.catch_up()
            for direction in () if self._failed else Direction:
                for event in self._masker.end(direction):
                    self._event(event)
        finally:
            for record in self._records:
                record.close(at, reason, one_closed)
            if not self._records:
                closed()

    def healthy(self) -> bool:
        """Whether all that was seen is written down, as far as there is a recording; writes what waits."""
        self.catch_up()
        return not self._failed and all(record.healthy() for record in self._records)

    def forget(self) -> None:
        """Let go of who opened the recordings, and who wants to know the user."""
        self._records, self._backlog = [], []
        self._on_login = _nobody

    def _login(self, at: int) -> None:
        self.logged_in = True
        self.user = self._masker.framer.user
        self._on_login(self.user)
        for record in self._records:
            record.login(at, self.user)
        self._mark(Mark(at, "login", {"user": self.user or ""}))

    def _event(self, event: Chunk | Mark) -> None:
        if isinstance(event, Mark):
            self._mark(event)
            return
        direction, data = event.direction, event.data
        start = self._emitted[direction]
        self._emitted[direction] += len(data)
        framer = self._masker.framer
        for piece in _cut(event, start, framer.tls_at.get(direction), framer.login_at.get(direction)):
            for record in self._records:
                record.take(*piece)

    def _mark(self, mark: Mark) -> None:
        self._marks.append(mark)
        for record in self._records:
            record.marks()


Piece = tuple[Chunk, bool, bool]  # bytes, and whether they came after STARTTLS, after the login


def _cut(chunk: Chunk, start: int, tls_at: int | None, login_at: int | None) -> list[Piece]:
    """A chunk that begins at offset ``start`` cut where TLS and the login begin."""
    end = start + len(chunk.data)
    in_tls, logged_in = tls_at is not None and start >= tls_at, login_at is not None and start >= login_at
    if (tls_at is None or in_tls or tls_at >= end) and (login_at is None or logged_in or login_at >= end):
        return [(chunk, in_tls, logged_in)]
    inner = sorted({at for at in (tls_at, login_at) if at is not None and start < at < end})
    pieces = []
    for a, b in zip([start, *inner], [*inner, end], strict=True):
        part = chunk if not inner else Chunk(chunk.at, chunk.direction, chunk.data[a - start : b - start])
        pieces.append((part, tls_at is not None and a >= tls_at, login_at is not None and a >= login_at))
    return pieces


def _nobody(user: str | None) -> None:
    """Who is told about the login when all is over."""


def _nothing(record: _Record) -> None:
    """Nobody waits for the recording."""


class _Record:
    """One recording of the leg, from its plan."""

    def __init__(self, plan: Plan, open_recorder: OpenRecorder, marks: list[Mark]) -> None:
        self._plan = plan
        self._open = open_recorder
        self._marks = marks  # of the whole leg so far: a recording that begins late begins with them
        self._recorder: Recorder | None = None
        self._user: str | None = None
        self._asked = False  # for a recorder
        self._waiting = plan.needs_user  # for the user, then for the recorder
        self._closing: tuple[int, str, Closed] | None = None  # the leg ended while it waited for the recorder
        self._in_tls = False
        self._over = False
        self._marked = 0  # so many of them are in the recording
        self._early: list[tuple[int, Piece]] = []  # with the number of marks before it
        self._early_size = self._dropped = 0

    def login(self, at: int, user: str | None) -> None:
        """The user is known now."""
        self._user = user
        if self._waiting and not self._asked:
            self._begin(at)

    def take(self, chunk: Chunk, in_tls: bool, logged_in: bool) -> None:
        """The next bytes of the leg, if they belong to this part of it."""
        part, at = self._plan.part, chunk.at or 0
        if part is Part.TO_LOGIN and logged_in:
            self.close(at, "login", _nothing)
        if self._over or (part is Part.FROM_LOGIN and not logged_in):
            return
        if not (self._waiting or self._asked):
            self._begin(at)
        if self._waiting:
            self._keep((chunk, in_tls, logged_in))
        else:
            self._write(chunk, in_tls)

    def healthy(self) -> bool:
        """Whether the recording has everything; writes what waits."""
        if self._recorder is None:
            return True
        self._recorder.flush()
        return self._recorder.healthy

    def marks(self, count: int | None = None) -> None:
        """There are more marks of the leg; ``count``: those behind it come later."""
        if self._recorder is not None:
            for mark in self._marks[self._marked : count]:
                self._mark(mark)
            self._marked = max(self._marked, len(self._marks) if count is None else count)

    def _mark(self, mark: Mark) -> None:
        if self._recorder is not None:
            self._recorder.mark(mark.at, mark.name, mark.detail)

    def close(self, at: int, reason: str, closed: Closed) -> None:
        """Nothing more belongs to it."""
        self._over = True
        if self._asked and self._waiting:
            self._closing = (at, reason, closed)
            return
        self._early.clear()
        self._end(at, reason)
        closed(self)

    def _begin(self, at: int) -> None:
        self._asked = self._waiting = True
        self._marked = 0
        try:
            self._open(self._plan, self._user, at, self._opened)
        except BaseException:
            self._waiting = False  # nobody will answer
            raise

    def _opened(self, recorder: Recorder | None) -> None:
        """The answer, at once or later: what came meanwhile follows."""
        self._waiting = False
        self._recorder = recorder
        early, self._early = self._early, []
        for marks, (chunk, in_tls, _) in early:
            self.marks(marks)
            self._write(chunk, in_tls)
        if self._dropped:
            cause = f"more than {EARLY_LIMIT} bytes before the recording could begin"
            at = early[-1][1][0].at if early else None
            self._mark(Mark(at, "gap", {"bytes": str(self._dropped), "cause": cause}))
        self.marks()
        if self._closing is not None:
            at, reason, closed = self._closing
            self._end(at, reason)
            closed(self)

    def _write(self, chunk: Chunk, in_tls: bool) -> None:
        if in_tls and not self._in_tls:
            self._in_tls = True
            if self._plan.split_at_tls:
                self._end(chunk.at or 0, "STARTTLS")
                self._begin(chunk.at or 0)
        if self._waiting:
            self._keep((chunk, in_tls, False))
        elif self._recorder is not None:
            self._recorder.chunk(chunk.at, chunk.direction, chunk.data)

    def _end(self, at: int, reason: str) -> None:
        if self._recorder is not None:
            self._recorder.close(at, reason)
            self._recorder = None

    def _keep(self, piece: Piece) -> None:
        size = len(piece[0].data)
        if self._early_size + size > EARLY_LIMIT:
            self._dropped += size
            return
        self._early.append((len(self._marks), piece))
        self._early_size += size
