"""A gateway for tests: in a thread of this process, with its own loop, or as ``rawlog tap`` in a process of its own.

Knows: how a gateway is put together, asked, and ended. Must not know: what is tested.
"""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

from rawlog.engine.loop import READ, Loop
from rawlog.events import Direction
from rawlog.formats.base import Encoder
from rawlog.formats.dovecot import PairDecoder, PairEncoder
from rawlog.protocols.registry import framer_for
from rawlog.recorder.flusher import Flusher
from rawlog.settings.backend import parse_backend, parse_listen
from rawlog.settings.variables import Template
from rawlog.taps.admission import Admission, Bounds, Handshakes
from rawlog.taps.conversation import Service
from rawlog.taps.gateway import Gateway
from rawlog.taps.plan import Plan
from rawlog.taps.refusals import Refusals
from rawlog.taps.single import endpoints
from rawlog.taps.target import Target
from rawlog.taps.tls import backend_context
from tests.support.certificates import certificates
from tests.support.peer import SECONDS, Peer, dial

T = TypeVar("T")
NO_BOUNDS = Bounds()


def eventually(what: Callable[[], T], seconds: float = SECONDS) -> T:
    """The first answer of ``what`` that is true; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds"
        time.sleep(0.01)
    return found


@dataclass(frozen=True)
class Record:
    """One recording: its path without the ending, and the bytes of both directions without stamps."""

    path: Path
    in_: bytes
    out: bytes


def records(directory: Path) -> list[Record]:
    """All recordings below ``directory``, in the order of their names' numbers."""
    paths = sorted(directory.rglob("*.in"), key=lambda path: int(path.stem.rpartition(".")[2]))
    return [read_pair(path) for path in paths]


def read_pair(path: Path) -> Record:
    """The recording whose ``.in`` file is ``path``."""
    in_, out = (plain(path.with_suffix(f".{d.value}").read_bytes(), d) for d in (Direction.IN, Direction.OUT))
    return Record(path.with_suffix(""), in_, out)


def plain(data: bytes, direction: Direction = Direction.IN) -> bytes:
    """What was said, from a file with stamps."""
    decoder = PairDecoder(direction, stamps=True, boundaries=False)
    return b"".join(chunk.data for chunk in [*decoder.feed(data), *decoder.end()])


