"""A moment as people say it: ``2026-11-22 10:45``, ``10:45:30``, ``+12.5``, ``-2h``.

Knows: the forms, and that a time of day means the day of the recording. Must not know: recordings; whoever asks says
when one began, and what time it is now.
"""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from datetime import time as clock_time

from rawlog.dialogue.search_units import duration
from rawlog.errors import ConfigError

FORMS = "a date and time as 2026-11-22T10:45:00, a time of day as 10:45, +12.5 (seconds from the start), or -2h (ago)"

_OFFSET = re.compile(r"\+([0-9]+(?:\.[0-9]*)?)s?")
_SECOND = 1_000_000


class When:
    """One moment. ``now`` is in microseconds since the epoch. Raises ConfigError when nobody can know what is meant."""

    def __init__(self, text: str, *, now: int | None = None) -> None:
        self._absolute: int | None = None
        self._offset: int | None = None
        self._clock: clock_time | None = None
        now = time.time_ns() // 1000 if now is None else now
        text = text.strip()
        if found := _OFFSET.fullmatch(text):
            self._offset = int(float(found[1]) * _SECOND)
        elif text[:1] == "-" and (ago := duration(text[1:])) is not None:
            self._absolute = now - ago
        elif not self._is_date(text) and not self._is_clock(text):
            raise ConfigError(f"{text!r} is no moment: use {FORMS}")

    def at(self, started: int | None) -> int | None:
        """The moment in microseconds since the epoch, for a recording that began at ``started``.

        None where that is not known and would have to be.
        """
        if self._absolute is not None:
            return self._absolute
        if started is None:
            return None
        if self._offset is not None:
            return started + self._offset
        day = datetime.fromtimestamp(started / _SECOND).astimezone()
        assert self._clock is not None
        moment = day.replace(
            hour=self._clock.hour,
            minute=self._clock.minute,
            second=self._clock.second,
            microsecond=self._clock.microsecond,
        )
        if moment < day - timedelta(hours=12):  # a recording that goes on after midnight
            moment += timedelta(days=1)
        return int(moment.timestamp() * _SECOND)

    def _is_date(self, text: str) -> bool:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return False
        self._absolute = int(moment.timestamp() * _SECOND)  # local time where it names no zone
        return True

    def _is_clock(self, text: str) -> bool:
        try:
            self._clock = clock_time.fromisoformat(text)
        except ValueError:
            return False
        return True
