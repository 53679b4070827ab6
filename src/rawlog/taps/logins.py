"""The post-login sockets of a configuration, among the gateways of a worker.

Knows: that such a socket is opened, drained and ended like a gateway. Must not know: what is asked there, which is the
matter of postlogin.py; who makes the sockets.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from rawlog.engine.loop import Loop
from rawlog.recorder.orders import Keepers
from rawlog.settings.configuration import Configuration, PostloginPlan
from rawlog.taps.postlogin import PostLogin, PostLoginOptions
from rawlog.taps.postlogin_service import load_what_comes_later
from rawlog.taps.postlogin_settings import with_settings


def options_of(plan: PostloginPlan, configuration: Configuration, trusted: frozenset[int]) -> PostLoginOptions:
    """What is asked for at such a socket; and all of the package that this may take is loaded, for who has no right to
    read it later. ``trusted``: the users whose mail processes may ask for anybody.
    """
    options = with_settings(PostLoginOptions(plan.options, trusted=trusted), configuration)
    load_what_comes_later(options)
    return options


class Logins:
    """Answers Dovecot's mail processes at one post-login socket, which other workers may share. ``name`` begins what is
    reported."""

    def __init__(
        self, loop: Loop, keepers: Keepers, name: str, options: PostLoginOptions, *, report: Callable[[str], None]
    ) -> None:
        self._service = PostLogin(loop, keepers, options, lambda sentence: report(f"{name}: {sentence}"))

    def adopt(self, listeners: Sequence[socket.socket]) -> None:
        """Accept on listening sockets that somebody else made."""
        for listener in listeners:
            self._service.door.open(listener)

    def drain(self, on_idle: Callable[[], None]) -> None:
        """Answer no more logins, and call ``on_idle`` when the last recorded conversation has ended.

        What goes on unbreakably goes on with the code that is on the disk.
        """
        self._service.door.on_idle = on_idle
        self._service.replace_workers()
        self._service.flush()
        self._service.door.shut()

    def abort(self, reason: str) -> None:
        """End all recorded conversations now."""
        self._service.finish(reason)
