"""Inside a Python program: the tap of one conversation, for whoever holds its stream.

Knows: that what a stream read and wrote is observed as on a leg of the gateway, at once, from any thread. Must not
know: sockets, asyncio, mail clients. A directory is the switch here too: where it is missing nothing is recorded and
the program's own stream is used as it is, so that the call may stay in a program for ever.

What goes wrong here is logged (logger ``rawlog``) and ends the recording; it is never raised into the program.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rawlog.dialogue.redact import Masker
from rawlog.events import Direction
from rawlog.formats.base import Encoder
from rawlog.formats.dovecot import PairEncoder
from rawlog.formats.native import NativeEncoder
from rawlog.protocols.registry import framer_for
from rawlog.recorder.directory import NotRecorded
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.recorder import Recorder
from rawlog.settings.model import Settings
from rawlog.settings.variables import Template
from rawlog.taps.limiting import limit_of
from rawlog.taps.observer import Answer, Observer
from rawlog.taps.plan import Plan
from rawlog.taps.target import Target

log = logging.getLogger("rawlog")


class StreamTap:
    """Records what one stream reads and writes. ``protocol`` as everywhere: imap, pop3, smtp, lmtp, managesieve.

    ``directory`` may hold variables (``recordings/%u``); then recording begins when the user is known, with all that
    was said before. ``server``: the program is the server; else it is the client, and as in Dovecot's proxies ``.in``
    is what the other side said. ``secrets``: ``redact`` masks credentials, ``keep`` does not. ``native``: one file
    with marks in place of a pair.

    Raises ConfigError for a protocol that nobody knows, or a directory that can't be one.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        protocol: str,
        server: bool = False,
        secrets: str = "redact",
        native: bool = False,
    ) -> None:
        self._values = {"pid": str(os.getpid()), "service": protocol}
        self._lock = threading.Lock()
        self._closed = False
        self._flusher = Flusher(_at_once)
        framer = framer_for(protocol, client=Direction.IN if server else Direction.OUT, wire_compressed=True)
        target = _target(directory, _encoder(framer.protocol, native), self._flusher)
        masker = Masker(framer, keep=secrets == "keep")
        self._observer = Observer(masker, [Plan(target)], self._open, on_login=_nothing)

    def received(self, data: bytes) -> None:
        """The stream read ``data``."""
        self._take(Direction.IN, data)

    def sent(self, data: bytes) -> None:
        """The stream wrote ``data``."""
        self._take(Direction.OUT, data)

    def mark(self, name: str, detail: Mapping[str, str]) -> None:
        """What bytes can't say: ``tls``, ``gap``."""
        self._do(lambda: self._observer.mark(_now(), name, detail))

    def close(self, reason: str) -> None:
        """The conversation is over. Nothing happens the second time."""
        closed, self._closed = self._closed, True
        if not closed:
            with self._lock:
                _quietly(lambda: self._observer.close(_now(), reason, _nobody))

    def _take(self, direction: Direction, data: bytes) -> None:
        if data:
            self._do(lambda: self._observer.tap(_now(), direction, data))

    def _do(self, work: Callable[[], None]) -> None:
        with self._lock:
            if not self._closed:
                _quietly(work)
                self._flusher.flush()

    def _open(self, plan: Plan, user: str | None, at: int, answer: Answer) -> None:
        def opened(made: tuple[Recorder, str] | NotRecorded) -> None:
            answer(None if isinstance(made, NotRecorded) else made[0])

        plan.target.open({**self._values, "user": user or ""}, at, "rawlog", opened)


def may_record(directory: str | os.PathLike[str]) -> bool:
    """Whether anything can be recorded there: it exists, or that depends on what is not known yet."""
    text = os.fspath(directory)
    if "%" in text or Path(text).is_dir():
        return True
    log.info("not recorded: %s: no such directory; make it (mkdir) to record", text)
    return False


def _target(directory: str | os.PathLike[str], encoder: Callable[[], Encoder], flusher: Flusher) -> Target:
    text = os.fspath(directory)
    if not text.startswith(("/", "%")):
        text = f"{str(Path.cwd()).replace('%', '%%')}/{text}"
    limit = Settings()
    return Target(
        Template(text),
        encoder,
        flusher=flusher,
        report=log.warning,
        debug=False,
        limit=lambda opened: limit_of(limit, opened.sinks),
    )


def _encoder(protocol: str, native: bool) -> Callable[[], Encoder]:
    return lambda: NativeEncoder({"protocol": protocol}) if native else PairEncoder(stamps=True)


def _quietly(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception as error:
        log.error("recording ends: %s: %s; the conversation goes on", type(error).__name__, error)


def _now() -> int:
    return time.time_ns() // 1000


def _at_once(seconds: float, callback: Callable[[], None]) -> None:
    """In place of a timer: everything is flushed when it is said."""


def _nobody() -> None:
    """Who waits for the recording to be closed."""


def _nothing(user: str | None) -> None:
    """Who is told about the login."""
