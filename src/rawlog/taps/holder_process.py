"""A holder as a process: forked from the service, or born again as fresh code that goes on with everything.

Knows: what a process has to settle before it holds. Must not know: what is held.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from typing import NoReturn

from rawlog.engine.bounds import Limits
from rawlog.engine.confine import close_to_others
from rawlog.engine.ledger import Journal, Ledger
from rawlog.errors import FormatError
from rawlog.recorder.descriptors import keep_only
from rawlog.taps.holder import Holder
from rawlog.taps.holder_memory import Memory, recall
from rawlog.taps.holder_renewal import SIGNALS
from rawlog.taps.postlogin_child import say
from rawlog.taps.postlogin_process import settle_memory

Report = Callable[[str], None]


def start_holder(places: int, *, limits: Limits, report: Report) -> tuple[int, socket.socket]:
    """Fork the holder and its worker; returns its pid and the socket to it. Raises OSError."""
    ledger = Ledger(places)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if not pid:
        _hold(lambda: _first(theirs, ledger, limits, report), report)
    theirs.close()
    os.close(ledger.fd)
    ours.setblocking(False)
    return pid, ours


def again() -> NoReturn:
    """What a holder becomes when it is told to go on as the code that is on the disk; see :mod:`holder_renewal`."""
    role, stored = sys.argv[2], int(sys.argv[3])
    try:
        memory = recall(stored)
        if role == "rehearse":
            rehearse(memory)
            os._exit(0)
    except FormatError as error:
        raise SystemExit(str(error)) from None
    os.close(stored)
    _hold(lambda: _next(memory), say)


def rehearse(memory: Memory) -> None:
    """Read the state of every conversation, as a worker would. Raises FormatError when one can't be read."""
    ledger = Ledger(memory.room, memory.ledger)
    for place in memory.places:
        journal = Journal(ledger, place.slot)
        while (seen := journal.checkpoint()) != journal.checkpoint():
            pass  # a worker writes it at this moment
        try:
            pickle.loads(seen.state or pickle.dumps(None))
        except Exception as error:
            raise FormatError(f"the state of one can't be read by the code on the disk: {error}") from None


def _first(front: socket.socket, ledger: Ledger, limits: Limits, report: Report) -> Holder:
    gc.freeze()  # what belongs to the service must not be closed here a second time
    signal.set_wakeup_fd(-1)
    keep_only({0, 1, 2, front.fileno(), ledger.fd})
    os.chdir("/")
    holder = Holder(front, ledger, limits=limits, report=report)
    holder.start_worker()
    return holder


def _next(memory: Memory) -> Holder:
    settle_memory()
    close_to_others()
    front = socket.socket(fileno=memory.front) if memory.front >= 0 else None
    holder = Holder(front, Ledger(memory.room, memory.ledger), limits=memory.limits, report=say)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    holder.remember(memory)
    return holder


def _hold(born: Callable[[], Holder], report: Report) -> NoReturn:
    """The process's whole life."""
    try:
        born().run()
    except BaseException as error:
        with contextlib.suppress(Exception):
            report(f"the holder of conversations failed: {type(error).__name__}: {error}; its worker goes on alone")
        os._exit(1)
    os._exit(0)
