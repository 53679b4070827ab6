"""One login that the keepers are asked about: from the request to the session, or to "keep your descriptor".

Knows: the order of events: the mail process is answered, and goes on, before anything is made that it need not wait
for. The keepers promise first (the directory is there and can be written), and make the files
while the mail process starts; so a slow disk does not make the login slow. Where there were files last time, not even
the promise is waited for. Must not know: listeners, options.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from rawlog.recorder.directory import NotRecorded
from rawlog.recorder.naming import Opened
from rawlog.taps.postlogin_request import Request
from rawlog.taps.postlogin_session import Session
from rawlog.taps.postlogin_visitor import Visitor

if TYPE_CHECKING:
    from rawlog.taps.unbreakable_session import UnbreakableSession

SEND_BUFFER = 960 << 10
"""Bytes that the kernel takes from the mail process before we have read them: two large reads, as far as the system
allows it (wmem_max). Reads are larger then, and a relayed gigabyte costs a tenth less."""


class Login:
    """``new_session(client, server)`` makes one; ``begin(session, answered)`` takes it over, started or useless;
    ``record(session, user, made)`` brings its files; ``decline(visitor, request, why)`` lets the mail process go on.
    """

    def __init__(
        self,
        visitor: Visitor,
        request: Request,
        *,
        new_session: Callable[[_socket.socket, _socket.socket], Session | UnbreakableSession],
        begin: Callable[[Session | UnbreakableSession, bool], None],
        record: Callable[[Session | UnbreakableSession, str, Opened | NotRecorded], None],
        decline: Callable[[Visitor, Request, NotRecorded], None],
    ) -> None:
        self._visitor = visitor
        self._request = request
        self._new_session = new_session
        self._begin = begin
        self._record = record
        self._decline = decline
        self.session: Session | UnbreakableSession | None = None
        """What relays, once the mail process has its answer."""
        self._made: Opened | NotRecorded | None = None
        self.relayed = False
        """Whether the mail process was given something else than the client."""

    def promised(self) -> None:
        """There will be files: the mail process gets one end of a pair of sockets instead of the client."""
        visitor = self._visitor
        if not visitor.open or self.relayed:
            return
        try:
            ours, theirs = _socket.socketpair()  # the core of the module's sockets: the rest is made at every login
            theirs.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, SEND_BUFFER)
            client = _socket.socket(fileno=visitor.fds.pop())
        except Exception as error:  # too many open files, or a mistake of ours: neither may cost a login
            what = f"no relay can be made: {type(error).__name__}: {error}; raise the limit of open files"
            self._decline(visitor, self._request, NotRecorded(what))
            return
        self.relayed = True

        def answered(done: bool) -> None:
            theirs.close()
            self.session = self._new_session(client, ours)
            self._begin(self.session, done)
            visitor.close()
            self._bring()

        visitor.answer(self._request.answer, theirs.fileno(), answered)

    def answered(self, made: Opened | NotRecorded) -> None:
        """The files, or why there are none."""
        self._made = made
        if isinstance(made, Opened):
            self.promised()  # in case nobody did
        if self.relayed:
            self._bring()
        elif isinstance(made, Opened):
            for sink in made.sinks.values():
                sink.close()
        elif self._visitor.open:
            self._decline(self._visitor, self._request, made)

    def _bring(self) -> None:
        """The files to the session, as soon as there are both."""
        if self.session is not None and self._made is not None:
            made, self._made = self._made, None
            self._record(self.session, self._request.user, made)
