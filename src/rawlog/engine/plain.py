"""Two plain sockets, joined: the relay for conversations in which no TLS can begin.

Knows: two ends, what they have met, and what is passed on. Must not know: the mail protocol, who records. The rules are
those of :mod:`rawlog.engine.relay`: forward first, tap after; an end is passed on as an end, a reset as a reset; never
more is held than one read for each direction. It is a relay of its own because one begins and ends with every login:
with three objects, and little that is called for each event, it takes a fifth of what two legs and two flows take.
"""

from __future__ import annotations

import errno
from _socket import SocketType
from collections.abc import Callable

from rawlog.engine.bounds import DEFAULT_LIMITS, LONG_STALL, READ_AFTER_STALL, Limits
from rawlog.engine.loop import Loop
from rawlog.engine.plain_end import End
from rawlog.engine.sentences import os_reason
from rawlog.engine.winding import Winding
from rawlog.events import Direction

Tap = Callable[[int, Direction, bytes], None]
"""Called with (microseconds since the epoch, direction, bytes)."""


class PlainRelay(Winding):
    """Joins ``client`` and ``server``, connected stream sockets; owns both from now on, and closes both.

    IN is what is read from the client, OUT what is read from the server; ``tap`` sees both, or is None. ``on_end
    (reason)`` is called exactly once, when both are closed, never from inside a call of the relay; the reason is a
    plain sentence about what came first, in which ``names`` stand for the two. The methods that take an end are for the
    two ends.
    """

    __slots__ = ("tap",)
    client: End
    server: End

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
        one, other = End(self, client, names[0], Direction.IN), End(self, server, names[1], Direction.OUT)
        one.peer, other.peer = other, one
        super().__init__(loop, one, other, on_end=on_end, limits=limits)
        self.tap: Tap | None = None

    @property
    def read_max(self) -> int:
        """Largest read, in bytes."""
        return self._limits.read_max

    @property
    def forwarded(self) -> dict[Direction, int]:
        """Bytes read and forwarded in each direction."""
        return {Direction.IN: self.client.moved, Direction.OUT: self.server.moved}

    @property
    def undelivered(self) -> dict[Direction, int]:
        """Bytes, the last of those forwarded in each direction, that the kernel did not accept."""
        return {Direction.IN: self.server.undelivered, Direction.OUT: self.client.undelivered}

    def start(self) -> None:
        """Begin to read both."""
        self.client.watch()
        self.server.watch()

    def pause(self) -> None:
        """Read no more from either side."""
        self._hold(True)

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self._hold(False)
        self._review()

    def _hold(self, held: bool) -> None:
        for end in (self.client, self.server):
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

    def stalled(self, end: End) -> None:
        """It does not take what is sent: its peer is read no more. One timer serves all stalls."""
        end.since = end.progress = self.loop.monotonic()
        end.watch()
        end.peer.watch()
        self._stalled()

    def emptied(self, end: End) -> None:
        """It has taken everything."""
        peer = end.peer
        if self.loop.monotonic() - end.since > LONG_STALL:
            peer.size = min(peer.size, READ_AFTER_STALL)
        if peer.passed or self._closing:
            end.shutdown_write()
            self._review()
        if not self.ended:
            end.watch()
            peer.watch()

    # -- the end ------------------------------------------------------------------------------------------------------

    def _review(self) -> None:
        """Something has changed: pass it on, and see whether the conversation is over."""
        if self.ended:
            return
        client, server = self.client, self.server
        for end in (client, server):
            self.reason = self.reason or end.reason or end.broken
            if end.broken and not end.peer.dead and not self.hard:
                end.peer.discard()
            if end.ended and not end.passed and not end.held and not self.hard:
                end.passed = True
                end.peer.shutdown_write()
        if self.hard or (client.over and server.over):
            self._wind_up()
        elif client.passed or client.dead or server.passed or server.dead:
            self._drain()

    def _advance(self) -> int:
        return self.client.moved + self.server.moved

    def _discard(self) -> None:
        self.client.discard()
        self.server.discard()

    def _forget(self) -> None:
        self.tap = None
        self.client.forget()
        self.server.forget()
