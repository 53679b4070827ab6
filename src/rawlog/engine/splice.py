"""The relay of one conversation by kernel pipes: whoever moves the bytes may die at any moment, and no byte is lost.

Knows: two plain legs, a pool of pipes, a journal in shared memory; what a successor has to do first. Must not know: who
keeps the descriptors, how the record is written. It is the ordinary relay with other hands: ends, resets, stalls and
limits are those of :mod:`rawlog.engine.relay`.

One turn of a direction::

    recv(source, MSG_PEEK) into the journal     a copy, nothing is taken
    base = appended; owner of the pipe          "what this pipe holds from now on is not yet recorded"
    splice(source -> pipe)                      taken, and in nobody's memory
    appended += the piece                       recorded: one store
    splice(pipe -> target)                      forwarded; what does not go stays in the pipe

Each step happened or did not, so a successor knows everything from what the pipe holds: nothing: the turn is over, or
never began. Something, and ``appended`` is not beyond ``base``: copy it into the journal (tee), then forward it. Else
forward it. The end of a stream is only seen when its pipe is empty, and seen again by whoever looks again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from rawlog.engine.bounds import DEFAULT_LIMITS, Limits
from rawlog.engine.flow import Flow
from rawlog.engine.ledger import READ_MAX, Journal, Ledger
from rawlog.engine.leg import Leg
from rawlog.engine.loop import READ, Loop
from rawlog.engine.outbox import Outbox
from rawlog.engine.pipes import NONBLOCK, Pipe, Pool
from rawlog.engine.relay import Relay
from rawlog.events import Direction

__all__ = ["Lane", "PipeLeg", "SpliceRelay"]

_PEEK = int(socket.MSG_PEEK)


class PipeOutbox(Outbox):
    """What a leg still has to send, in a pipe instead of memory."""

    __slots__ = ("_fd", "_ledger", "_pipe", "_pool")

    def __init__(self, sock: socket.socket, pool: Pool, ledger: Ledger) -> None:
        super().__init__(sock.send)
        self._fd = sock.fileno()
        self._pool = pool
        self._ledger = ledger
        self._pipe: Pipe | None = None

    def forward(self, pipe: Pipe, size: int) -> bool:
        """Send the ``size`` bytes that the pipe holds; the pipe is free again then. False: it is kept with the rest."""
        self._pipe = pipe
        self.queued = size
        self.flush()
        return self._pipe is None and self.error is None

    @property
    def undelivered(self) -> int:
        """Bytes that the kernel has not taken for the target."""
        return self._lost + self.queued

    def flush(self) -> int:
        """Send more of it; how many bytes went. Look at ``queued`` and ``error`` afterwards."""
        pipe = self._pipe
        if pipe is None:
            return 0
        try:
            sent = os.splice(pipe.reader, self._fd, self.queued, flags=NONBLOCK)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.drop()
            self.error = error
            return 0
        self.queued -= sent
        if not self.queued:
            self._pipe = None
            self._pool.give(pipe)
        return sent

    def drop(self) -> None:
        """Give up the rest; :attr:`undelivered` keeps counting it."""
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            super().drop()
            return
        self.lose(self.queued)
        self.queued = 0
        self._ledger.own(pipe.index, 0)
        pipe.empty()
        self._pool.give(pipe)


class PipeLeg(Leg):
    """A leg whose bytes never come into this process but to be recorded. TLS can't begin here."""

    __slots__ = ("flow",)

    def __init__(self, loop: Loop, sock: socket.socket, name: str, pool: Pool, ledger: Ledger) -> None:
        super().__init__(loop, sock, name)
        self._out = PipeOutbox(sock, pool, ledger)
        self.flow: SpliceFlow | None = None

    @property
    def fd(self) -> int:
        """The descriptor of the socket."""
        return self._fd

    @property
    def recv_into(self) -> Callable[[memoryview, int, int], int]:
        """That of the socket."""
        return self._sock.recv_into

    @property
    def outbox(self) -> PipeOutbox:
        """What is still to be sent."""
        assert isinstance(self._out, PipeOutbox)
        return self._out

    def forward(self, pipe: Pipe, size: int) -> bool:
        """Send what a pipe holds; False when some of it has to wait, or can't be sent."""
        if self.outbox.forward(pipe, size):
            return True
        self._kept()
        return False

    def _ready(self, events: int) -> None:
        flow = self.flow
        if events == READ and flow is not None and not flow.dead:
            flow.move()
        else:
            super()._ready(events)

    def _read(self) -> None:
        flow = self.flow
        if flow is None or flow.dead:
            super()._read()
        else:
            flow.move()

    def over(self) -> None:
        """The source has ended."""
        self._on_raw_end()

    def reset(self, error: OSError) -> None:
        """The source is gone."""
        self.hard = True
        self._on_reset(error)

    def _on_bug(self, error: Exception) -> None:
        """Nothing is repaired in this process: it dies, and a new one goes on."""
        raise error


