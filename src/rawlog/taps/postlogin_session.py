"""One recorded conversation behind a login: client, mail process, and the recorder between them.

Knows: two sockets, a relay, a recorder, and how it ends. Must not know: how the sockets came here (the drop-in's child
and the post-login service have the same sessions), directories, users.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from rawlog.engine.leg import Leg
from rawlog.engine.loop import Loop
from rawlog.engine.relay import Limits, Relay
from rawlog.recorder.recorder import Recorder
from rawlog.taps.postlogin_tap import PostLoginTap


class Session:
    """Relays between ``client`` and ``server`` (the mail process), which it owns, from :meth:`start` on.

    ``on_end(session)`` is called once, when both are closed and the recording is complete.
    """

    def __init__(
        self,
        loop: Loop,
        client: socket.socket,
        server: socket.socket,
        recorder: Recorder,
        *,
        keep_secrets: bool,
        on_end: Callable[[Session], None],
        limits: Limits | None = None,
    ) -> None:
        self._loop = loop
        self._recorder = recorder
        self._on_end = on_end
        leg = Leg(loop, client, "client")
        self._tap = PostLoginTap(leg, recorder, keep=keep_secrets)
        self._relay = Relay(loop, leg, Leg(loop, server, "mail process"), on_end=self._ended, limits=limits or Limits())

    def start(self) -> None:
        """Begin to relay."""
        self._relay.start()

    def finish(self, reason: str) -> None:
        """Write what is recorded, deliver what is queued, then end the conversation."""
        self._recorder.flush()
        self._relay.finish(reason)

    def abort(self, reason: str) -> None:
        """End it now."""
        self._relay.abort(reason)

    def _ended(self, reason: str) -> None:
        now = self._loop.now()
        for direction, count in self._relay.undelivered.items():
            if count:
                self._recorder.mark(now, "undelivered", {"direction": direction.value, "bytes": str(count)})
        self._tap.close(now, reason)
        self._on_end(self)
