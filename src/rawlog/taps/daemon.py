"""The service: binds, forks workers, brings them back when they die, reloads, drains.

The theory. The master makes all listening sockets, one for each worker and address (SO_REUSEPORT), and keeps them: a
connection that waits at a worker that has died is served by its successor. A reload forks new workers on the same
sockets and drains the old ones, so no connection is refused and no conversation ends. The master itself never reads a
byte of anybody's mail.

Knows: processes and signals. Must not know: protocols, recordings.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from rawlog.engine.loop import Loop
from rawlog.engine.tally import Share, Tally
from rawlog.errors import RawlogError
from rawlog.recorder.roots import templates
from rawlog.settings.configuration import Configuration
from rawlog.taps.build import Prepared, doors, prepare
from rawlog.taps.housekeeper import Housekeeping
from rawlog.taps.sockets import Sockets
from rawlog.taps.worker import become, check_user, count_of, run_worker

FIRST_RESTART = 0.1  # seconds until a worker that died is replaced, doubled each time up to
LAST_RESTART = 5.0  # this, so that one that can't start does not eat the machine
STEADY = 60.0  # a worker that lived so long starts again without a wait
SIGNALS = (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


@dataclass
class _Worker:
    """A process, its place, and where it counts clients and bytes; ``leaving``: it was told to end."""

    slot: int
    born: float
    clients: Share | None
    written: Share | None
    leaving: bool = False


@dataclass
class _State:
    """What is in force."""

    configuration: Configuration
    prepared: list[Prepared]
    count: int
    sockets: Sockets


class Daemon:
    """``load`` gives the configuration, again at each SIGHUP; ``report`` gets sentences for the operator.

    Raises RawlogError when the configuration can't be served: then nothing was started.
    """

    def __init__(self, load: Callable[[], Configuration], report: Callable[[str], None]) -> None:
        self._load = load
        self._report = report
        self._state = self._read(None)
        self._loop = Loop()
        self._clients = Tally()
        self._housekeeping = Housekeeping(report)
        self._workers: dict[int, _Worker] = {}
        self._delays: dict[int, float] = {}
        self._ending = False
        self._alive = os.pipe()  # workers hold the reading end: it tells them when the master is gone

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        self._loop.add_signal(signal.SIGCHLD, self._reap)
        self._loop.add_signal(signal.SIGHUP, self._reload)
        self._loop.add_signal(signal.SIGTERM, lambda: self._end(signal.SIGTERM))
        self._loop.add_signal(signal.SIGINT, lambda: self._end(signal.SIGINT))
        self._start_all()
        for sentence in self._state.sockets.describe():
            self._report(sentence)
        self._loop.run()
        self._housekeeping.end()

    # -- configuration ------------------------------------------------------------------------------------------

    def _read(self, old: Sockets | None) -> _State:
        configuration = self._load()
        prepared = prepare(configuration)
        logins = [plan.door for plan in configuration.postlogins()]
        if not doors(prepared) and not logins:
            raise RawlogError(f"{configuration.file}: nothing to serve; set rawlog_backend in protocol imap {{ }}")
        check_user(configuration.settings.rawlog_user)
        count = count_of(configuration.settings)
        # In front of a Dovecot of this machine its own service may have the post-login socket: it is not needed then.
        return _State(configuration, prepared, count, Sockets(doors(prepared), count, old, optional=logins))

    def _reload(self) -> None:
        """SIGHUP: new workers with the new configuration; the old ones finish what they have."""
        if self._ending:
            return
        old = self._state
        try:
            self._state = self._read(old.sockets)
        except RawlogError as error:
            self._report(f"reload: {error}; the old configuration stays in force")
            return
        old.sockets.close(successor=self._state.sockets)
        leaving = list(self._workers)
        self._start_all()
        for pid in leaving:
            self._dismiss(pid, signal.SIGTERM)
        self._report("reload: the new configuration is in force")

    # -- workers ------------------------------------------------------------------------------------------------

    def _start_all(self) -> None:
        self._delays.clear()
        self._start_housekeeping()
        for slot in range(self._state.count):
            self._start(slot, self._state)

    def _start(self, slot: int, state: _State) -> None:
        """Fork a worker, unless a reload or the end has come meanwhile."""
        if self._ending or state is not self._state:
            return
        clients, written = self._clients.take(), self._housekeeping.written.take()
        # No signal in between: the child would write it into the socket by which signals wake the master.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
            if not pid:
                self._be_worker(slot, state, clients, written)
        except OSError as error:
            self._clients.give_back(clients)
            self._housekeeping.written.give_back(written)
            self._report(f"a worker can't be started: {error.strerror}; trying again")
            self._loop.call_later(LAST_RESTART, lambda: self._start(slot, state))
            return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._workers[pid] = _Worker(slot, self._loop.monotonic(), clients, written)

    def _be_worker(self, slot: int, state: _State, clients: Share | None, written: Share | None) -> None:
        """The child's whole life. Until it listens to signals they end it: it has no conversations yet."""
        code = 1
        try:
            self._be_child()
            share = state.sockets.share(slot)
            state.sockets.close_all_but(share)
            rooms = self._housekeeping.rooms(state.configuration, written)
            run_worker(state.configuration, state.prepared, share, self._alive[0], self._report, clients, rooms)
            code = 0
        except RawlogError as error:
            self._report(f"worker: {error}")
        except BaseException:
            self._report(f"worker: it crashed; please report this:\n{traceback.format_exc()}")
        finally:
            os._exit(code)

    def _be_child(self) -> None:
        """Leave nothing of the master in a process that was forked from it."""
        self._loop.close()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.close(self._alive[1])

    def _start_housekeeping(self) -> None:
        """Fork the housekeeper, for the configuration in force."""
        configuration = self._state.configuration

        def prepare() -> None:
            self._be_child()
            self._state.sockets.close_all_but({})
            become(configuration.settings.rawlog_user)

        self._housekeeping.end()
        if self._ending or not templates(configuration):
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self._housekeeping.start(configuration, self._alive[0], prepare)
        except OSError as error:
            self._report(f"housekeeping can't be started: {error.strerror}; recordings are not removed")
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                pid, status = 0, 0
            if not pid:
                break
            worker = self._workers.pop(pid, None)
            if worker is None:
                self._housekeeper_ended(pid)
                continue
            self._clients.give_back(worker.clients)
            self._housekeeping.written.give_back(worker.written)
            if not worker.leaving:
                self._bring_back(pid, status, worker)
        if self._ending and not self._workers:
            self._loop.stop()

    def _housekeeper_ended(self, pid: int) -> None:
        if self._housekeeping.ended(pid) and not self._ending:
            self._report("housekeeping has ended; starting it again")
            self._loop.call_later(LAST_RESTART, self._start_housekeeping)

    def _bring_back(self, pid: int, status: int, worker: _Worker) -> None:
        lived = self._loop.monotonic() - worker.born
        delay = 0.0 if lived > STEADY else self._delays.get(worker.slot, FIRST_RESTART)
        self._delays[worker.slot] = min(max(delay, FIRST_RESTART) * 2, LAST_RESTART)
        self._report(f"worker {pid} {_how(status)}; its conversations have ended; starting another")
        state = self._state
        self._loop.call_later(delay, lambda: self._start(worker.slot, state))

    def _dismiss(self, pid: int, signum: signal.Signals) -> None:
        self._workers[pid].leaving = True
        os.kill(pid, signum)

    def _end(self, signum: signal.Signals) -> None:
        """SIGTERM: the workers drain, a second one ends them. SIGINT: now."""
        if signum is signal.SIGTERM and not self._ending:
            self._report("ending: no more connections; waiting for those that are there (again: end now)")
        now = self._ending or signum is signal.SIGINT
        if not self._ending:
            self._ending = True
            self._state.sockets.close()
        for pid in self._workers:
            self._dismiss(pid, signal.SIGINT if now else signal.SIGTERM)
        if not self._workers:
            self._loop.stop()


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was killed by signal {os.WTERMSIG(status)}"
    return f"ended with status {os.waitstatus_to_exitcode(status)}"
