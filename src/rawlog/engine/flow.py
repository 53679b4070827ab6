"""One direction of a relay: bytes read from one leg go to the other.

Knows: its two legs, whether it is held (by who negotiates) or stalled (by a slow reader), and its filter. Must not
know: the opposite direction, the end of the relay, the mail protocol. It is a thing of its own because everything that
happens to bytes happens here, twice, once for each direction.

Forward first, tap after: the record never delays the conversation. Only while there is a filter the bytes are tapped
first, because the filter may answer them, and the answer must stand behind them in the record.
"""

from __future__ import annotations

from collections.abc import Callable

from rawlog.engine.bounds import LONG_STALL
from rawlog.engine.leg import Leg, Tap
from rawlog.engine.loop import Loop
from rawlog.events import Direction

Filter = Callable[[bytes], bytes]
"""Takes plain bytes read, returns what is to be forwarded (b'' for nothing)."""


class Flow:
    """Bytes from ``source`` to ``target``. ``on_stall()`` is called when the target stops taking bytes.

    ``passed`` is True when the end of the source was passed on; ``dead`` when nothing can be forwarded any more: bytes
    are then read and dropped, and counted in ``discarded``, so that the source is not blocked, nor reset by our close.
    """

    # fmt: off
    __slots__ = (
        "_held", "_loop", "_on_stall", "_stalled_at", "dead", "discarded", "filter", "forwarded", "passed", "source",
        "stalled", "target",
    )
    # fmt: on

    def __init__(self, loop: Loop, source: Leg, target: Leg, on_stall: Callable[[], None]) -> None:
        self.source = source
        self.target = target
        self.filter: Filter | None = None
        self.passed = self.dead = self.stalled = self._held = False
        self.forwarded = self.discarded = 0
        self._loop = loop
        self._on_stall = on_stall
        self._stalled_at = 0.0

    def start(self) -> None:
        """Let the bytes flow."""
        self.target.on_drained = self._drained
        self.plug(self.filter)
        self._continue()

    def plug(self, new: Filter | None) -> None:
        """Put a filter in, or take it out. Without one nothing of it is left in the path of the bytes."""
        self.filter = new
        if not self.dead:
            self.source.on_data = self._forward if new is None else self._filtered

    @property
    def over(self) -> bool:
        """True when the end was passed on, or there is nobody to pass anything to."""
        return self.dead or (self.passed and self.target.shut)

    # -- bytes --------------------------------------------------------------------------------------------------------

    def _forward(self, data: bytes) -> None:
        if self.source.gate is not None:
            self._forward_behind(self.source.gate, data)
            return
        self.forwarded += len(data)
        if not self.target.write(data) and self.target.queued:
            self._stall()
        if self.source.tap is not None:
            self._tap(self.source.tap, data)

    def _filtered(self, data: bytes) -> None:
        if self.source.tap is not None:
            self._tap(self.source.tap, data)
        assert self.filter is not None
        if self.source.gate is not None and not self.source.gate():
            self.discarded += len(data)
            return
        self.forwarded += len(data)
        out = self.filter(data)
        if self.dead:
            return
        if out:
            self.target.write(out)
        if self.target.queued:
            self._stall()

    def _forward_behind(self, gate: Callable[[], bool], data: bytes) -> None:
        """Tap first, and forward only if the gate is open then."""
        if self.source.tap is not None:
            self._tap(self.source.tap, data)
        if not gate():
            self.discarded += len(data)
            return
        self.forwarded += len(data)
        if not self.target.write(data) and self.target.queued:
            self._stall()

    def _tap(self, tap: Tap, data: bytes) -> None:
        try:
            tap(self._loop.now(), Direction.IN, data)
        except Exception as error:
            self.source.tap_failed(error)

    def _discard(self, data: bytes) -> None:
        self.discarded += len(data)

    # -- back-pressure ------------------------------------------------------------------------------------------------

    def _stall(self) -> None:
        self.stalled = True
        self._stalled_at = self._loop.monotonic()
        self.source.pause()
        self._on_stall()

    def _drained(self) -> None:
        if self.stalled:
            self.stalled = False
            if self._loop.monotonic() - self._stalled_at > LONG_STALL:
                self.source.shrink()
            self._continue()

    def hold(self) -> None:
        """Read no more from the source until :meth:`release`."""
        self._held = True
        if not self.dead:
            self.source.pause()

    def release(self) -> None:
        """Undo :meth:`hold`."""
        self._held = False
        self._continue()

    def _continue(self) -> None:
        if self.dead or not (self._held or self.stalled):
            self.source.resume()

    # -- ends ---------------------------------------------------------------------------------------------------------

    def review(self) -> None:
        """Look at both legs: pass an end on, stop forwarding to a target that is broken."""
        if self.target.broken is not None and not self.dead:
            self.discard()
        if self.source.ended and not self._held and not self.passed:
            self.passed = True
            self.target.shutdown_write(cut=self.source.truncated)

    def discard(self) -> None:
        """Forward nothing more: read, count and drop, so that the source comes to its end."""
        self.dead = True
        self.stalled = False
        self.source.on_data = self._discard
        self.source.resume()

    def forget(self) -> None:
        """Break the circles of references; the collector may be off."""
        self.dead = True
        self.filter = None
        self._on_stall = _nothing


def _nothing() -> None:
    """Called when nobody listens any more."""
