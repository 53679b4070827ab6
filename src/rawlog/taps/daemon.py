"""The service: binds, forks workers, brings them back when they die, reloads, drains.

The theory. The master makes all listening sockets, one for each worker and address (SO_REUSEPORT), and keeps them: a
connection that waits at a worker that has died is served by its successor. A reload forks new workers on the same
sockets and drains the old ones, so no connection is refused and no conversation ends. The master itself never reads a
byte of anybody's mail.

Knows: processes, signals, sockets to hand on. Must not know: protocols, recordings.
"""

from __future__ import annotations

import os
import signal
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from rawlog.engine.loop import Loop
from rawlog.errors import RawlogError
from rawlog.settings.configuration import Configuration, Door
from rawlog.taps.build import Prepared, doors, prepare
from rawlog.taps.listener import bind, bind_unix, close
from rawlog.taps.worker import check_user, run_worker

FIRST_RESTART = 0.1  # seconds until a worker that died is replaced, doubled each time up to
LAST_RESTART = 5.0  # this, so that one that can't start does not eat the machine
STEADY = 60.0  # a worker that lived so long starts again without a wait


@dataclass
class _Worker:
    """A process and its place; ``leaving``: it was told to end."""

    slot: int
    born: float
    leaving: bool = False


@dataclass
class _State:
    """What is in force: a configuration, and its sockets by door, one for each slot."""

    configuration: Configuration
    prepared: list[Prepared]
    sockets: dict[Door, list[socket.socket]] = field(default_factory=dict)


class Daemon:
    """``load`` gives the configuration, again at each SIGHUP; ``report`` gets sentences for the operator."""

    def __init__(self, load: Callable[[], Configuration], report: Callable[[str], None]) -> None:
        self._load = load
        self._report = report
        self._loop = Loop()
        self._workers: dict[int, _Worker] = {}
        self._delays: dict[int, float] = {}
        self._ending = False
        self._alive = os.pipe()  # workers hold the reading end: it tells them when the master is gone
        self._state = _State(*self._read())

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises RawlogError when it can't begin."""
        self._bind(self._state, {})
        self._loop.add_signal(signal.SIGCHLD, self._reap)
        self._loop.add_signal(signal.SIGHUP, self._reload)
        self._loop.add_signal(signal.SIGTERM, lambda: self._end(signal.SIGTERM))
        self._loop.add_signal(signal.SIGINT, lambda: self._end(signal.SIGINT))
        self._start_all()
        for door, sockets in self._state.sockets.items():
            self._report(f"listening on {door.listen}" + (f" with {len(sockets)} sockets" if len(sockets) > 1 else ""))
        self._loop.run()
        for door, sockets in self._state.sockets.items():
            for sock in sockets:
                close(sock, door.listen)

    # -- configuration ------------------------------------------------------------------------------------------

    def _read(self) -> tuple[Configuration, list[Prepared]]:
        configuration = self._load()
        prepared = prepare(configuration)
        if not doors(prepared):
            raise RawlogError(f"{configuration.file}: nothing to serve; set rawlog_backend in protocol imap {{ }}")
        check_user(configuration.settings.rawlog_user)
        return configuration, prepared

    def _bind(self, state: _State, old: dict[Door, list[socket.socket]]) -> None:
        """Make the sockets of a state; those of ``old`` at the same place serve on."""
        made: list[tuple[Door, socket.socket]] = []
        count = self._slots(state)
        try:
            for door in doors(state.prepared):
                state.sockets[door] = known = list(old.get(door, ()))
                wanted = 1 if door.listen.unix_path is not None else count
                while len(known) < wanted:
                    known.append(_bound(door, reuse_port=wanted > 1 or bool(known)))
                    made.append((door, known[-1]))
        except RawlogError:
            for door, sock in made:
                close(sock, door.listen)
            raise

    def _slots(self, state: _State) -> int:
        return state.configuration.settings.rawlog_workers or os.cpu_count() or 1

    def _reload(self) -> None:
        """SIGHUP: new workers with the new configuration; the old ones finish what they have."""
        if self._ending:
            return
        try:
            fresh = _State(*self._read())
            self._bind(fresh, self._state.sockets)
        except RawlogError as error:
            self._report(f"reload: {error}; the old configuration stays in force")
            return
        old, self._state = self._state, fresh
        leaving = list(self._workers)
        self._start_all()
        for pid in leaving:
            self._dismiss(pid, signal.SIGTERM)
        for door, sockets in old.sockets.items():
            for sock in sockets:
                if sock not in fresh.sockets.get(door, ()):
                    close(sock, door.listen)
        self._report("reload: the new configuration is in force")

    # -- workers ------------------------------------------------------------------------------------------------

    def _start_all(self) -> None:
        for slot in range(self._slots(self._state)):
            self._start(slot)

    def _start(self, slot: int) -> None:
        if self._ending:
            return
        pid = os.fork()
        if not pid:
            self._be_worker(slot)
        self._workers[pid] = _Worker(slot, self._loop.monotonic())

    def _be_worker(self, slot: int) -> None:
        """The child's whole life. A socket that has no twin for this slot (unix) is shared by all."""
        code = 1
        try:
            self._loop.close()
            os.close(self._alive[1])
            state = self._state
            sockets = {door: made[slot % len(made)] for door, made in state.sockets.items()}
            run_worker(state.configuration, state.prepared, sockets, self._alive[0], self._report)
            code = 0
        except RawlogError as error:
            self._report(f"worker: {error}")
        except BaseException:
            self._report(f"worker: it crashed; please report this:\n{traceback.format_exc()}")
        finally:
            os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                pid, status = 0, 0
            if not pid:
                break
            worker = self._workers.pop(pid, None)
            if worker is not None and not worker.leaving:
                self._bring_back(pid, status, worker)
        if self._ending and not self._workers:
            self._loop.stop()

    def _bring_back(self, pid: int, status: int, worker: _Worker) -> None:
        lived = self._loop.monotonic() - worker.born
        delay = 0.0 if lived > STEADY else self._delays.get(worker.slot, FIRST_RESTART)
        self._delays[worker.slot] = min(max(delay, FIRST_RESTART) * 2, LAST_RESTART)
        self._report(f"worker {pid} {_how(status)}; its conversations have ended; starting another")
        self._loop.call_later(delay, lambda: self._start(worker.slot))

    def _dismiss(self, pid: int, signum: signal.Signals) -> None:
        self._workers[pid].leaving = True
        os.kill(pid, signum)

    def _end(self, signum: signal.Signals) -> None:
        """SIGTERM: the workers drain, a second one ends them. SIGINT: now."""
        again, self._ending = self._ending, True
        for pid, worker in self._workers.items():
            if again or signum is signal.SIGINT or not worker.leaving:  # a drain told twice is an end
                self._dismiss(pid, signum)
        if not self._workers:
            self._loop.stop()


def _bound(door: Door, *, reuse_port: bool) -> socket.socket:
    if door.listen.unix_path is not None:
        return bind_unix(door.listen.unix_path, mode=door.mode, user=door.user, group=door.group)
    return bind(door.listen, reuse_port=reuse_port)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was killed by signal {os.WTERMSIG(status)}"
    return f"ended with status {os.waitstatus_to_exitcode(status)}"
