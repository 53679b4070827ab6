"""``rawlog_dir = tcp:HOST:PORT``: recordings that go to a collector as one stream each, instead of into files.

Knows: which recordings still have something on its way, so that a process can wait for them before it ends. Must not
know: what a conversation is, when a process ends. A collector never makes a conversation wait, see recorder/tcp.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rawlog.engine.connect import Endpoint, resolve
from rawlog.engine.loop import Loop
from rawlog.events import Direction
from rawlog.formats.combined import CombinedEncoder
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.limits import Limit
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.tcp import TcpSink
from rawlog.settings.backend import host_and_port
from rawlog.settings.variables import Template
from rawlog.taps.target import Answer, Target, Values

SCHEME = "tcp:"


def collector_of(directory: str) -> tuple[Endpoint, ...] | None:
    """Where the collector is that ``tcp:HOST:PORT`` names; None for a directory. A name is looked up now.

    Raises LegError when there is no such host.
    """
    if not directory.startswith(SCHEME):
        return None
    host, port = host_and_port(directory.removeprefix(SCHEME), "a collector")
    assert port is not None
    return resolve(host, port)


class Outstanding:
    """Counts recordings that are on their way to collectors."""

    def __init__(self) -> None:
        self._count = 0
        self._then: Callable[[], None] | None = None

    def begin(self) -> None:
        """One more."""
        self._count += 1

    def done(self) -> None:
        """One has arrived, or will not."""
        self._count -= 1
        self._look()

    def wait(self, then: Callable[[], None]) -> None:
        """Call ``then`` once when there is none."""
        self._then = then
        self._look()

    def _look(self) -> None:
        if self._then is not None and not self._count:
            then, self._then = self._then, None
            then()


class CollectorTarget(Target):
    """The collector at ``ends``; ``name`` is its setting. A user's own directory goes into files as ever (``files``).

    ``session_bytes``: most bytes recorded of one conversation, 0 for no limit.
    """

    def __init__(
        self,
        loop: Loop,
        ends: Sequence[Endpoint],
        name: str,
        *,
        files: Target,
        outstanding: Outstanding,
        flusher: Flusher,
        report: Callable[[str], None],
        session_bytes: int = 0,
    ) -> None:
        super().__init__(None, CombinedEncoder, flusher=flusher, report=report)
        self.needs_user = False
        self._loop = loop
        self._ends = ends
        self._name = name
        self._files = files
        self._outstanding = outstanding
        self._session_bytes = session_bytes

    def open(self, values: Values, at: int, name: str, answer: Answer, *, instead: Template | None = None) -> None:
        if instead is not None:
            self._files.open(values, at, name, answer, instead=instead)
            return
        self._outstanding.begin()
        sink = TcpSink(
            self._loop,
            self._ends,
            self._name,
            report=lambda sentence: self._report(f"{name}: {sentence}"),
            on_closed=self._outstanding.done,
        )
        recorder = Recorder(
            CombinedEncoder(),
            dict.fromkeys(Direction, sink),
            name=name,
            report=self._report,
            flusher=self._flusher,
            limit=Limit(self._session_bytes),
        )
        answer((recorder, self._name))
