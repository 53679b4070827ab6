"""The housekeeper: a small process beside the workers that removes recordings while others are made.

The theory. Who writes recordings should not be able to remove any, so somebody else does it: every recording that is
older than it may be, and the oldest of those who have more than their room. It looks around once a minute, and at once
when a writer calls because room gets scarce. It leaves a tenth of the room free, so that recording need not stop while
it works. What it finds it publishes; the writers count from there.

Free space on the file system is no reason to remove anything here: others may have filled it. There recording stops.

Knows: processes, the round that it makes. Must not know: what is in a recording, who is being served.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import replace

from rawlog.engine.confine import call_it, close_to_others, confine_or_say, drop_capabilities
from rawlog.engine.tally import Share, Tally
from rawlog.errors import RawlogError
from rawlog.recorder.confinement import housekeeping
from rawlog.recorder.housekeeping import capacity_of, choose, limits_of
from rawlog.recorder.room import NEARLY, Rooms, Totals, key_of
from rawlog.recorder.roots import roots
from rawlog.recorder.stock import Lying, is_busy, lying_at, remove
from rawlog.settings.configuration import Configuration
from rawlog.settings.values import Space, show_size

NAME = "rawlog-tidy"
"""What ps shows."""
PERIOD = 60.0
"""Seconds between two rounds; what is too old may stay five minutes longer (security.md P20)."""
PAUSE = 1.0
"""Seconds between two rounds when there are calls."""
ROW = 1 << 12
"""Counts of written bytes; users that meet in one are measured more often."""

Report = Callable[[str], None]


class Housekeeping:
    """The housekeeper's process and what it shares with the workers, from the side of the master."""

    def __init__(self, report: Report) -> None:
        self.written = Tally(row=ROW, exact=False)
        self.pid = 0
        self._reader = self.written.take()
        self._totals = Totals()
        self._calls, self._callers = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._callers.setblocking(False)
        self._report = report

    def start(self, configuration: Configuration, alive: int, prepare: Callable[[], None]) -> None:
        """Fork it. ``alive`` ends when the master does; ``prepare()`` makes the process what it should be."""
        pid = os.fork()
        if pid:
            self.pid = pid
            return
        code = 1
        try:
            prepare()
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGIO, signal.SIG_IGN)  # should a file be opened while its lease is tried
            call_it(NAME)
            drop_capabilities()
            close_to_others()
            confine_or_say(housekeeping(configuration), self._report)
            assert self._reader is not None
            Housekeeper(configuration, self._totals, self._reader, self._report).run(self._calls, alive)
            code = 0
        except Exception:
            self._report(f"housekeeping failed; please report this:\n{traceback.format_exc()}")
        finally:
            os._exit(code)

    def end(self) -> None:
        """End it, at any moment: what it removes it removes one by one. Nobody waits, it may hang in a file system."""
        if self.pid:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGTERM)
            self.pid = 0

    def ended(self, pid: int) -> bool:
        """Whether the process that has ended was the housekeeper."""
        if pid != self.pid:
            return False
        self.pid = 0
        return True

    def rooms(self, configuration: Configuration, written: Share | None) -> Rooms | None:
        """For a worker: what its recordings may take. None when it has nowhere to count."""
        if written is None:
            return None
        settings = configuration.settings
        return Rooms(settings.rawlog_max_user_size, settings.rawlog_max_total_size, written, self._totals, self._call)

    def _call(self) -> None:
        with contextlib.suppress(OSError):  # there are calls enough
            self._callers.send(b"!")


class Housekeeper:
    """The process itself."""

    def __init__(self, configuration: Configuration, totals: Totals, written: Share, report: Report) -> None:
        self._configuration = configuration
        self._totals = totals
        self._written = written
        self._report = report
        self._told: set[str] = set()
        self._devices: set[int] = set()  # file systems with recordings
        limits = limits_of(configuration.settings)
        self._limits = replace(limits, min_free=Space(), spare=NEARLY)

    def run(self, calls: socket.socket, alive: int) -> None:
        """Make rounds until nobody is there."""
        calls.setblocking(False)
        while True:
            try:
                self.round(time.time())
            except OSError as error:  # a directory went away while it was looked at
                self._fail(RawlogError(f"{error}; trying again"))
            time.sleep(PAUSE)
            ready, _, _ = select.select([calls.fileno(), alive], [], [], PERIOD - PAUSE)
            if alive in ready:
                return
            with contextlib.suppress(BlockingIOError):
                while calls.recv(1):
                    pass

    def round(self, now: float) -> None:
        """Look at everything, remove what has to go, publish what is left. ``now`` in seconds since the epoch."""
        counted = {device: self._written.total(key_of(device)) for device in self._devices}
        items = self._look()
        for item in items.values():
            if item.device not in counted:
                counted[item.device] = self._written.total(key_of(item.device))
        self._devices = set(counted)
        removed, size = 0, 0
        for one in choose(
            items.values(), self._limits, now=now, busy=lambda item: is_busy(item, now), capacity=capacity_of
        ):
            try:
                remove(one.item)
            except RawlogError as error:
                self._fail(error)
            else:
                del items[one.item.path]
                removed, size = removed + 1, size + one.item.size
        for device, before in counted.items():
            left = sum(item.size for item in items.values() if item.device == device)
            self._totals.publish(device, (left, before))
        if removed:
            self._report(f"housekeeping: {removed} recordings removed, {show_size(size)}")

    def _look(self) -> dict[str, Lying]:
        """The recordings that there are, by path."""
        found: dict[str, Lying] = {}
        for directory, own in roots(self._configuration):
            found |= {item.path: item for item in lying_at(directory, self._fail, below=False, own=own)}
        return found

    def _fail(self, error: RawlogError) -> None:
        """Once for each reason: it will be the same in a minute."""
        if str(error) not in self._told:
            self._told.add(str(error))
            self._report(f"housekeeping: {error}")
