"""The limits of one recording, from the settings: its size, and the room on the file system that its files are on.

Knows: which settings these are. Must not know: what is done when a limit is reached. The open files are asked, not
their directory: it may be a home, which who serves can't enter.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from rawlog.events import Direction
from rawlog.recorder.limits import FreeSpace, Limit
from rawlog.recorder.sinks import FileSink
from rawlog.settings.model import Settings


def limit_of(settings: Settings, sinks: Mapping[Direction, FileSink]) -> Limit:
    """The limits of a recording that goes into ``sinks``."""
    size = settings.rawlog_max_session_size or 0
    for sink in sinks.values():
        try:
            status = os.fstatvfs(sink.fd)
        except OSError:  # it does not answer; that is no reason not to record
            continue
        floor = settings.rawlog_min_free_space.least(status.f_blocks * status.f_frsize)
        return Limit(size, FreeSpace(sink.fd, floor))
    return Limit(size)
