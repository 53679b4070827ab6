"""A filter that must read recordings to be decided: which of them hold an exchange that matches?

Knows: that this takes time, so that it is done in a thread and answers come one after the other. Must not know: HTTP,
lists. What was decided is kept until the recording has changed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from rawlog.dialogue.exchange_summary import Summary
from rawlog.dialogue.search import Query, could_match, search
from rawlog.errors import RawlogError
from rawlog.reading.needles import may_hold
from rawlog.reading.opener import open_recording

_State = tuple[int, int]  # bytes of the two directions


class Hunt:
    """Decides one query, recording by recording. ``version`` counts the answers."""

    def __init__(self) -> None:
        self.version = 0
        self._known: dict[str, tuple[_State, bool]] = {}
        self._waiting: OrderedDict[str, tuple[_State, Query]] = OrderedDict()
        self._change = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Recordings that are not decided yet."""
        return len(self._waiting)

    def ask(self, name: str, summary: Summary, left: Query) -> bool:
        """Whether the recording matches, as far as is known; what isn't will be looked at.

        ``left`` is what is left of the query for this recording.
        """
        state = summary.in_bytes, summary.out_bytes
        known = self._known.get(name)
        if known is None or known[0] != state:
            with self._change:
                if not self._stopped:
                    self._waiting[name] = state, left
                    self._start()
                    self._change.notify()
        return known is not None and known[1]

    def stop(self) -> None:
        """Nobody wants to know any more."""
        with self._change:
            self._stopped = True
            self._waiting.clear()
            self._change.notify()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="rawlog-hunt", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._waiting and not self._stopped:
                    self._change.wait()
                if self._stopped:
                    return
                name, (state, query) = next(iter(self._waiting.items()))
            found = _holds(name, query)
            with self._change:
                self._known[name] = state, found
                if self._waiting.get(name, (state, query))[0] == state:
                    self._waiting.pop(name, None)
                self.version += 1


def _holds(name: str, query: Query) -> bool:
    """Whether anything in a recording matches; what can't be read doesn't."""
    try:
        holds = may_hold(name, query.needles())
        if holds is False:
            return False
        recording = open_recording(name)
        if holds is None and not could_match(recording, query):
            return False
        return next(search(recording, query), None) is not None
    except (RawlogError, OSError):
        return False
