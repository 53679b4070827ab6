"""What a configuration file means for the post-login door: secrets, limits, debugging, which relay.

Knows: which settings count here. Must not know: how files are read, or what the door does. Where the recordings go, and
how they are written, is not asked of the file: the directory in the home and the service's options say that, as in
Dovecot.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from rawlog.events import Direction
from rawlog.recorder.limits import FreeSpace, Limit
from rawlog.recorder.sinks import FileSink
from rawlog.settings.configuration import Configuration
from rawlog.settings.model import Settings
from rawlog.taps.postlogin import PostLoginOptions


def with_settings(options: PostLoginOptions, configuration: Configuration) -> PostLoginOptions:
    """The options with what the file says; what it does not say is as its defaults are."""
    settings = configuration.settings

    def limit(sinks: Mapping[Direction, FileSink]) -> Limit:
        return _limit(settings, sinks)

    return replace(
        options,
        keep_secrets=settings.postlogin_secrets == "keep",
        debug=options.debug or settings.debug,
        unbreakable=options.unbreakable or settings.rawlog_relay == "unbreakable",
        limit=limit,
    )


def _limit(settings: Settings, sinks: Mapping[Direction, FileSink]) -> Limit:
    """The size of the recording, and the room on the file system that its files are on."""
    for sink in sinks.values():
        try:
            status = os.fstatvfs(sink.fd)
        except OSError:  # it does not answer; that is no reason not to record
            continue
        floor = settings.rawlog_min_free_space.least(status.f_blocks * status.f_frsize)
        return Limit(settings.rawlog_max_session_size or 0, FreeSpace(sink.fd, floor))
    return Limit(settings.rawlog_max_session_size or 0)
