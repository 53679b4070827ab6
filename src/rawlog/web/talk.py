"""One conversation that is looked at: its index, which grows with it.

Knows: files that grow, and that a long recording takes time to read: what is read is there to be seen meanwhile. Must
not know: HTTP, what rows hold. A thread reads what there is; what is added later is read when somebody looks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rawlog.dialogue.exchange import exchanges
from rawlog.dialogue.merge import in_order
from rawlog.dialogue.search import Query
from rawlog.dialogue.search_text import Scan
from rawlog.errors import RawlogError
from rawlog.events import Event, Recording
from rawlog.reading.follow_recording import GrowingFile, GrowingRecording, NotARecordingError
from rawlog.reading.opener import open_recording
from rawlog.reading.stretches import Stretches, files_of, is_sealed_recording
from rawlog.web.buckets import Point, buckets
from rawlog.web.index import FAILED, NO_TIME, Index

BATCH = 500
"""Events between two looks at whether anybody still wants the rest."""

MATCHES_LIMIT = 10_000
"""Rows that a filter gives: more are no answer."""


class Talk:
    """The conversation ``name``, a path as reading/shelf.py names recordings.

    ``version`` changes when there is something new to see, ``edition`` when all that was seen is void. ``problem`` is
    the sentence that says why (the rest of) it can't be read. ``stopped``: nobody looks at it any more.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.version = self.edition = 0
        self.problem = ""
        self._lock = threading.Lock()  # held by who reads files
        self._filters = 0  # how many were asked for
        self.stopped = False
        self._start()

    def _start(self) -> None:
        self.index = Index()
        self.stretches = Stretches(self.name)
        self.reading = True
        self._size = 0
        self._files: list[GrowingFile] = []
        self._growing: GrowingRecording | None = None
        self._thread = threading.Thread(target=self._read, name="rawlog-read", daemon=True)
        self._thread.start()

    @property
    def progress(self) -> float:
        """How much of it has been read, from 0 to 1."""
        if not self.reading or not self._size:
            return 1.0
        return min(1.0, sum(file.taken for file in self._files) / self._size) if self._files else 0.0

    def stop(self) -> None:
        """Nobody looks at it any more."""
        self.stopped = True

    def wait(self, seconds: float) -> None:
        """Until what there was has been read, or so long."""
        self._thread.join(seconds)

    def grow(self) -> None:
        """Read what has been added. It doesn't wait when somebody is at it."""
        if self.reading or self.stopped or not self.index.complete or not self._lock.acquire(blocking=False):
            return
        try:
            if self._growing is None:
                if self._size_now() != self._size and not self.problem:
                    self.edition += 1
                    self._start()
            elif self._take_more(self._growing):
                self.index.look()
                self.version += 1
        except (OSError, RawlogError, NotARecordingError) as error:
            self._fail(error)
        finally:
            self._lock.release()

    def matches(self, query: Query) -> tuple[list[int], bool]:
        """The rows that match, and whether these are all. ``query`` may ask about the recording as well.

        It may take as long as reading does. Raises RawlogError when another filter is asked for meanwhile.
        """
        left = query.about(self.name, self.index.summarizer.summary)
        if left.decided is not None:
            return (list(range(min(len(self.index.rows), MATCHES_LIMIT))) if left.decided else []), True
        found = list(islice(self._matching(left), MATCHES_LIMIT + 1))
        return found[:MATCHES_LIMIT], len(found) <= MATCHES_LIMIT

    def strip(self, count: int) -> dict[str, object]:
        """The latencies over the time of the conversation, in so many columns at most."""
        columns = zip(self.index.times, self.index.latencies, self.index.results, strict=False)  # they may grow
        points = [
            Point(at, None if latency == NO_TIME else latency, result == FAILED, row)
            for row, (at, latency, result) in enumerate(columns)
            if at != NO_TIME
        ]
        if not points:
            return buckets((), 0, 0, count)
        return buckets(points, min(point.at for point in points), max(point.at for point in points), count)

    # -- reading --------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Read what there is, in a thread of its own."""
        try:
            with self._lock:
                recording = open_recording(self.name)
                self.index = Index(recording.protocol)
                self._size = self._size_now()
                events = iter(self._events(recording))
                while (batch := list(islice(events, BATCH))) and not self.stopped and self.index.complete:
                    for event in batch:
                        self.index.feed(event)
                    self.version += 1
                self.index.look()
        except (OSError, RawlogError, NotARecordingError) as error:
            self._fail(error)
        self.reading = False
        self.version += 1

    def _events(self, recording: Recording) -> Iterator[Event]:
        if not recording.timed or is_sealed_recording(self.name):  # it makes sense only when all of it is there
            yield from in_order(recording).events
            return
        self._files = files_of(self.name)
        for file in self._files:
            file.seen = Path(file.path).stat().st_size
        growing = GrowingRecording(self.stretches.note)
        yield from growing.begin(self._files)
        self._growing = growing

    def _take_more(self, growing: GrowingRecording) -> bool:
        """Reads what was added; gives whether there was anything."""
        known = {file.path for file in self._files}
        self._files += [file for file in files_of(self.name) if file.path not in known]
        events = 0
        for file in self._files:
            while Path(file.path).stat().st_size > file.taken and not self.stopped:
                for event in growing.take(file):
                    self.index.feed(event)
                    events += 1
        for event in growing.settled(time.time_ns() // 1000):
            self.index.feed(event)
            events += 1
        return events > 0

    def _size_now(self) -> int:
        return sum(Path(file.path).stat().st_size for file in files_of(self.name))

    def _fail(self, error: Exception) -> None:
        self.problem = f"{self.name}: not a recording" if isinstance(error, NotARecordingError) else str(error)
        self.version += 1

    def _matching(self, query: Query) -> Iterator[int]:
        """The rows of the exchanges that match, as far as there are rows."""
        self._filters += 1
        mine = self._filters
        scan = Scan(query.texts) if query.texts else None
        known = self.index.exchange_rows
        for number, exchange in enumerate(exchanges(open_recording(self.name), scan=scan)):
            if self._filters != mine or self.stopped:
                raise RawlogError("another filter was asked for meanwhile")
            if number >= len(known) and not self.index.complete:
                return
            row = known[number] if number < len(known) else len(self.index.rows) + number - len(known)
            if query.term.holds(exchange):
                yield row
