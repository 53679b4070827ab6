"""One sink of a recording: what waits for it, how it is doing, and what it has missed.

Knows: when a failed sink is tried again. Must not know: encoders, reports, the other direction.
"""

from __future__ import annotations

import errno

from rawlog.recorder.buffer import FULL, Buffer
from rawlog.recorder.gap import Gap
from rawlog.recorder.sinks import Sink

FIRST_RETRY = 0.5
LAST_RETRY = 30.0
"""Seconds from a failure to the next try: doubled each time, so that a dead disk costs two calls a minute."""
BUSY_RETRY = 0.05
"""The same for a sink that only can't take more at the moment: a collector that is slower than the conversation."""

_ADVICE = {
    errno.EAGAIN: "see that it runs and reads",
    errno.ENOSPC: "make room on that file system",
    errno.EDQUOT: "raise the quota or delete recordings",
    errno.EIO: "look at the disk",
    errno.EROFS: "mount that file system for writing",
    errno.EFBIG: "raise the limit of file sizes",
}


class Track:
    """A sink with its buffer. ``trouble``: why it fails at present, or empty. ``gap``: open while bytes are missed."""

    __slots__ = ("_delay", "_retry_at", "buffer", "gap", "trouble")

    def __init__(self, sink: Sink) -> None:
        self.buffer = Buffer(sink)
        self.trouble = ""
        self.gap: Gap | None = None
        self._retry_at = 0.0
        self._delay = FIRST_RETRY

    @property
    def name(self) -> str:
        """What messages call the sink."""
        return self.buffer.sink.name

    def refuses(self, size: int) -> bool:
        """True when the sink fails and ``size`` more bytes can't wait for it: what follows a gap never waits."""
        return bool(self.trouble) and (self.gap is not None or self.buffer.size + size > FULL)

    def write(self, now: float, *, at_once: bool = False) -> Exception | None:
        """Gives the sink what waits. Returns what the sink raised.

        ``now`` in seconds. A sink that failed is left alone until its time has come, except ``at_once``.
        """
        if self.trouble and not at_once and now < self._retry_at:
            return None
        try:
            self.buffer.write()
        except BlockingIOError as error:
            self.trouble = cause_of(error)
            self._retry_at = now + BUSY_RETRY
            return error
        except Exception as error:
            self.trouble = cause_of(error)
            self._retry_at = now + self._delay
            self._delay = min(self._delay * 2, LAST_RETRY)
            return error
        self.trouble = ""
        self._delay = FIRST_RETRY
        return None


def cause_of(error: Exception) -> str:
    """What went wrong, in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def advice_for(error: Exception) -> str:
    """What a person can do about it."""
    return _ADVICE.get(getattr(error, "errno", None) or 0, "look at that place")
