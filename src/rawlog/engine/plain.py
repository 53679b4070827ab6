"""Two plain sockets, joined: the relay for conversations in which no TLS can begin.

Knows: two ends, and when a conversation is over: half-close, reset, stall, drain. Must not know: the mail protocol, who
records. The rules are those of :mod:`rawlog.engine.relay`: forward first, tap after; an end is passed on as an end, a
reset as a reset; never more is held than one read for each direction; the last close waits until the peer's kernel has
everything. It is a relay of its own because one begins and ends with every login: with three objects, and little that
is called for each event, it takes a fifth of what two legs and two flows take.
"""

from __future__ import annotations

import errno
from _socket import SocketType
from collections.abc import Callable

from rawlog.engine.bounds import DEFAULT_LIMITS, LAST_LOOK, LONG_STALL, READ_AFTER_STALL, Limits
from rawlog.engine.loop import Loop, Timer
from rawlog.engine.plain_end import End
from rawlog.engine.sentences import os_reason
from rawlog.events import Direction

Tap = Callable[[int, Direction, bytes], None]
"""Called with (microseconds since the epoch, direction, bytes)."""


class PlainRelay:
    """Joins ``client`` and ``server``, connected stream sockets; owns both from now on, and closes both.

    IN is what is read from the client, OUT what is read from the server; ``tap`` sees both, or is None. ``on_end
    (reason)`` is called exactly once, when both are closed, never from inside a call of the relay; the reason is a
    plain sentence about what came first, in which ``names`` stand for the two. ``hard``: a side died, which is passed
    on as a reset. ``loop``, ``read_max`` and the methods that take an end are for the two ends.
    """

    # fmt: off
    __slots__ = (
        "_client", "_closing", "_drain_timer", "_limits", "_look_timer", "_moved", "_on_end", "_server",
        "_stall_timer", "ended", "hard", "loop", "reason", "tap",
    )
    # fmt: on

    def __init__(
        self,
        loop: Loop,
        client: SocketType,
        server: SocketType,
        *,
        on_end: Callable[[str], None],
        limits: Limits = DEFAULT_LIMITS,
        names: tuple[str, str] = ("client", "server"),
    ) -> None:
        self.loop = loop
        self.tap: Tap | None = None
        self.reason = ""
        self.ended = self.hard = self._closing = False
        self._limits = limits
        self._on_end: Callable[[str], None] | None = on_end
        self._stall_timer: Timer | None = None
        self._drain_timer: Timer | None = None
        self._look_timer: Timer | None = None
        self._moved: tuple[int, ...] = ()
        self._client = End(self, client, names[0], Direction.IN)
        self._server = End(self, server, names[1], Direction.OUT)
        self._client.peer, self._server.peer = self._server, self._client

    @property
    def read_max(self) -> int:
        """Largest read, in bytes."""
        return self._limits.read_max

    @property
    def forwarded(self) -> dict[Direction, int]:
        """Bytes read and forwarded in each direction."""
        return {Direction.IN: self._client.moved, Direction.OUT: self._server.moved}

    @property
    def undelivered(self) -> dict[Direction, int]:
        """Bytes, the last of those forwarded in each direction, that the kernel did not accept."""
        return {Direction.IN: self._server.undelivered, Direction.OUT: self._client.undelivered}

    def start(self) -> None:
        """Begin to read both."""
        self._client.watch()
        self._server.watch()

    def pause(self) -> None:
        """Read no more from either side."""
        self._hold(True)

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self._hold(False)
        self._review()

    def _hold(self, held: bool) -> None:
        for end in (self._client, self._server):
            end.held = held
            if not self.ended:
                end.watch()

    def show(self, direction: Direction, data: bytes) -> None:
        """To the tap. One that raises is taken off and reported; the conversation goes on."""
        if self.tap is None:
            return
        try:
            self.tap(self.loop.now(), direction, data)
        except Exception as error:
            self.tap = None
            self.loop.on_error(error)

    # -- what an end has met ------------------------------------------------------------------------------------------

    def end(self, end: End) -> None:
        """Nothing more comes from there."""
        end.ended = True
        end.reason = f"{end.name} closed"
        self.hard = self.hard or end.torn  # sending met the reset first, and reading then only sees an end
        end.watch()
        self._review()

    def reset(self, end: End, error: OSError) -> None:
        """The connection died: nothing more in either direction."""
        self.hard = True
        self._break(end, os_reason(end.name, error))

    def failed(self, end: End, error: Exception) -> None:
        """A bug of ours."""
        self.loop.on_error(error)
        self._break(end, f"{end.name}: internal error; please report it with what the log says")

    def cut(self, end: End, error: OSError) -> None:
        """Nothing more can be sent there. What came before can still be read."""
        end.broken = end.broken or os_reason(end.name, error)
        end.torn = error.errno == errno.ECONNRESET
        end.watch()
        self._review()

    def _break(self, end: End, reason: str) -> None:
        if self.ended:
            return
        end.drop()
        end.broken = end.broken or reason
        if not end.ended:
            end.ended = True
            end.reason = reason
        end.watch()
        self._review()

    # -- limits -------------------------------------------------------------------------------------------------------

    def stalled(self, end: End) -> None:
        """It does not take what is sent: its peer is read no more. One timer serves all stalls."""
        end.since = end.progress = self.loop.monotonic()
        end.watch()
        end.peer.watch()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self._limits.stall, self._check_stall)

    def emptied(self, end: End) -> None:
        """It has taken everything."""
        peer = end.peer
        if self.loop.monotonic() - end.since > LONG_STALL:
            peer.size = min(peer.size, READ_AFTER_STALL)
        if peer.passed or self._closing:
            end.shut_write()
            self._review()
        if not self.ended:
            end.watch()
            peer.watch()

    def _check_stall(self) -> None:
        self._stall_timer = None
        limit = self._limits.stall
        waiting = [end for end in (self._client, self._server) if end.rest]
        for end in waiting:
            if self.loop.monotonic() - end.progress >= limit:
                self._note(f"{end.name} took no data for {limit:g} s while some waited (output stall limit)")
                self._close(hard=end)
                return
        if waiting:
            again = min(end.progress for end in waiting) + limit - self.loop.monotonic()
            self._stall_timer = self.loop.call_later(again, self._check_stall)

    def _drain(self) -> None:
        """One side is over: the other one may take its time, but not for ever."""
        if self._drain_timer is None and not self.ended:
            self._moved = self._movement()
            self._drain_timer = self.loop.call_later(self._limits.drain, self._check_drain)

    def _check_drain(self) -> None:
        self._drain_timer = None
        if self._movement() != self._moved:
            self._drain()
            return
        self.reason += f"; drain limit of {self._limits.drain:g} s reached"
        self._close()

    def _movement(self) -> tuple[int, ...]:
        """Changes whenever a byte gets nearer to its goal; what is discarded does not count."""
        client, server = self._client, self._server
        return client.moved + server.moved, client.undelivered + client.unacked(), server.undelivered + server.unacked()

    # -- the end ------------------------------------------------------------------------------------------------------

    def finish(self, reason: str) -> None:
        """Forward nothing more, deliver what is queued on both sides, then close them."""
        self._note(reason)
        self._wind_up()

    def abort(self, reason: str) -> None:
        """Close both now, with a reset."""
        self._note(reason)
        self.hard = True
        self._close()

    def _note(self, reason: str) -> None:
        """The first reason is the cause; what follows from it is not told."""
        self.reason = self.reason or reason

    def _review(self) -> None:
        """Something has changed: pass it on, and see whether the conversation is over."""
        if self.ended:
            return
        client, server = self._client, self._server
        for end in (client, server):
            self.reason = self.reason or end.reason or end.broken
            if end.broken and not end.peer.dead and not self.hard:
                end.peer.discard()
            if end.ended and not end.passed and not end.held and not self.hard:
                end.passed = True
                end.peer.shut_write()
        if self.hard or (client.over and server.over):
            self._wind_up()
        elif client.passed or client.dead or server.passed or server.dead:
            self._drain()

    def _wind_up(self) -> None:
        """Both directions are over: only what is queued still goes out."""
        if self._close_if_done() or self._closing:
            return
        self._closing = True
        for end in (self._client, self._server):
            end.discard()
            if not self.hard:
                end.shut_write()
        self._look()
        self._drain()

    def _close_if_done(self) -> bool:
        """Close when that loses nothing, and tell whether it is closed."""
        if not self.ended and self._client.done and self._server.done:
            self._close()
        return self.ended

    def _look(self) -> None:
        """Close as soon as that loses nothing."""
        if not self._close_if_done():
            self._look_timer = self.loop.call_later(LAST_LOOK, self._look)

    def _close(self, hard: End | None = None) -> None:
        """Close both; ``hard``: that one with a reset, whatever the other one is told."""
        if self.ended:
            return
        self.ended = True
        for timer in (self._stall_timer, self._drain_timer, self._look_timer):
            if timer is not None:
                timer.cancel()
        for end in (self._client, self._server):
            end.close(hard=self.hard or end is hard)
        self.loop.call_soon(self._tell_end)

    def _tell_end(self) -> None:
        on_end, self._on_end, self.tap = self._on_end, None, None
        if on_end is not None:
            on_end(self.reason)
        self._client.forget()
        self._server.forget()
