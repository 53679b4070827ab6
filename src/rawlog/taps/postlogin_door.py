"""The listening end of the post-login door: accepts mail processes, up to a number of places.

Knows: listening sockets, how many connections and conversations there may be, and what to do when descriptors run out.
Must not know: what is asked, what is recorded. When all places are taken it stops accepting, so that Dovecot's master,
which sees that from the status reports, can start another process.
"""

from __future__ import annotations

import errno
from _socket import AF_UNIX, SOCK_STREAM, SocketType
from collections.abc import Callable
from functools import partial

from rawlog.engine.loop import READ, Loop
from rawlog.taps.postlogin_visitor import Visitor

PLACES = 1000
"""Connections and conversations at the same time: Dovecot's default for a service (default_client_limit)."""
REST = 0.1
"""Seconds without accepting when descriptors are used up; a login waits up to 60."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Door:
    """Calls ``on_message(visitor)`` for each whole request. ``on_change()`` follows each change of :attr:`free`;
    ``on_idle()`` is called when nobody more will be accepted and nobody is there any more.

    ``left``: how many connections may still be accepted at all (``service_count``); None for any number. ``alone``: no
    other process can take over, so even when all places are taken (``full``) logins are accepted, one at a time.
    """

    def __init__(self, loop: Loop, on_message: Callable[[Visitor], None], report: Callable[[str], None]) -> None:
        self.places = PLACES
        self.left: int | None = None
        self.alone = False
        self.on_change: Callable[[], None] = _nothing
        self.on_idle: Callable[[], None] = _nothing
        self._loop = loop
        self._on_message = on_message
        self._report = report
        self._listeners: set[SocketType] = set()
        self._visitors: set[Visitor] = set()
        self._relayed = 0
        self._listening = False
        self._resting = False
        self._accepting = False  # somebody, who may be served and gone at the end of it: it is reviewed then

    @property
    def busy(self) -> int:
        """Connections and conversations."""
        return len(self._visitors) + self._relayed

    @property
    def free(self) -> int:
        """How many more connections will be accepted."""
        if not self._listeners:
            return 0
        free = self.places - len(self._visitors) - self._relayed
        if free < self.alone:
            free = int(self.alone)
        return free if self.left is None or free < self.left else self.left

    @property
    def full(self) -> bool:
        """Whether more than all places are taken."""
        return len(self._visitors) + self._relayed > self.places

    def open(self, listener: SocketType) -> None:
        """Accept from a listening socket, which is ours from now on."""
        listener.setblocking(False)
        self._listeners.add(listener)
        if self._listening:
            self._loop.register(listener.fileno(), partial(self._accept, listener), READ)
        self.review()

    def shut(self) -> None:
        """Accept no more; who came already is served."""
        if self._listening:
            self._listen(False)
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        self.review()

    def relayed(self, count: int) -> None:
        """So many conversations go on now."""
        self._relayed = count
        self.review()

    def review(self) -> None:
        """Places were taken, or have become free."""
        if self._accepting:
            return
        wanted = self.free > 0 and not self._resting
        if wanted != self._listening:
            self._listen(wanted)
        self.on_change()
        if not (self._visitors or self._relayed) and (self.left == 0 or not self._listeners):
            self.on_idle()

    def _listen(self, wanted: bool) -> None:
        self._listening = wanted
        for listener in self._listeners:
            if wanted:
                self._loop.register(listener.fileno(), partial(self._accept, listener), READ)
            else:
                self._loop.unregister(listener.fileno())

    def _accept(self, listener: SocketType, events: int) -> None:
        """One connection; who else waits is reported again at once."""
        try:
            fd, _ = listener._accept()  # type: ignore[attr-defined]  # accept() takes as long again to wrap it
            sock = SocketType(AF_UNIX, SOCK_STREAM, 0, fd)
            visitor = Visitor(self._loop, sock, on_message=self._on_message, on_gone=self._left)
        except BlockingIOError:  # another process was quicker
            return
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._rest(error)
                self.review()
            return
        self._visitors.add(visitor)
        if self.left is not None:
            self.left -= 1
        self._accepting = True
        try:
            visitor.look()
        except Exception as error:  # a mistake of ours costs this login, not all that follow
            self._loop.on_error(error)
            visitor.close()
        finally:
            self._accepting = False
            self.review()

    def _left(self, visitor: Visitor) -> None:
        self._visitors.discard(visitor)
        self.review()

    def _rest(self, error: OSError) -> None:
        """Leave the listeners alone for a moment: accepting would fail again at once."""
        self._report(f"post-login socket: logins have to wait: {error.strerror}; raise the limit of open files")
        self._resting = True
        self._loop.call_later(REST, self._wake)

    def _wake(self) -> None:
        self._resting = False
        self.review()


def _nothing() -> None:
    """What is called when nobody wants to know."""