class SpliceFlow(Flow):
    """One direction. ``journal`` None: it is not recorded. ``on_due()`` is called when it should be flushed."""

    # fmt: off
    __slots__ = (
        "_far", "_far_fd", "_fd", "_ledger", "_near", "_owner", "_owners", "_pool", "_recv_into", "_side",
        "_slot", "_words", "journal", "on_due",
    )
    # fmt: on

    def __init__(
        self, loop: Loop, source: PipeLeg, target: PipeLeg, on_stall: Callable[[], None], lane: Lane, side: int
    ) -> None:
        super().__init__(loop, source, target, on_stall)
        self.journal = lane.journal
        self.on_due = lane.on_due
        self._near = source
        self._far = target
        self._far_fd = target.fd
        self._ledger = lane.ledger
        self._words = lane.ledger.words
        self._owners = lane.ledger.owners
        self._pool = lane.pool
        self._side = side
        self._slot = lane.slot
        self._owner = 2 * lane.slot + side + 1
        self._fd = source.fd
        self._recv_into = source.recv_into

    def start(self) -> None:
        """Let the bytes flow."""
        self._near.flow = self
        super().start()

    def move(self) -> None:
        """One turn, for a source that is readable. Written out, since all bytes come along here."""
        free, journal = self._pool.free, self.journal
        room = None if journal is None or not free else journal.room()
        if room is None:
            self._move_slowly()
            return
        assert journal is not None
        pipe, words = free[-1], self._words
        words[0] = self._slot + 1
        try:
            size = self._recv_into(room, 0, _PEEK)
            if not size:
                words[0] = 0
                self._near.over()
                return
            journal.begin(self._side)
            self._owners[pipe.index] = self._owner
            moved = os.splice(self._fd, pipe.writer, size, flags=NONBLOCK)
        except OSError as error:
            words[0] = 0
            self._not_moved(error)
            return
        journal.commit(self._loop.now(), self._side, moved)
        self._pass(pipe, moved)
        if journal.due:
            self.on_due()
        words[0] = 0

    def _move_slowly(self) -> None:
        """The same where something is missing: pipes, room in the journal, or a journal."""
        pool, words = self._pool, self._words
        if not pool.free and not pool.grow():
            self.hold()
            pool.wait(self.release)
            return
        words[0] = self._slot + 1
        journal = self.journal
        if journal is not None and self._room(journal):
            self.move()
            return
        pipe = pool.free[-1]
        try:
            moved = self._take_unseen(pipe, journal)
        except OSError as error:
            words[0] = 0
            self._not_moved(error)
            return
        words[0] = 0
        if moved:
            self._pass(pipe, moved)
        else:
            self._near.over()

    def _not_moved(self, error: OSError) -> None:
        if not isinstance(error, BlockingIOError):
            self._near.reset(error)

    def _room(self, journal: Journal) -> bool:
        """Whether there is room, perhaps after a flush; that helps unless a file can't be written."""
        if journal.room() is None:
            self.on_due()
        return journal.room() is not None

    def _take_unseen(self, pipe: Pipe, journal: Journal | None) -> int:
        """Bytes that are in the pipe now, without a record; 0 at the end of the source. Raises OSError."""
        if journal is not None:
            journal.skip(self._side)
        self._ledger.own(pipe.index, self._owner)
        moved = os.splice(self._fd, pipe.writer, READ_MAX, flags=NONBLOCK)
        if journal is not None and moved:
            journal.lose(self._side, moved)
        return moved

    def _pass(self, pipe: Pipe, size: int) -> None:
        """Forward what the last pipe of the pool holds. What does not go stays in it, and takes it out of the pool.

        Nothing waits for the target before: a source whose target has something to send is not read.
        """
        self.forwarded += size
        try:
            sent = os.splice(pipe.reader, self._far_fd, size, flags=NONBLOCK)
        except OSError:  # the outbox meets it again, and knows what to do
            sent = 0
        if sent < size:
            self._pool.free.pop()
            self._forward_pipe(pipe, size - sent)

    def _forward_pipe(self, pipe: Pipe, size: int) -> None:
        if not self._far.forward(pipe, size) and self._far.queued:
            self._stall()

    def adopt(self, pipe: Pipe) -> None:
        """Go on with what a predecessor has left in a pipe of this direction. Before :meth:`start`."""
        self._ledger.work_on(self._slot)
        size = pipe.waiting()
        journal = self.journal
        if journal is not None and not journal.recorded(self._side):
            self._record(journal, pipe.look())
        self.forwarded += size
        self._forward_pipe(pipe, size)
        self._ledger.work_on(None)

    def _record(self, journal: Journal, data: bytes) -> None:
        """Put what was taken, but not recorded, into the journal."""
        room = journal.room()
        if room is not None and len(room) < len(data):
            self.on_due()
            journal.widen()
            room = journal.room()
        if room is None or len(room) < len(data):
            journal.lose(self._side, len(data))
            journal.skip(self._side)
        else:
            room[: len(data)] = data
            journal.commit(self._loop.now(), self._side, len(data))


@dataclass(slots=True)
class Lane:
    """What a conversation has in the shared memory. ``journal`` None: it is not recorded.

    ``on_due()`` is called when the journal should be flushed.
    """

    ledger: Ledger
    pool: Pool
    slot: int
    journal: Journal | None = None
    on_due: Callable[[], None] = lambda: None

    def leg(self, loop: Loop, sock: socket.socket, name: str) -> PipeLeg:
        """A leg for :class:`SpliceRelay`."""
        return PipeLeg(loop, sock, name, self.pool, self.ledger)


class SpliceRelay(Relay):
    """The relay of two :class:`PipeLeg`; it offers what :class:`~rawlog.engine.relay.Relay` does, but no filters."""

    def __init__(
        self,
        loop: Loop,
        client: PipeLeg,
        server: PipeLeg,
        lane: Lane,
        *,
        on_end: Callable[[str], None],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._lane = lane
        super().__init__(loop, client, server, on_end=on_end, limits=limits)

    def _flow(self, source: Leg, target: Leg, direction: Direction) -> SpliceFlow:
        assert isinstance(source, PipeLeg) and isinstance(target, PipeLeg)
        side = 0 if direction is Direction.IN else 1
        return SpliceFlow(self.loop, source, target, self._stalled, self._lane, side)

    def adopt(self, direction: Direction, pipe: Pipe) -> None:
        """Go on with what a predecessor has left in a pipe. Before :meth:`start`."""
        flow = self._flows[direction]
        assert isinstance(flow, SpliceFlow)
        flow.adopt(pipe)
