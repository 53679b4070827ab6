"""The holder: keeps a second copy of every descriptor, and makes a new worker when one dies. That is all it does.

Knows: places, pipes, the ledger, one worker process. Must not know: what a conversation says, how it is relayed or
recorded; it never touches a byte. It is the smallest process of the house because it is the one that must not die; and
when it does, its worker finishes what it has.

From the post-login service (SOCK_SEQPACKET): ``C`` and a card, with descriptors; answered with ``A``, from then on they
are held here, or ``N``. ``F`` and a reason: end all conversations. ``R``: go on with the code that is on the disk. To
it: ``E`` and a number for each conversation that ended; they are counted from 0 as they come. To the worker: ``C``, the
slot, the card; ``F``. From it: ``P`` and a number, with a new pipe; ``E``: look, something has ended.

The first descriptor of a conversation is the reading end of a pipe, by which the service can withdraw it: if we die
before ``A``, it relays itself, and the worker, which has got it by then, must not. See :mod:`unbreakable_worker`.

A worker that dies of itself while it works on a conversation, and again, and again: then that conversation is recorded
no more. One that was killed (SIGKILL, SIGTERM) says nothing about the conversation, and is not counted.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

from rawlog.engine.bounds import Limits
from rawlog.engine.ledger import DONE, Ledger
from rawlog.engine.pipes import Pipe
from rawlog.recorder.descriptors import keep_only, receive
from rawlog.taps.holder_memory import Memory
from rawlog.taps.holder_renewal import SIGNALS, Rehearsal, renew
from rawlog.taps.unbreakable_place import FDS, MESSAGE, Place
from rawlog.taps.unbreakable_worker import SILENT_NOW, work

STRIKES = 3
"""Deaths in one conversation until it is recorded no more; after as many again it is given up."""
REST = 0.05
"""Seconds before the next worker, after one that died of itself."""
_KILLED = (-signal.SIGKILL, -signal.SIGTERM)


class Holder:
    """Serves ``front``, the socket to the post-login service, until it is gone and no conversation is left."""

    def __init__(
        self, front: socket.socket | None, ledger: Ledger, *, limits: Limits, report: Callable[[str], None]
    ) -> None:
        self.ledger = ledger
        self.limits = limits
        self.front = front
        self.places: dict[int, Place] = {}
        self.numbers: dict[int, int] = {}  # slot -> number of the conversation
        self.pipes: list[Pipe] = []
        self.count = 0
        self.pid = 0
        self._report = report
        self._strikes: Counter[int] = Counter()
        self._free = list(range(ledger.places))
        self._channel: socket.socket | None = None
        self._process = -1
        self._last_word = b""
        self._outgoing: deque[bytes] = deque()
        self._rehearsal: Rehearsal | None = None
        self._wake = _wakeups()

    # -- the worker ---------------------------------------------------------------------------------------------------

    def start_worker(self) -> None:
        """Make a worker; it has everything that we have."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if not pid:
            keep_only({0, 1, 2, self.ledger.fd, theirs.fileno(), *self._held()})
            work(self.ledger, theirs, self.pipes, self.places, limits=self.limits, report=self._report)
        theirs.close()
        self.adopt_worker(pid, ours)

    def adopt_worker(self, pid: int, channel: socket.socket) -> None:
        """This is the worker."""
        self.pid, self._channel = pid, channel
        self._process = os.pidfd_open(pid)
        self._pass_on()

    def _held(self) -> list[int]:
        ends = [end for pipe in self.pipes for end in (pipe.reader, pipe.writer)]
        return [*ends, *(fd for place in self.places.values() for fd in place.fds)]

    def _bury(self) -> None:
        """The worker has died: learn from it, and make another one."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self._process)
        assert self._channel is not None
        while self._heard(self._channel):
            pass
        self._channel.close()
        self._channel = None
        self._sweep()
        code = os.waitstatus_to_exitcode(status)
        if self.front is None and not self.places:
            return
        if code not in _KILLED:
            self._blame(code)
            time.sleep(REST)
        self.start_worker()

    def _blame(self, code: int) -> None:
        """It died of itself: count that against the conversation in which it happened."""
        slot = self.ledger.current
        self.ledger.work_on(None)
        if slot is None or slot not in self.places:
            self._report(f"the recorder's worker died ({_cause(code)}) and was replaced; please report it")
            return
        self._strikes[slot] += 1
        if self._strikes[slot] == STRIKES:
            self.ledger.set_silent(slot, SILENT_NOW)
        elif self._strikes[slot] == 2 * STRIKES:
            self._report(f"a conversation can't be relayed ({_cause(code)}) and was ended; please report it")
            self.ledger.set_state(slot, DONE)
            self._sweep()

    def _heard(self, channel: socket.socket) -> bool:
        """One message of the worker; False when there is none."""
        try:
            message, fds, _ = receive(channel, MESSAGE, FDS)
        except OSError:
            return False
        if message.startswith(b"P") and len(fds) == 2:
            self.pipes.append(Pipe(int.from_bytes(message[1:9], "little"), *fds))
        elif message:
            self._sweep()
        return bool(message)

    def _sweep(self) -> None:
        """Let go of the conversations that have ended."""
        for slot in [slot for slot in self.places if self.ledger.state(slot) == DONE]:
            self.places.pop(slot).close()
            self._strikes.pop(slot, None)
            self._free.append(slot)
            self._outgoing.append(b"E%d" % self.numbers.pop(slot))
        self._say()

    # -- the service --------------------------------------------------------------------------------------------------

    def _asked(self, front: socket.socket) -> None:
        try:
            message, fds, cut = receive(front, MESSAGE, FDS)
        except OSError:
            message, fds, cut = b"", [], False
        if not message:
            front.close()
            self.front = None
            self._outgoing.clear()
        elif message.startswith(b"C"):
            self._take(message[1:], fds, cut)
        elif message.startswith(b"R"):
            self._rehearse()
        elif message.startswith(b"F"):
            self._last_word = message
            self._pass_on()

    def _pass_on(self) -> None:
        """Tell the worker to end everything, if we were told so."""
        if self._channel is not None and self._last_word:
            with contextlib.suppress(OSError):  # it is dying; its successor is told again
                self._channel.send(self._last_word)

    def _take(self, card: bytes, fds: list[int], cut: bool) -> None:
        """A new conversation. The worker has it before the service lets go of it."""
        if cut or not self._free or len(fds) < 3:
            for fd in fds:
                os.close(fd)
            self._outgoing.append(b"N")
            self._say()
            return
        slot = self._free.pop()
        self.ledger.clear(slot)
        self.places[slot] = Place(slot, card, fds[1:])
        self.numbers[slot] = self.count
        self.count += 1
        if self._channel is not None:
            with contextlib.suppress(OSError):  # it is dying; its successor has the place by birth
                socket.send_fds(self._channel, [b"C" + slot.to_bytes(8, "little") + card], fds)
        os.close(fds[0])
        self._outgoing.append(b"A")
        self._say()

    def _say(self) -> None:
        """Send what is to be sent to the service, as far as it takes it."""
        while self.front is not None and self._outgoing:
            try:
                self.front.send(self._outgoing[0], socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                self._outgoing.clear()
                return
            self._outgoing.popleft()

    # -- new code -----------------------------------------------------------------------------------------------------

    def _rehearse(self) -> None:
        """Let the code that is on the disk show that it can go on here."""
        if self._rehearsal is None:
            try:
                self._rehearsal = Rehearsal(self.memory())
            except OSError as error:
                self._report(f"no new code can be tried out: {error.strerror}; the old one goes on")

    def _rehearsed(self, rehearsal: Rehearsal) -> None:
        """It has: become it. Or it has not."""
        self._rehearsal = None
        trouble = rehearsal.end() or renew(self.memory())
        self._report(f"conversations go on with the old code: {trouble}")

    def memory(self) -> Memory:
        """What we must remember to go on."""
        return Memory(
            ledger=self.ledger.fd,
            room=self.ledger.places,
            limits=self.limits,
            front=-1 if self.front is None else self.front.fileno(),
            worker=self.pid,
            channel=-1 if self._channel is None else self._channel.fileno(),
            pipes=self.pipes,
            places=list(self.places.values()),
            numbers=self.numbers,
            strikes=self._strikes,
            count=self.count,
            last_word=self._last_word,
            outgoing=list(self._outgoing),
        )

    def remember(self, memory: Memory) -> None:
        """Go on where a holder has become us. Its worker still has the old code: another one takes its place."""
        self.places = {place.slot: place for place in memory.places}
        self._free = [slot for slot in self._free if slot not in self.places]
        self.numbers, self.pipes, self.count = dict(memory.numbers), list(memory.pipes), memory.count
        self._strikes.update(memory.strikes)
        self._outgoing.extend(memory.outgoing)
        self._last_word = memory.last_word
        self.adopt_worker(memory.worker, socket.socket(fileno=memory.channel))
        os.kill(self.pid, signal.SIGKILL)

    # -- to the end ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Hold."""
        while self._channel is not None:
            poll = select.poll()
            poll.register(self._process, select.POLLIN)
            poll.register(self._channel, select.POLLIN)
            poll.register(self._wake, select.POLLIN)
            if self._rehearsal is not None:
                poll.register(self._rehearsal.process, select.POLLIN)
            if self.front is not None:
                poll.register(self.front, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
            elif not self.places:
                return
            self._handle(dict(poll.poll()))

    def _handle(self, ready: Mapping[int, int]) -> None:
        if self._wake.fileno() in ready and signal.SIGHUP in self._wake.recv(4096):
            self._rehearse()
        if self.front is not None and (events := ready.get(self.front.fileno())):
            self._say()
            if events & ~select.POLLOUT:
                self._asked(self.front)
        if self._channel is not None and self._channel.fileno() in ready:
            self._heard(self._channel)
        if self._process in ready:
            self._bury()
        if self._channel is not None and self._rehearsal is not None and self._rehearsal.process in ready:
            self._rehearsed(self._rehearsal)


def _wakeups() -> socket.socket:
    """Where signals are heard. Those that end others are left to them: we end with the last conversation."""
    receiver, sender = socket.socketpair()
    receiver.setblocking(False)
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.detach(), warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
        signal.siginterrupt(number, False)
    return receiver


def _cause(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
