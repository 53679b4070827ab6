"""The event loop: ready descriptors, timers, signals.

Knows: which function to call when a descriptor is ready, a time has come or a signal has arrived. Must not know: what
a socket is for. It is our own because the hot path of this project is here: one clock read per wake-up (all bytes of
one wake-up carry the same time, as in Dovecot), level-triggered, no futures, no tasks. A failing handler is reported
and loses its descriptor; the loop and all other conversations go on.
"""

from __future__ import annotations

import _socket  # the core of the module: all of it takes as long to load as the loop
import heapq
import signal
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from types import FrameType
from typing import Any

from rawlog.engine.poller import ERR, HUP, READ, WRITE, Poller, make_poller

__all__ = ["ERR", "HUP", "READ", "WRITE", "Loop", "Timer"]

_MAX_EVENTS = 256
"""Ready descriptors taken per wake-up: enough to spread the cost of the call, few enough that timers are not late."""
_MAX_CANCELLED = 64
"""Cancelled timers that may stay in the heap: the 10-second limits of many short sessions must not pile up."""


class Timer:
    """A callback that waits for its time. ``cancel()`` may be called at any time, more than once."""

    __slots__ = ("_loop", "callback")

    def __init__(self, loop: Loop, callback: Callable[[], None]) -> None:
        self._loop: Loop | None = loop
        self.callback: Callable[[], None] | None = callback

    def run(self) -> None:
        """Call the callback now, before its time, unless it was called or cancelled."""
        callback = self.callback
        self.cancel()
        if callback is not None:
            callback()

    def cancel(self) -> None:
        """Never call the callback; forget it at once, so that nothing is kept alive by it."""
        if self.callback is not None and self._loop is not None:
            self._loop._cancelled()
        self.callback = self._loop = None