class RunningGateway:
    """A gateway to ``backend`` (a URL) in a thread. Clients find it at ``port``, and at ``tls_port`` with TLS from the
    start. ``lines`` is its log; ``directory`` is where it records, ``template`` how directories are named below it.

    It records with time stamps; ``encoder`` may say otherwise. ``change`` gets the Service as keywords and may
    change them. ``bounds`` and ``handshakes``: the limits for its clients, without which there are none.
    """

    def __init__(
        self,
        backend: str,
        directory: Path,
        *,
        template: str = "",
        ca_file: Path | None = None,
        keep_secrets: bool = False,
        plaintext_login: bool = False,
        client_tls: bool = True,
        encoder: Callable[[], Encoder] = lambda: PairEncoder(stamps=True),
        change: Callable[[dict[str, Any]], object] = lambda words: None,
        bounds: Bounds = NO_BOUNDS,
        handshakes: int | None = None,
    ) -> None:
        self.lines: list[str] = []
        self.errors: list[BaseException] = []
        self.directory = directory
        self.loop = Loop()
        self.loop.on_error = self.errors.append
        parsed = parse_backend(backend)
        flusher = Flusher(self.loop.call_later)
        escaped = str(directory).replace("%", "%%")
        where = Template(f"{escaped}/{template}".rstrip("/"))
        target = Target(where, encoder, create=True, flusher=flusher, report=self.lines.append)
        words: dict[str, Any] = {
            "protocol": parsed.protocol,
            "backend": parsed,
            "endpoints": endpoints(parsed),
            "backend_context": backend_context(str(ca_file or certificates().ca_file)),
            "client_context": certificates().server() if client_tls else None,
            "plaintext_login": plaintext_login,
            "keep_secrets": keep_secrets,
            "framer": lambda **options: framer_for(parsed.protocol, **options),
            "client_plans": [Plan(target)],
            "backend_plans": [],
            "report": self.lines.append,
        }
        change(words)
        self.service = Service(**words)
        self.refusals = Refusals(self.loop, self.lines.append)
        self.admission = Admission(
            self.loop,
            bounds,
            self.refusals,
            protocol=parsed.protocol,
            handshakes=Handshakes(self.loop, handshakes),
        )
        self.gateway = Gateway(self.loop, self.service, self.admission)
        self.port = self.gateway.listen(parse_listen("127.0.0.1:0")).port or 0
        self.tls_port = self.gateway.listen(parse_listen("tls:127.0.0.1:0")).port or 0 if client_tls else 0
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._wake, self._woken = socket.socketpair()
        self.loop.register(self._woken.fileno(), self._work, READ)
        self._thread = threading.Thread(target=self.loop.run, daemon=True)

    def dial(self) -> Peer:
        """A client."""
        return dial(self.port)

    def dial_tls(self, context: ssl.SSLContext | None = None) -> Peer:
        """A client with TLS from the start."""
        return dial(self.tls_port, context or certificates().client())

    def call(self, function: Callable[[], T]) -> T:
        """Call it in the gateway's thread."""
        done: SimpleQueue[T] = SimpleQueue()
        self._jobs.put(lambda: done.put(function()))
        self._wake.send(b"x")
        return done.get(timeout=SECONDS)

    def conversations(self) -> int:
        """How many go on."""
        return self.call(lambda: len(self.gateway._conversations))

    def idle(self) -> RunningGateway:
        """Wait until all conversations are over, so that their recordings and log lines are complete."""
        eventually(lambda: not self.conversations())
        return self

    def records(self) -> list[Record]:
        """All recordings, when all conversations are over."""
        return records(self.idle().directory)

    def record(self) -> Record:
        """The only recording, when all conversations are over."""
        (only,) = self.records()
        return only

    def told(self) -> list[str]:
        """The log without the line that each conversation gets at its end."""
        return [line for line in list(self.lines) if " end=" not in line]

    def ends(self) -> list[str]:
        """The line that each conversation gets at its end."""
        return [line for line in list(self.lines) if " end=" in line]

    def __enter__(self) -> RunningGateway:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.call(lambda: (self.gateway.abort("the test is over"), self.gateway.drain(self.loop.stop)))
        self._thread.join(SECONDS)
        self.loop.close()
        self._wake.close()
        self._woken.close()
        if kind is None:
            assert not self.errors, self.errors

    def _work(self, events: int) -> None:
        self._woken.recv(4096)
        while not self._jobs.empty():
            self._jobs.get()()


class TapProcess:
    """``rawlog tap`` in a process of its own. ``ports`` are where it listens, in the order of ``--listen``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.ports: list[int] = []
        self._unread: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def await_listening(self, count: int) -> None:
        """Read its log until it listens on ``count`` ports."""
        while len(self.ports) < count:
            line = self.read_line()
            assert line, f"it ended: {self.lines}"
            if found := re.search(r"listening on (?:tls:)?127\.0\.0\.1:(\d+) for", line):
                self.ports.append(int(found[1]))

    def read_line(self) -> str:
        """The next line of its log; empty at its end."""
        try:
            line = self._unread.get(timeout=SECONDS)
        except Empty:
            raise AssertionError(f"nothing more in its log: {self.lines}") from None
        self.lines.append(line)
        return line

    def read_until(self, text: str) -> str:
        """The next line of its log that holds ``text``."""
        while text not in (line := self.read_line()):
            assert line, f"{text!r} is not in its log: {self.lines}"
        return line

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code."""
        while self.read_line():
            pass
        return self.process.wait(SECONDS)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._unread.put(line)
        self._unread.put("")


@contextmanager
def tap_process(*words: str, directory: Path) -> Iterator[TapProcess]:
    """``rawlog tap WORDS --dir DIRECTORY``, listening when the block begins; ended with it."""
    command = [sys.executable, "-P", "-m", "rawlog", "tap", *words, "--dir", str(directory)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, bufsize=1) as process:
        tap = TapProcess(process)
        try:
            tap.await_listening(words.count("--listen"))
            yield tap
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
