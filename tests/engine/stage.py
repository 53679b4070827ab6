"""A loop that can't hang, conversations on it, and certificates, for the tests of the engine."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import trustme

from rawlog.engine.leg import Leg, LegError
from rawlog.engine.loop import Loop
from rawlog.events import Direction

TIME_LIMIT = 20.0


class Stage:
    """A loop in this thread, peers in others, everything closed and joined at the end."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.errors: list[BaseException] = []
        self.loop.on_error = self.errors.append
        self.late = False
        self._sockets: list[socket.socket] = []
        self._threads: list[Peer] = []

    def pair(self, kind: str = "tcp") -> tuple[socket.socket, socket.socket]:
        """(the peer's socket, blocking with a time limit; ours)."""
        if kind == "unix":
            peer, ours = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as server:
                peer = socket.create_connection(server.getsockname())
                ours = server.accept()[0]
        peer.settimeout(TIME_LIMIT)
        self._sockets += [peer, ours]
        return peer, ours

    def leg(self, kind: str = "tcp", name: str = "client") -> tuple[socket.socket, Leg]:
        peer, ours = self.pair(kind)
        return peer, Leg(self.loop, ours, name)

    def peer(self, play: Callable[..., Any], *args: Any) -> Peer:
        """Run ``play`` in a thread; ``.result()`` gives what it returned, or raises what it raised."""
        thread = Peer(play, args)
        self._threads.append(thread)
        thread.start()
        return thread

    def run(self, seconds: float = TIME_LIMIT) -> None:
        """Run the loop until somebody stops it; fail when nobody does."""

        def too_late() -> None:
            self.late = True
            self.loop.stop()

        timer = self.loop.call_later(seconds, too_late)
        self.loop.run()
        timer.cancel()
        failed = [thread.error for thread in self._threads if thread.error is not None]
        assert not self.late, f"nothing stopped the loop in time; peers failed with {failed}"

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Run the loop until ``condition`` holds."""

        def look() -> None:
            if condition():
                self.loop.stop()
            else:
                self.loop.call_later(0.002, look)

        if not condition():
            self.loop.call_later(0, look)
            self.run()

    def pause(self, seconds: float) -> None:
        """Let the loop run for a while."""
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.run()

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        for thread in self._threads:
            thread.join(TIME_LIMIT)
        self.loop.close()


class Peer(threading.Thread):
    def __init__(self, play: Callable[..., Any], args: tuple[Any, ...]) -> None:
        super().__init__(daemon=True)
        self._play = play
        self._args_of_play = args
        self._value: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._value = self._play(*self._args_of_play)
        except BaseException as error:
            self.error = error

    def result(self) -> Any:
        self.join(TIME_LIMIT)
        assert not self.is_alive(), "a peer hangs"
        if self.error is not None:
            raise self.error
        return self._value


@dataclass
class Talk:
    """A relay between two peers, with what its tap saw and how it ended."""

    stage: Stage
    relay: Any
    client: socket.socket
    server: socket.socket
    ours: socket.socket
    """The relay's own socket to the client."""
    tapped: list[tuple[Direction, bytes]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def tap(self, at: int, direction: Direction, data: bytes) -> None:
        self.tapped.append((direction, data))

    def end(self, reason: str) -> None:
        self.reasons.append(reason)
        self.stage.loop.stop()

    def seen(self, direction: Direction) -> bytes:
        return b"".join(data for way, data in self.tapped if way is direction)

    def run(self) -> str:
        """Until the end of the relay; its reason."""
        if not self.reasons:
            self.stage.run()
        assert len(self.reasons) == 1
        return self.reasons[0]


@dataclass(frozen=True)
class Certificates:
    """Contexts for both sides: right ones and wrong ones."""

    authority: trustme.CA
    stranger: trustme.CA

    def server(self, kind: str = "good") -> ssl.SSLContext:
        """The server's side. kind: good, expired, early, otherhost, stranger, selfsigned."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if kind == "selfsigned":
            with self.stranger.cert_pem.tempfile() as chain, self.stranger.private_key_pem.tempfile() as key:
                context.load_cert_chain(chain, key)
            return context
        authority = self.stranger if kind == "stranger" else self.authority
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        times: dict[str, Any] = {}
        if kind == "expired":
            times = {"not_before": now - 2 * day, "not_after": now - day}
        elif kind == "early":
            times = {"not_before": now + day, "not_after": now + 2 * day}
        host = "other.example" if kind == "otherhost" else "localhost"
        authority.issue_cert(host, **times).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """The client's side, trusting the authority and checking names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        return context


class Owner:
    """Listens to a leg."""

    def __init__(self, leg: Leg) -> None:
        self.data = b""
        self.changes = 0
        self.drained = 0
        self.done: list[LegError | None] = []
        self.tapped: list[tuple[int, Direction, bytes]] = []
        leg.on_data = self._got
        leg.on_change = self._changed
        leg.on_drained = self._drained
        leg.tap = lambda *event: self.tapped.append(event)

    def _got(self, data: bytes) -> None:
        self.data += data

    def _changed(self) -> None:
        self.changes += 1

    def _drained(self) -> None:
        self.drained += 1


Ends = tuple[socket.socket, Leg, Owner]
MakeTalk = Callable[..., Talk]