class Loop:
    """One thread's event loop. Nothing in it may be called from another thread.

    ``on_error`` receives what a handler or callback raised; by default it is logged with its traceback.
    """

    def __init__(self, poller: Poller | None = None) -> None:
        self._poller = make_poller() if poller is None else poller
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._gone: set[int] = set()
        self._timers: list[tuple[float, int, Timer]] = []  # when, and a number, so that no two timers are compared
        self._numbers = count()
        self._cancelled_timers = 0
        self._soon: deque[Callable[[], None]] = deque()
        self._signals: dict[int, Callable[[], None]] = {}
        self._old_signals: dict[int, Any] = {}
        self._old_wakeup = -1
        self._wakeup: tuple[_socket.socket, _socket.socket] | None = None
        self._running = False
        self.on_error: Callable[[BaseException], None] = _log_error
        self._now = 0
        self._monotonic = 0.0
        self._read_clocks()

    # -- time ---------------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Wall clock of this wake-up, in microseconds since the epoch (UTC)."""
        return self._now

    def monotonic(self) -> float:
        """Seconds of a clock that never steps, as of this wake-up."""
        return self._monotonic

    def _read_clocks(self) -> None:
        self._now = time.time_ns() // 1000
        self._monotonic = time.monotonic()

    # -- descriptors --------------------------------------------------------------------------------------------------

    def register(self, fd: int, handler: Callable[[int], None], events: int) -> None:
        """Call ``handler(events)`` when ``fd`` is ready for ``events`` (READ, WRITE), or has ERR or HUP."""
        self._poller.register(fd, events)
        self._handlers[fd] = handler

    def modify(self, fd: int, events: int) -> None:
        """Wait for other events from now on. With 0 only ERR and HUP are reported."""
        self._poller.modify(fd, events)

    def unregister(self, fd: int) -> None:
        """Call the handler no more, not even for events of this wake-up; nothing happens when there is none.

        Do it before the descriptor is closed.
        """
        if self._handlers.pop(fd, None) is None:
            return
        self._gone.add(fd)
        try:
            self._poller.unregister(fd)
        except OSError:  # it was closed before: then it has left the poller already
            return

    # -- callbacks ----------------------------------------------------------------------------------------------------

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` once, ``seconds`` after the time of this wake-up."""
        timer = Timer(self, callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), timer))
        return timer

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once, after the handlers of this wake-up."""
        self._soon.append(callback)

    def _cancelled(self) -> None:
        self._cancelled_timers += 1
        if self._cancelled_timers > max(_MAX_CANCELLED, len(self._timers) // 2):
            self._timers[:] = [entry for entry in self._timers if entry[2].callback is not None]
            heapq.heapify(self._timers)
            self._cancelled_timers = 0

    # -- running ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until :meth:`stop` is called."""
        poll = self._poller.poll
        timers = self._timers
        soon = self._soon
        self._running = True
        self._read_clocks()
        while self._running:
            ready = poll(0.0 if soon else self._wait() if timers else -1.0, _MAX_EVENTS)
            self._now = time.time_ns() // 1000
            self._monotonic = time.monotonic()
            if ready:
                self._dispatch(ready)
            if timers and timers[0][0] <= self._monotonic:
                self._run_timers()
            if soon:
                self._run_soon()

    def stop(self) -> None:
        """Let :meth:`run` return after this wake-up."""
        self._running = False

    def _wait(self) -> float:
        """Seconds until the first timer; -1 when all are cancelled."""
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
            self._cancelled_timers -= 1
        return max(0.0, timers[0][0] - time.monotonic()) if timers else -1.0

    def _dispatch(self, ready: list[tuple[int, int]]) -> None:
        handlers = self._handlers
        gone = self._gone
        gone.clear()
        for fd, events in ready:
            if gone and fd in gone:  # an old event of a number that was closed, and perhaps reused, a moment ago
                continue
            handler = handlers.get(fd)
            if handler is None:
                continue
            try:
                handler(events)
            except Exception as error:
                if handlers.get(fd) == handler:  # left in place it would be called, and fail, for ever
                    self.unregister(fd)
                self._report(error)

    def _run_timers(self) -> None:
        timers = self._timers
        now = self._monotonic
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)[2]
            callback = timer.callback
            if callback is None:
                self._cancelled_timers -= 1
                continue
            timer.callback = timer._loop = None
            self._call(callback)

    def _run_soon(self) -> None:
        soon = self._soon
        for _ in range(len(soon)):
            self._call(soon.popleft())

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:
            self._report(error)

    def _report(self, error: BaseException) -> None:
        try:
            self.on_error(error)
        except Exception as second:
            _log_error(second)

    # -- signals ------------------------------------------------------------------------------------------------------

    def add_signal(self, signum: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` in the loop whenever signal ``signum`` arrives. Main thread only."""
        if self._wakeup is None:
            self._open_wakeup()
        old = signal.signal(signum, _ignore)
        self._old_signals.setdefault(signum, old)
        signal.siginterrupt(signum, False)
        self._signals[signum] = callback

    def _open_wakeup(self) -> None:
        receiver, sender = _socket.socketpair()
        receiver.setblocking(False)
        sender.setblocking(False)
        self._wakeup = receiver, sender
        self._old_wakeup = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        self.register(receiver.fileno(), self._signalled, READ)

    def _signalled(self, events: int) -> None:
        assert self._wakeup is not None
        for signum in dict.fromkeys(self._wakeup[0].recv(4096)):
            callback = self._signals.get(signum)
            if callback is not None:
                self._call(callback)

    def close(self) -> None:
        """Give signals back and free the poller. Descriptors of others stay open; they are their owners'."""
        for signum, old in self._old_signals.items():
            signal.signal(signum, old)
        if self._wakeup is not None:
            signal.set_wakeup_fd(self._old_wakeup)
            for end in self._wakeup:
                end.close()
        self._old_signals.clear()
        self._wakeup = None
        self._handlers.clear()
        self._timers.clear()
        self._soon.clear()
        self._poller.close()


def _ignore(signum: int, frame: FrameType | None) -> None:
    """A signal handler that leaves all to the wake-up descriptor."""


def _log_error(error: BaseException) -> None:
    import logging  # for those only to whom it happens: it is a fifth of what a relay has to load

    logging.getLogger("rawlog.engine").error("an event handler failed", exc_info=error)
