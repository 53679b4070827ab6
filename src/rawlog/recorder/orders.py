"""Asks the keepers, and never waits for them longer than a login may take.

Knows: orders under way, their deadline, and which homes did not answer. Must not know: what is opened and how. A
keeper that hangs in a file system costs one login the deadline; then its home is left alone for a while, and when all
keepers hang, nobody waits at all.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from rawlog.engine.loop import READ, Loop, Timer
from rawlog.events import Direction
from rawlog.recorder.descriptors import receive
from rawlog.recorder.directory import NotRecorded, shown
from rawlog.recorder.keeper import EXPECTED, FILES, KEEPERS, MESSAGE_LIMIT, PROMISE, Order, encode_order
from rawlog.recorder.naming import Opened
from rawlog.recorder.sinks import FileSink

DEADLINE = 2.0
"""Seconds a login waits for its files. A disk under load answers in milliseconds, a hanging one never."""
PENALTY = 60.0
"""Seconds a home that did not answer in time is not asked about."""
HOMES_LIMIT = 1000
"""Homes that are remembered so; the oldest is forgotten first."""
_LATE = (
    "the directory did not answer within {:g} s; look at the file system of {}; "
    "its recordings go on being tried once a minute"
)

Answer = Callable[[Opened | NotRecorded], None]


class _Asked(NamedTuple):
    """An order under way."""

    answer: Answer
    promise: Callable[[], None] | None
    timer: Timer
    place: str


class Keepers:
    """The keepers behind ``sock`` (see ``start_keepers``), for one loop."""

    def __init__(self, loop: Loop, sock: socket.socket, *, count: int = KEEPERS, deadline: float = DEADLINE) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._sock = sock
        self._count = count
        self._deadline = deadline
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Asked] = {}
        self._slow: dict[str, float] = {}  # homes that did not answer -> until when they are left alone
        self._stuck: dict[int, float] = {}  # orders without an answer -> until when a keeper counts as hanging in it
        self._gone = False
        loop.register(sock.fileno(), self._receive, READ)

    def ask(self, order: Order, answer: Answer, promise: Callable[[], None] | None = None) -> None:
        """Calls ``answer`` once, never from inside this call, with the files or with why there are none.

        Before that ``promise`` is called as soon as it is clear that there will be files; in most cases, if the order
        asks for it.
        """
        refused = self.refusal(order.place)
        if refused is None:
            number = next(self._numbers)
            try:
                self._sock.send(encode_order(number, order))
            except OSError as error:
                refused = NotRecorded(
                    f"the keepers can't be asked: {error.strerror}; restart the service if that stays"
                )
            else:
                timer = self._loop.call_later(self._deadline, lambda: self._expired(number))
                self._waiting[number] = _Asked(answer, promise, timer, order.place)
                return
        self._loop.call_soon(lambda: answer(refused))

    def close(self) -> None:
        """Lets the keepers go. Who still waits gets no answer."""
        if not self._gone:
            self._loop.unregister(self._sock.fileno())
        for asked in self._waiting.values():
            asked.timer.cancel()
        self._waiting.clear()
        self._sock.close()
        self._gone = True

    def refusal(self, place: str) -> NotRecorded | None:
        """Why there is no use in asking about that place (of an order) at present."""
        now = self._loop.monotonic()
        if self._gone:
            return NotRecorded("the keepers have ended; restart the service")
        if self._slow.get(place, 0.0) > now:
            return NotRecorded(_LATE.format(self._deadline, shown(place)))
        if self._stuck:
            self._stuck = {number: until for number, until in self._stuck.items() if until > now}
        if len(self._stuck) >= self._count:
            return NotRecorded(f"all {self._count} keepers wait for file systems that don't answer; look at these")
        return None

    def _expired(self, number: int) -> None:
        asked = self._waiting.pop(number)
        until = self._loop.monotonic() + PENALTY
        self._stuck[number] = until
        self._slow.pop(asked.place, None)
        self._slow[asked.place] = until
        if len(self._slow) > HOMES_LIMIT:
            del self._slow[next(iter(self._slow))]
        asked.answer(NotRecorded(_LATE.format(self._deadline, shown(asked.place))))

    def _receive(self, events: int) -> None:
        try:
            message, fds, _ = receive(self._sock, MESSAGE_LIMIT, len(Direction))
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._lost()
            return
        word, number_text, *texts = message.split(b"\0")
        number = int(number_text)
        asked = self._waiting.get(number)
        # What is called may fail; that must not cost us our place in the loop.
        if word == PROMISE:
            if asked is not None and asked.promise is not None:
                self._loop.call_soon(asked.promise)
            return
        self._stuck.pop(number, None)
        made = _made(word, [text.decode(errors="surrogateescape") for text in texts], fds)
        if asked is not None:
            del self._waiting[number]
            asked.timer.cancel()
            self._slow.pop(asked.place, None)
            self._loop.call_soon(lambda: asked.answer(made))
        elif isinstance(made, Opened):  # too late
            for sink in made.sinks.values():
                sink.close()

    def _lost(self) -> None:
        """No keeper is left: nobody will answer what is under way."""
        self._gone = True
        self._loop.unregister(self._sock.fileno())
        waiting, self._waiting = self._waiting, {}
        for asked in waiting.values():
            asked.timer.cancel()
            self._loop.call_soon(partial(asked.answer, NotRecorded("the keepers have ended; restart the service")))


def _made(word: bytes, texts: list[str], fds: list[int]) -> Opened | NotRecorded:
    """What a keeper's last answer says."""
    if word != FILES:
        return NotRecorded(texts[0], expected=word == EXPECTED)
    path, *names = texts
    if len(names) != len(fds):
        for fd in fds:
            os.close(fd)
        return NotRecorded(f"{path}: its files did not get here: too many open files; raise the limit of the service")
    words = (name.partition(" ") for name in names)
    return Opened(path, {Direction(value): FileSink(fd, name) for (value, _, name), fd in zip(words, fds, strict=True)})
