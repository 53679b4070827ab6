"""Wrapped mail sessions of wrapped.c, recorded by Dovecot's rawlog, the ordinary relay, or unbreakably.

Knows: how each of them is set up and which processes record. Must not know: what is measured.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.support import memory_directory

from rawlog.engine.bounds import Limits
from rawlog.engine.loop import Loop
from rawlog.events import Direction
from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.sinks import FileSink
from rawlog.taps import postlogin_process
from rawlog.taps.holder_process import start_holder
from rawlog.taps.postlogin_session import Session
from rawlog.taps.unbreakable_place import Card

DOVECOT = Path("/usr/lib/dovecot/rawlog")
NOBODY = 65534


class Recorded:
    """Conversations of one variant: our end of each, and which processes record them."""

    def __init__(self, program: Path, place: Path, stamps: bool) -> None:
        self.program = program
        self.place = place
        self.stamps = stamps
        self.clients: list[socket.socket] = []
        self.pids: list[int] = []
        self.stack = ExitStack()

    def spawn(self, end: socket.socket, *before: str, **options: object) -> subprocess.Popen[bytes]:
        """The wrapped program, with its socket as descriptors 0 and 1."""
        words = [*before, str(self.program), "serve"]
        child = subprocess.Popen(words, stdin=end.fileno(), stdout=end.fileno(), **options)  # type: ignore[call-overload]
        end.close()
        self.stack.callback(child.wait)
        self.stack.callback(child.kill)
        return child  # type: ignore[no-any-return]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.stack.close()


def direct(made: Recorded, count: int) -> None:
    for _ in range(count):
        ours, theirs = socket.socketpair()
        made.clients.append(ours)
        made.spawn(theirs)


def dovecot(made: Recorded, count: int) -> None:
    (made.place / "dovecot.rawlog").mkdir()
    os.chmod(made.place, 0o755)  # noqa: PTH101
    os.chown(made.place / "dovecot.rawlog", NOBODY, NOBODY)
    environment = {"HOME": str(made.place), "USER": "u", "IP": "127.0.0.1", "PATH": "/usr/bin"}
    before = [str(DOVECOT), *(["-t"] if made.stamps else [])]
    children = []
    for _ in range(count):
        ours, theirs = socket.socketpair()
        made.clients.append(ours)
        children.append(made.spawn(theirs, *before, env=environment, user=NOBODY, group=NOBODY, extra_groups=[]))
    time.sleep(0.3)
    wanted = {f"[u:{child.pid}" for child in children}
    made.pids = [pid for pid, line in command_lines() if "rawlog" in line and any(mark in line for mark in wanted)]
    made.stack.callback(lambda: [end_quietly(pid) for pid in made.pids])


def command_lines() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue


def end_quietly(pid: int) -> None:
    """A relay of Dovecot's ends with its sockets; this is for one that did not."""
    try:
        if "rawlog" in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGKILL)
    except OSError:
        return


def files(made: Recorded, number: int) -> dict[Direction, FileSink]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    paths = {direction: made.place / f"{number}.{direction.value}" for direction in Direction}
    return {direction: FileSink(os.open(path, flags, 0o600), str(path)) for direction, path in paths.items()}


def fast(made: Recorded, count: int) -> None:
    pairs = pairs_of(made, count)
    pid = os.fork()
    if not pid:
        try:
            for client in made.clients:
                client.close()
            relay_all(made, pairs)
        finally:
            os._exit(1)
    for client, server in pairs:
        client.close()
        server.close()
    made.pids = [pid]
    made.stack.callback(lambda: os.waitpid(pid, 0))
    made.stack.callback(lambda: os.kill(pid, signal.SIGKILL))


def pairs_of(made: Recorded, count: int) -> list[tuple[socket.socket, socket.socket]]:
    """The relay's ends of so many conversations."""
    pairs = []
    for _ in range(count):
        ours, client = socket.socketpair()
        server, theirs = socket.socketpair()
        made.clients.append(ours)
        made.spawn(theirs)
        pairs.append((client, server))
    return pairs


def relay_all(made: Recorded, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """The ordinary relay, as the service runs it."""
    postlogin_process.settle_memory()
    loop = Loop()
    flusher = Flusher(loop.call_later)
    for number, (client, server) in enumerate(pairs):
        recorder = Recorder(PairEncoder(made.stamps), files(made, number), name="", report=print, flusher=flusher)
        limits = Limits(read_max=postlogin_process.READ_MAX)
        session = Session(loop, client, server, keep_secrets=True, on_end=lambda _: None, limits=limits)
        session.record(recorder)
        session.start()
    loop.run()


def unbreakable(made: Recorded, count: int) -> None:
    pairs = pairs_of(made, count)
    pid, front = start_holder(count + 8, limits=Limits(), report=print)
    front.settimeout(10)
    made.stack.callback(lambda: os.waitpid(pid, 0))
    made.stack.callback(front.close)
    for number, (client, server) in enumerate(pairs):
        sinks = files(made, number)
        card = Card("", made.stamps, False, True, [(direction, sink.name) for direction, sink in sinks.items()])
        for sock in (client, server):
            sock.setblocking(False)
        reader, writer = os.pipe()
        fds = [reader, client.fileno(), server.fileno(), *(sink.fd for sink in sinks.values())]
        socket.send_fds(front, [b"C" + card.encode()], fds)
        assert front.recv(64) == b"A"
        os.close(reader)
        os.close(writer)
        for end in (client, server, *sinks.values()):
            end.close()
    worker = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    made.pids = [pid, worker]


VARIANTS: dict[str, Callable[[Recorded, int], None]] = {
    "direct": direct,
    "Dovecot's rawlog": dovecot,
    "fast": fast,
    "unbreakable": unbreakable,
}


@contextmanager
def conversations(name: str, program: Path, count: int, stamps: bool) -> Iterator[Recorded]:
    with memory_directory(2 << 30) as place:
        os.chmod(place, 0o755)  # noqa: PTH101
        made = Recorded(program, Path(place), stamps)
        try:
            VARIANTS[name](made, count)
            time.sleep(0.2)
            yield made
        finally:
            made.close()
