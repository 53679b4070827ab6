"""One recorded conversation behind a login: client, mail process, and the recorder between them.

Knows: two sockets, a relay, a recorder that may come later, and how it ends. Must not know: how the sockets came here
(the drop-in's child and the post-login service have the same sessions), directories, users.
"""

from __future__ import annotations

from _socket import SocketType
from collections.abc import Callable

from rawlog.engine.bounds import DEFAULT_LIMITS, Limits
from rawlog.engine.loop import Loop
from rawlog.engine.plain import PlainRelay
from rawlog.recorder.recorder import Recorder
from rawlog.taps.postlogin_tap import PostLoginTap

_NAMES = "client", "mail process"


class Session:
    """Relays between ``client`` and ``server`` (the mail process), which it owns.

    ``on_end(session)`` is called once, when both are closed and what was said is written: not before :meth:`record`.
    """

    __slots__ = ("__weakref__", "_known", "_loop", "_on_end", "_over", "_recorder", "_relay", "_tap", "_waiting")

    def __init__(
        self,
        loop: Loop,
        client: SocketType,
        server: SocketType,
        *,
        keep_secrets: bool,
        on_end: Callable[[Session], None],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._loop = loop
        self._on_end = on_end
        self._recorder: Recorder | None = None
        self._over = self._known = False  # the conversation is; what becomes of its recording is
        self._waiting = False
        self._relay = PlainRelay(loop, client, server, on_end=self._ended, limits=limits, names=_NAMES)
        self._tap = PostLoginTap(self._relay, keep=keep_secrets, on_full=self._wait)

    def start(self) -> None:
        """Begin to relay."""
        self._relay.start()

    def when_answered(self, callback: Callable[[], None], within: float) -> None:
        """Calls ``callback`` once: when the first words of the mail process are on their way to the client, or after
        ``within`` seconds, or when too much was said before."""
        self._tap.on_answer = self._loop.call_later(within, callback).run

    def record(self, recorder: Recorder | None) -> None:
        """What has been said so far, and everything that follows, goes to ``recorder``; None: it can't be recorded.

        To be called once, however late: after the end of the conversation too.
        """
        self._recorder = recorder
        self._tap.record(recorder)
        if self._waiting:
            self._relay.resume()
        self._known = True
        if self._over:
            self._on_end(self)

    def _wait(self) -> None:
        """Too much was said for a recording that is not there yet: relay no more until it is, or can't be."""
        self._waiting = True
        self._relay.pause()

    def finish(self, reason: str) -> None:
        """Write what is recorded, deliver what is queued, then end the conversation."""
        if self._recorder is not None:
            self._recorder.flush()
        self._relay.finish(reason)

    def abort(self, reason: str) -> None:
        """End it now."""
        self._relay.abort(reason)

    def _ended(self, reason: str) -> None:
        now = self._loop.now()
        if self._recorder is not None:
            for direction, count in self._relay.undelivered.items():
                if count:
                    self._recorder.mark(now, "undelivered", {"direction": direction.value, "bytes": str(count)})
        self._tap.close(now, reason)
        self._over = True
        if self._known:
            self._on_end(self)
