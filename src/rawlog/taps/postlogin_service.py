"""The post-login door as a service: below Dovecot's master, or on a unix socket of its own.

Knows: the order in which a service starts: listeners, keepers, no more root, then the first login. Must not know: what
is said on the socket.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import stat
from _socket import AF_UNIX, SocketType
from collections.abc import Callable

from rawlog.engine.bounds import Limits
from rawlog.engine.confine import confine_or_say
from rawlog.engine.loop import Loop
from rawlog.engine.roles import reborn, relaying
from rawlog.errors import RawlogError
from rawlog.recorder.keeper import start_keepers
from rawlog.recorder.orders import Keepers
from rawlog.taps import postlogin_process as process
from rawlog.taps.postlogin import PostLogin, PostLoginOptions
from rawlog.taps.postlogin_master import Master, inherited_listeners

BACKLOG = 4096
"""Logins that may wait in the kernel for their turn; the system's somaxconn may be less."""
_LATER = (
    "rawlog.dialogue.redact",
    "rawlog.protocols.imap",
    "rawlog.protocols.pop3",
    "rawlog.taps.postlogin_place",
)
_UNBREAKABLE = ("rawlog.taps.unbreakable_session", "rawlog.taps.unbreakable_place")
_NOT_FOR_US = (signal.SIGUSR1, signal.SIGUSR2)


def serve_under_master(options: PostLoginOptions, report: Callable[[str], None]) -> None:
    """Serves the listeners inherited from Dovecot's master until nothing is left to do.

    The keepers are forked when everything is loaded: what nobody writes to afterwards they share with us.
    """
    listeners = inherited_listeners()
    load_what_comes_later(options)
    if process.settle_memory():
        options = options._replace(limits=Limits(read_max=process.READ_MAX))
    orders = start_keepers()
    loop = Loop()
    service = PostLogin(loop, Keepers(loop, orders), options, report)
    master = Master(loop, service.door, os.environ)
    process.make_room(service.door.places * (2 if options.unbreakable else 1))  # the holder may need pipes, too
    process.give_up_root()
    for listener in listeners:
        service.door.open(listener)
    service.door.on_idle = loop.stop
    end_on_signals(loop, service)
    master.attend()
    confine_or_say(reborn(relaying()) if options.unbreakable else relaying(), report)
    loop.run()
    service.flush()


def load_what_comes_later(options: PostLoginOptions) -> None:
    """What is imported in the middle of a login or a conversation otherwise, when the package may be out of reach.

    Call it before rights are given up.
    """
    for name in (*_LATER, *(_UNBREAKABLE if options.unbreakable else ())):
        importlib.import_module(name)


def end_on_signals(loop: Loop, service: PostLogin) -> None:
    """SIGTERM: no more logins, what is relayed goes on; a second one ends that too. Records are written at once.

    SIGHUP: new workers for unbreakable conversations.
    """

    def first() -> None:
        loop.add_signal(signal.SIGTERM, lambda: service.finish("the service was ended by SIGTERM"))
        service.flush()
        service.door.shut()

    loop.add_signal(signal.SIGTERM, first)
    for number in _NOT_FOR_US:  # to reopen logs and the like; they would kill us
        signal.signal(number, signal.SIG_IGN)
    loop.add_signal(signal.SIGHUP, service.replace_workers)


def serve_postlogin(
    loop: Loop,
    path: str,
    options: PostLoginOptions,
    report: Callable[[str], None],
    *,
    orders: SocketType | None = None,
    mode: int = 0o600,
) -> PostLogin:
    """The door on a unix socket of its own at ``path``; ``service.door.shut()`` ends it.

    ``orders``: what ``start_keepers`` gave, for a daemon that has given up root meanwhile. A socket that nobody
    listens on any more is replaced. Raises RawlogError when that place can't be had.
    """
    listener = _listen(path, mode)
    service = PostLogin(loop, Keepers(loop, orders or start_keepers()), options, report)
    service.door.open(listener)
    return service


def _listen(path: str, mode: int) -> SocketType:
    sock = SocketType(AF_UNIX)
    try:
        _remove_stale(path)
        old = os.umask(0o777 & ~mode)
        try:
            sock.bind(path)
        finally:
            os.umask(old)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise RawlogError(f"{path}: no post-login socket can be made: {error.strerror or error}") from error
    return sock


def _remove_stale(path: str) -> None:
    """Takes away a socket that was left behind. Raises OSError when somebody listens there."""
    from pathlib import Path

    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        probe = SocketType(AF_UNIX)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
        finally:
            probe.close()
