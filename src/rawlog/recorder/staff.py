"""The keepers as a staff: how they are started and replaced, and how one more comes when one hangs.

Knows: processes, what they keep of who starts them, and what is left to them. Must not know: what an order says. A
process that waits for a file system may wait for ever; so their parent, which adds and replaces them, touches none once
it has begun. It waits at a pipe, the bell: a byte asks for one more, the end of the pipe says that the service is gone.
The asking side finds the bell in the first message, before all answers.
"""

from __future__ import annotations

import _socket  # the core of the module: all of it takes a megabyte
import contextlib
import gc
import os
import select
import signal
import time
from collections.abc import Callable

from rawlog.recorder.descriptors import keep_only, receive, send

REBIRTH = 0.1
"""Seconds until a keeper that died is replaced, so that one that can't live costs no CPU."""
BELL = b"!"
"""The first message, with the descriptor of the bell."""

Serve = Callable[[_socket.socket], None]


def start(serve: Serve, count: int) -> _socket.socket:
    """Forks the parent, which has one keeper at first and ``count`` at most; returns the socket for orders.

    Each keeper calls ``serve`` with the other end, which they share; it returns when the service has closed its own.
    """
    gc.freeze()
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    calls, bell = os.pipe()
    os.set_blocking(bell, False)
    send(theirs, BELL, [bell])
    os.close(bell)
    if os.fork() == 0:
        try:
            _become_quiet(theirs, calls)
            _tend(serve, theirs, calls, count)
        finally:
            os._exit(0)
    theirs.close()
    os.close(calls)
    return ours


def take_bell(orders: _socket.socket) -> int | None:
    """For the asking side, before it reads anything else: where a byte asks for one keeper more; None if nowhere.

    The descriptor does not block, and is the caller's.
    """
    try:
        message, fds, _ = receive(orders, len(BELL), 1)
    except OSError:
        return None
    return fds[0] if message == BELL and fds else None


def _become_quiet(orders: _socket.socket, calls: int) -> None:
    """Leaves nothing of the service in this process."""
    gc.disable()  # it would touch, and so double, what the service shares with us; and we make no circles
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    keep_only({0, 1, 2, orders.fileno(), calls})
    os.chdir("/")
    from rawlog.engine.confine import close_to_others, confine  # here: not who only asks
    from rawlog.engine.roles import keeping

    close_to_others()
    with contextlib.suppress(OSError):  # a keeper that is not kept to its work does it all the same
        confine(keeping())


def _tend(serve: Serve, orders: _socket.socket, calls: int, count: int) -> None:
    """The parent: replaces those that die and adds one when the bell rings, until the service is gone."""
    keepers: dict[int, int] = {}  # a pipe that ends with the keeper, and its pid
    wanted = 1
    waiting = select.poll()
    waiting.register(calls, select.POLLIN)
    while True:
        with contextlib.suppress(OSError):  # no memory for one more: who misses it rings again
            while len(keepers) < wanted:
                life, pid = _fork(serve, orders)
                keepers[life] = pid
                waiting.register(life, select.POLLIN)
        for fd, _ in waiting.poll():
            if fd == calls:
                if not os.read(calls, 4096):
                    return
                wanted = min(wanted + 1, count)
                continue
            waiting.unregister(fd)
            os.close(fd)
            if os.waitpid(keepers.pop(fd), 0)[1] == 0:  # it has seen the end of the socket
                return
            time.sleep(REBIRTH)


def _fork(serve: Serve, orders: _socket.socket) -> tuple[int, int]:
    """The end of a pipe that nobody ever writes to, whose other end only the new process has; and its pid.

    Raises OSError when there can be no new process.
    """
    life, end = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(life)
        os.close(end)
        raise
    if pid:
        os.close(end)
        return life, pid
    code = 1
    try:
        keep_only({0, 1, 2, orders.fileno(), end})
        serve(orders)
        code = 0
    finally:
        os._exit(code)
