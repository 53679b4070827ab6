"""The worker: relays and records by what the ledger says, and may be killed at any moment.

Knows: places, pipes, the loop. Must not know: who gave them to it, or what another worker did here before, beyond what
the ledger says. It is born as a copy of the holder, with all descriptors. It repairs nothing: what goes wrong in it
ends it, and its successor goes on. Nothing that matters is in its memory only.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from rawlog.engine.bounds import Limits
from rawlog.engine.ledger import DONE, Journal, Ledger
from rawlog.engine.loop import READ, Loop
from rawlog.engine.pipes import Pipe, Pool
from rawlog.engine.splice import Lane, SpliceRelay
from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.descriptors import receive
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.scribe import Scribe
from rawlog.recorder.sinks import FileSink
from rawlog.taps.unbreakable_place import FDS, MESSAGE, WITHDRAWN, Place, decode_card
from rawlog.taps.unbreakable_reader import PostLoginReader

BUG = 70
"""Exit code of a worker that met a mistake of ours (EX_SOFTWARE)."""
SILENT_NOW, SILENT = 1, 2
"""Stages of a conversation that is not recorded any more: its files must still say so; they need not."""


class Conversation:
    """One place, at work."""

    def __init__(self, worker: Worker, place: Place) -> None:
        self.place = place
        self._worker = worker
        self._ledger = ledger = worker.ledger
        ledger.work_on(place.slot)
        self._scribe = self._make_scribe()
        journal = self._scribe.journal if self._scribe is not None else None
        lane = Lane(ledger, worker.pool, place.slot, journal)
        if self._scribe is not None:
            lane.on_due = self._flush
        client, server = (socket.socket(fileno=fd) for fd in place.fds[:2])
        self.relay = SpliceRelay(
            worker.loop,
            lane.leg(worker.loop, client, "client"),
            lane.leg(worker.loop, server, "mail process"),
            lane,
            on_end=self._ended,
            limits=worker.limits,
        )
        ledger.work_on(None)

    def _make_scribe(self) -> Scribe | None:
        """Who records; None when nothing is recorded any more."""
        place, ledger, loop = self.place, self._ledger, self._worker.loop
        stage = ledger.silent(place.slot)
        if stage == SILENT:
            return None
        card = decode_card(place.card)
        if stage == SILENT_NOW:
            ledger.set_silent(place.slot, SILENT)  # first, since what follows may be what kills us
        files = {direction: FileSink(fd, path) for (direction, path), fd in zip(card.files, place.fds[2:], strict=True)}
        scribe = Scribe(
            Journal(ledger, place.slot),
            files,
            PairEncoder(card.stamps, card.boundaries),
            PostLoginReader(keep=card.keep),
            name=card.name,
            report=self._worker.report,
            flusher=self._worker.flusher,
            now=loop.now,
            limit=card.limit(place.fds[2]),
        )
        if stage == SILENT_NOW:
            scribe.stop("the recorder died of it several times; please report that")
            return None
        if scribe.lapsed:
            ledger.set_silent(place.slot, SILENT)
            scribe.stop("the recorder was replaced while it had more in mind than can be kept")
            return None
        return scribe

    def _flush(self) -> None:
        assert self._scribe is not None
        self._scribe.flush()

    def start(self) -> None:
        """Let the bytes flow, then write what a predecessor has left."""
        self.relay.start()
        if self._scribe is not None and self._scribe.behind:
            self._worker.loop.call_soon(self._flush)

    def _ended(self, reason: str) -> None:
        if self._scribe is not None:
            self._scribe.close(self._worker.loop.now(), reason)
        for fd in self.place.fds[2:]:
            os.close(fd)
        self._worker.ended(self)


class Worker:
    """Serves ``places`` and what comes through ``channel``, until that has ended and nothing is left to do."""

    def __init__(
        self,
        ledger: Ledger,
        channel: socket.socket,
        pipes: Sequence[Pipe],
        places: Mapping[int, Place],
        *,
        limits: Limits,
        report: Callable[[str], None],
    ) -> None:
        self.ledger = ledger
        self.limits = limits
        self.report = report
        self.loop = Loop()
        self.loop.on_error = die
        self.flusher = Flusher(self.loop.call_later)
        self._channel = channel
        self._held = True  # somebody else holds what we hold
        self._conversations: dict[int, Conversation] = {}
        self._offers = 0
        self._last_word = ""
        ledger.reclaim = self.flusher.flush
        self.pool = Pool([], self._publish)
        self.pool.count(len(pipes))
        self._take_over(pipes, places)
        channel.setblocking(False)
        self.loop.register(channel.fileno(), self._told, READ)

    def _take_over(self, pipes: Sequence[Pipe], places: Mapping[int, Place]) -> None:
        """Go on where a predecessor was killed."""
        journals = (Journal(self.ledger, slot) for slot in places)
        self.ledger.claim_areas({journal.area for journal in journals if journal.area is not None})
        for slot, place in places.items():
            self._conversations[slot] = Conversation(self, place)
        for pipe in pipes:
            owner = self.ledger.owner(pipe.index) if pipe.waiting() else None
            conversation = self._conversations.get(owner[0]) if owner is not None else None
            if owner is None or conversation is None:
                pipe.empty()
                self.pool.free.append(pipe)
            else:
                conversation.relay.adopt(owner[1], pipe)
        for conversation in list(self._conversations.values()):
            conversation.start()

    # -- the holder ---------------------------------------------------------------------------------------------------

    def _told(self, events: int) -> None:
        try:
            message, fds, _ = receive(self._channel, MESSAGE, FDS)
        except BlockingIOError:
            return
        except OSError:
            message, fds = b"", []
        if not message:
            self._alone()
        elif message.startswith(b"C"):
            self._offered(Place(int.from_bytes(message[1:9], "little"), message[9:], fds[1:]), fds[0])
        elif message.startswith(b"F"):
            self._last_word = message[1:].decode()
            for conversation in list(self._conversations.values()):
                conversation.relay.finish(self._last_word)

    def _offered(self, place: Place, withdrawal: int) -> None:
        """A new conversation. Nothing of it is touched before the service has let go of it, or has gone itself."""
        self._offers += 1

        def decided(events: int) -> None:
            self.loop.unregister(withdrawal)
            self._offers -= 1
            if os.read(withdrawal, 1) == WITHDRAWN:
                place.close()
                self._end_if_over()
            else:
                self._begin(place)
            os.close(withdrawal)

        self.loop.register(withdrawal, decided, READ)

    def _begin(self, place: Place) -> None:
        self._conversations[place.slot] = conversation = Conversation(self, place)
        conversation.start()
        if self._last_word:
            conversation.relay.finish(self._last_word)

    def _alone(self) -> None:
        """The holder is gone. What we have goes on; with the last conversation we end."""
        self.loop.unregister(self._channel.fileno())
        self._held = False
        self._end_if_over()

    def _end_if_over(self) -> None:
        if not self._held and not self._conversations and not self._offers:
            self.loop.stop()

    def _publish(self, pipes: Sequence[Pipe]) -> None:
        """The holder gets new pipes before a byte is in them."""
        for pipe in pipes:
            with contextlib.suppress(OSError):  # it is gone; nobody will come after us then
                self._channel.setblocking(True)
                socket.send_fds(self._channel, [b"P" + pipe.index.to_bytes(8, "little")], [pipe.reader, pipe.writer])
            self._channel.setblocking(False)

    def ended(self, conversation: Conversation) -> None:
        """Everything is in the files; the holder may let go of it too."""
        slot = conversation.place.slot
        del self._conversations[slot]
        self.ledger.set_state(slot, DONE)
        with contextlib.suppress(OSError):  # it looks by itself when we die
            self._channel.send(b"E")
        self._end_if_over()


def work(
    ledger: Ledger,
    channel: socket.socket,
    pipes: Sequence[Pipe],
    places: Mapping[int, Place],
    *,
    limits: Limits,
    report: Callable[[str], None],
) -> NoReturn:
    """Be a worker, in a process of its own, to the end."""
    try:
        gc.freeze()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        worker = Worker(ledger, channel, pipes, places, limits=limits, report=report)
        worker.loop.run()
        os._exit(0)
    except BaseException as error:
        die(error)


def die(error: BaseException) -> NoReturn:
    """End at once, and say why in one line. The ledger says in whose conversation it was."""
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" at {Path(frame[0].filename).name}:{frame[0].lineno}" if frame else ""
    with contextlib.suppress(OSError):
        text = f"rawlog worker {os.getpid()}: {type(error).__name__}: {error}{place}; it is replaced"
        os.write(2, f"{' '.join(text.split())}\n".encode(errors="backslashreplace"))
    os._exit(BUG)
