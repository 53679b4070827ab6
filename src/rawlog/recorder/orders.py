"""Asks the keepers, and never waits for them longer than a login may take.

Knows: orders under way, their deadline, and which homes did not answer. Must not know: what is opened and how. A
keeper that hangs in a file system costs one login the deadline; then its home is left alone for a while, and when all
keepers hang, nobody waits at all. Long before the deadline one keeper more is called, for those who wait behind.
"""

from __future__ import annotations

import _socket
import contextlib
import itertools
import os
from collections.abc import Callable
from functools import partial

from rawlog.engine.loop import READ, Loop, Timer
from rawlog.recorder.descriptors import receive
from rawlog.recorder.directory import NotRecorded, shown
from rawlog.recorder.keeper import (
    DIRECTIONS,
    EXPECTED,
    FILES,
    KEEPERS,
    MESSAGE_LIMIT,
    PROMISE,
    Order,
    encode_order,
)
from rawlog.recorder.naming import Opened
from rawlog.recorder.sinks import FileSink
from rawlog.recorder.staff import take_bell

DEADLINE = 2.0
"""Seconds a login waits for its files. A disk under load answers in milliseconds, a hanging one never."""
PATIENCE = 1 / 8
"""The part of the deadline after which an order makes us call one keeper more: the one that there is may hang, and who
came after it could only wait, too. Not less: on a busy machine it may just have had no turn."""
PENALTY = 60.0
"""Seconds a home that did not answer in time is not asked about."""
HOMES_LIMIT = 1000
"""Homes that are remembered so; the oldest is forgotten first."""
_LATE = (
    "the directory did not answer within {:g} s; look at the file system of {}; "
    "its recordings go on being tried once a minute"
)

Answer = Callable[[Opened | NotRecorded], None]
_Asked = tuple[Answer, Callable[[], None] | None, str, float]
"""An order under way: whom to tell its answer and its promise, its place, and when it was given."""


class Keepers:
    """The keepers behind ``sock`` (see ``start_keepers``), for one loop. ``count``: how many there can be."""

    def __init__(self, loop: Loop, sock: _socket.socket, *, count: int = KEEPERS, deadline: float = DEADLINE) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._sock = sock
        self._bell = take_bell(sock)
        self._count = count
        self._deadline = deadline
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Asked] = {}  # in the order in which they were given
        self._timer: Timer | None = None  # runs while some wait; it is one for all
        self._slow: dict[str, float] = {}  # homes that did not answer -> until when they are left alone
        self._stuck: dict[int, float] = {}  # orders without an answer -> until when a keeper counts as hanging in it
        self._gone = False
        loop.register(sock.fileno(), self._receive, READ)

    def ask(self, order: Order, answer: Answer, promise: Callable[[], None] | None = None) -> None:
        """Calls ``answer`` once, never from inside this call, with the files or with why there are none.

        Before that ``promise`` is called as soon as it is clear that there will be files; in most cases, if the order
        asks for it.
        """
        place = order.place
        refused = self.refusal(place)
        if refused is None:
            number = next(self._numbers)
            try:
                self._sock.send(encode_order(number, order))
            except OSError as error:
                refused = NotRecorded(
                    f"the keepers can't be asked: {error.strerror}; restart the service if that stays"
                )
            else:
                self._waiting[number] = answer, promise, place, self._loop.monotonic()
                if self._timer is None:
                    self._timer = self._loop.call_later(self._deadline * PATIENCE, self._look)
                return
        self._loop.call_soon(partial(answer, refused))

    def close(self) -> None:
        """Lets the keepers go. Who still waits gets no answer."""
        self._waiting.clear()
        if not self._gone:
            self._let_go()
        self._sock.close()

    def refusal(self, place: str) -> NotRecorded | None:
        """Why there is no use in asking about that place (of an order) at present."""
        if self._gone:
            return NotRecorded("the keepers have ended; restart the service")
        if not self._slow and not self._stuck:
            return None
        now = self._loop.monotonic()
        if self._slow.get(place, 0.0) > now:
            return NotRecorded(_LATE.format(self._deadline, shown(place)))
        if self._stuck:
            self._stuck = {number: until for number, until in self._stuck.items() if until > now}
        if len(self._stuck) >= self._count:
            return NotRecorded(f"all {self._count} keepers wait for file systems that don't answer; look at these")
        return None

    # -- who waits ----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """The timer: tells those whose deadline has passed, and calls one keeper more when the next one waits long."""
        self._timer = None
        patience = self._deadline * PATIENCE
        while self._waiting:
            number, (_, _, _, since) = next(iter(self._waiting.items()))
            waited = self._loop.monotonic() - since
            if waited >= patience:
                self._ring()
            if waited < self._deadline:
                until = self._deadline if waited >= patience else patience
                self._timer = self._loop.call_later(until - waited, self._look)
                return
            self._expired(number)

    def _ring(self) -> None:
        """Asks for one keeper more; nothing happens when all are there already."""
        if self._bell is not None:
            with contextlib.suppress(OSError):  # the parent is gone, or has not yet heard what it was told before
                os.write(self._bell, b"+")

    def _expired(self, number: int) -> None:
        answer, _, place, _ = self._waiting.pop(number)
        until = self._loop.monotonic() + PENALTY
        self._stuck[number] = until
        self._slow.pop(place, None)
        self._slow[place] = until
        if len(self._slow) > HOMES_LIMIT:
            del self._slow[next(iter(self._slow))]
        self._loop.call_soon(partial(answer, NotRecorded(_LATE.format(self._deadline, shown(place)))))

    # -- answers ------------------------------------------------------------------------------------------------------

    def _receive(self, events: int) -> None:
        try:
            message, fds, _ = receive(self._sock, MESSAGE_LIMIT, len(DIRECTIONS))
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._lost()
            return
        word = message[:1]
        _, text, *texts = message.decode(errors="surrogateescape").split("\0")
        number = int(text)
        # What is called may fail; that must not cost us our place in the loop.
        if word == PROMISE:
            asked = self._waiting.get(number)
            if asked is not None and asked[1] is not None:
                self._loop.call_soon(asked[1])
            return
        made = _made(word, texts, fds)
        asked = self._waiting.pop(number, None)
        if asked is not None:
            answer, _, place, _ = asked
            self._slow.pop(place, None)
            self._loop.call_soon(partial(answer, made))
            return
        self._stuck.pop(number, None)
        if isinstance(made, Opened):  # too late
            for sink in made.sinks.values():
                sink.close()

    def _lost(self) -> None:
        """No keeper is left: nobody will answer what is under way."""
        self._let_go()
        for answer, _, _, _ in self._waiting.values():
            self._loop.call_soon(partial(answer, NotRecorded("the keepers have ended; restart the service")))
        self._waiting.clear()

    def _let_go(self) -> None:
        self._gone = True
        self._loop.unregister(self._sock.fileno())
        if self._timer is not None:
            self._timer.cancel()
        if self._bell is not None:
            os.close(self._bell)


def _made(word: bytes, texts: list[str], fds: list[int]) -> Opened | NotRecorded:
    """What a keeper's last answer says."""
    if word != FILES:
        return NotRecorded(texts[0], expected=word == EXPECTED)
    path, *names = texts
    if len(names) != len(fds):
        for fd in fds:
            os.close(fd)
        return NotRecorded(f"{path}: its files did not get here: too many open files; raise the limit of the service")
    sinks = {}
    for name, fd in zip(names, fds, strict=True):
        word_of, _, path_of = name.partition(" ")
        sinks[DIRECTIONS[word_of]] = FileSink(fd, path_of)
    return Opened(path, sinks)
