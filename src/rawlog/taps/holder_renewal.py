"""New code for conversations that go on: a holder becomes a fresh interpreter, and keeps its descriptors.

Knows: how a process is replaced by another program (exec), and how that is tried out first. Must not know: what a
holder does. There is no way back from an exec, so the code on the disk is loaded in a process of its own before; it
must find the version that it speaks, and read the state of every conversation. What it says when it can't goes into
the log, and nothing has changed. The worker relays all the while.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from rawlog.recorder.descriptors import keep_only
from rawlog.taps.holder_memory import Memory

SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
"""What a holder does not die of."""
PATIENCE = 30
"""Seconds for the code on the disk to show what it can; it takes a tenth of one."""
_BOOT = "import sys; sys.path.append(sys.argv[1]); from rawlog.taps.holder_process import again; again()"
_HOME = str(Path(__file__).parents[2])


class Rehearsal:
    """Fresh code that looks at a copy of a holder's memory. ``process`` is readable when it is through."""

    def __init__(self, memory: Memory) -> None:
        """Raises OSError when it can't be started."""
        self._said = os.memfd_create("rawlog-rehearsal", os.MFD_CLOEXEC)
        stored = memory.store()
        try:
            self._pid = os.fork()
            if not self._pid:
                self._play(stored, memory.ledger)
            self.process = os.pidfd_open(self._pid)
        finally:
            os.close(stored)

    def _play(self, stored: int, ledger: int) -> None:
        """The child. Its standard error is what it has to say."""
        try:
            os.dup2(self._said, 2)
            keep_only({0, 1, 2, stored, ledger})
            for fd in (stored, ledger):
                os.set_inheritable(fd, True)
            signal.alarm(PATIENCE)
            os.execv(sys.executable, command("rehearse", stored))
        except BaseException as error:
            os.write(2, f"{sys.executable}: {error}".encode(errors="backslashreplace"))
        finally:
            os._exit(1)

    def end(self) -> str:
        """Forget the process, which is through; why its code can't go on, or nothing."""
        _, status = os.waitpid(self._pid, 0)
        os.close(self.process)
        with os.fdopen(self._said, "rb") as file:
            file.seek(0)
            said = file.read().decode(errors="replace").split("\n")
        code = os.waitstatus_to_exitcode(status)
        if not code:
            return ""
        lines = [line for line in said if line.strip()]
        return lines[-1] if lines else f"the code on the disk ended with {code} when it was tried out"


def renew(memory: Memory) -> str:
    """Become fresh code that goes on with this. Returns only when that fails, with the cause."""
    stored = -1
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # they wait until somebody hears them again
    try:
        stored = memory.store()
        for fd in (stored, *memory.descriptors):
            os.set_inheritable(fd, True)
        os.execv(sys.executable, command("hold", stored))
    except OSError as error:
        if stored >= 0:
            os.close(stored)
        return f"{sys.executable}: {error.strerror}"
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def command(role: str, stored: int) -> list[str]:
    """The command line of fresh code: our interpreter, nothing of the environment, this package's place on the disk."""
    return [sys.executable, "-I", "-S", "-c", _BOOT, _HOME, role, str(stored)]
