"""A conversation behind a login that a holder is to have, and that is an ordinary session when it does not take it.

Knows: two sockets, the files when they come, and who has all that at present. Must not know: how it is relayed. Nothing
is relayed before the files are there: what is already in somebody's memory could not be handed over.
"""

from __future__ import annotations

from _socket import SocketType
from collections.abc import Callable, Mapping

from rawlog.events import Direction
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.sinks import FileSink
from rawlog.taps.postlogin_session import Session
from rawlog.taps.unbreakable import Unbreakable
from rawlog.taps.unbreakable_place import Card

Sinks = Mapping[Direction, FileSink]


class UnbreakableSession:
    """Between ``client`` and ``server`` (the mail process), which it owns. To its owner it is a ``Session``.

    ``ordinary(client, server, on_end)`` makes a session that is relayed here.
    """

    def __init__(
        self,
        house: Unbreakable,
        client: SocketType,
        server: SocketType,
        *,
        ordinary: Callable[[SocketType, SocketType, Callable[[Session], None]], Session],
        on_end: Callable[[UnbreakableSession], None],
    ) -> None:
        for sock in (client, server):
            sock.setblocking(False)
        self._house = house
        self._client = client
        self._server = server
        self._ordinary = ordinary
        self._on_end = on_end
        self._inner: Session | None = None
        self._files: tuple[Card, Sinks, Callable[[], Recorder]] | None = None
        self._started = self._over = False

    def start(self) -> None:
        """Begin to relay, as soon as the files are there."""
        self._started = True
        self._go_on()

    def hand_over(self, card: Card, sinks: Sinks, recorder: Callable[[], Recorder]) -> None:
        """The files are there. ``recorder`` makes one of them that records here."""
        self._files = card, sinks, recorder
        self._go_on()

    def record(self, recorder: Recorder | None) -> None:
        """The conversation is relayed here: with a recorder, or unrecorded."""
        if self._over:
            if recorder is not None:
                recorder.close(None, "the conversation had ended")
            return
        self._inner = self._ordinary(self._client, self._server, lambda _: self._ended())
        self._inner.record(recorder)
        if self._started:
            self._inner.start()

    def finish(self, reason: str) -> None:
        """Deliver what is queued, then end the conversation. What the holder has is ended through the holder."""
        if self._inner is not None:
            self._inner.finish(reason)

    def abort(self, reason: str) -> None:
        """End it now."""
        if self._inner is not None:
            self._inner.abort(reason)
            return
        self._close()
        self._ended()

    def _go_on(self) -> None:
        if self._files is None or self._inner is not None:
            return
        card, sinks, _ = self._files
        if self._over:
            self._close()
        elif self._started:
            fds = [self._client.fileno(), self._server.fileno(), *(sink.fd for sink in sinks.values())]
            self._house.offer(card, fds, taken=self._taken, ended=self._ended)

    def _taken(self, yes: bool) -> None:
        assert self._files is not None
        if yes:
            self._close()
        else:
            self.record(self._files[2]())

    def _close(self) -> None:
        """Let go of the descriptors."""
        self._client.close()
        self._server.close()
        if self._files is not None:
            for sink in self._files[1].values():
                sink.close()

    def _ended(self) -> None:
        self._over = True
        self._on_end(self)
