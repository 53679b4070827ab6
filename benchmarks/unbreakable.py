"""Unbreakable conversations: how many kills they stand, and what they cost beside the others.

    python benchmarks/unbreakable.py [--kills 10000]     workers are killed at random under five conversations
    python benchmarks/unbreakable.py cost [--rounds 5]   beside the ordinary relay and Dovecot's rawlog, in one run

Soak: traffic and record of every conversation (raw, -t, -b, -t -b, commands with answers) are compared byte for byte.
Cost: a small C program (wrapped.c) stands at both ends; Dovecot's rawlog is its binary, one process per conversation,
as its post-login service runs it. Rounds go forward, then backward; medians. Cost takes root, cc and Dovecot.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.support import compile_c, machine, median, memory_directory, table, turns

from rawlog.engine.loop import Loop
from rawlog.engine.relay import Limits
from rawlog.events import Direction
from rawlog.formats.dovecot import PairDecoder, PairEncoder
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.sinks import FileSink
from rawlog.taps import postlogin_process
from rawlog.taps.holder import start_holder
from rawlog.taps.postlogin_session import Session
from rawlog.taps.unbreakable_place import Card, Terms
from tests.support.unbreakable import House, Killer, Stream, lines

DOVECOT = Path("/usr/lib/dovecot/rawlog")
FORMS = ((False, False), (True, False), (False, True), (True, True))
SIZE = 8_000_000
NOBODY = 65534


# -- soak -------------------------------------------------------------------------------------------------------------


def content(data: bytes, direction: Direction, stamps: bool, boundaries: bool) -> bytes:
    """What a file says without stamps and marks."""
    decoder = PairDecoder(direction, stamps, boundaries)
    return b"".join(chunk.data for chunk in [*decoder.feed(data), *decoder.end()])


def soak(kills: int, minutes: float) -> None:
    """Rounds of conversations until there were so many kills, or the time is over. Prints what was lost or doubled."""
    done = rounds = wrong = moved = 0
    begin = time.monotonic()
    with memory_directory(1 << 30) as name:
        while done < kills and time.monotonic() < begin + minutes * 60:
            place = Path(name) / str(rounds)
            place.mkdir()
            house = House(place)
            killer = Killer(house, seed=rounds, enough=kills - done)
            killer.start()
            bad, size = one_round(house, rounds)
            killer.stop()
            house.close()
            if house.reports:
                print(house.reports, end="")
                bad += 1
            done, wrong, moved, rounds = done + killer.kills, wrong + bad, moved + size, rounds + 1
            subprocess.run(["rm", "-r", str(place)], check=True)
    rows = [["kills", "conversations", "GB through them", "streams or files that differ", "minutes"]]
    rows.append(
        [str(done), str(5 * rounds), f"{moved / 1e9:.1f}", str(wrong), f"{(time.monotonic() - begin) / 60:.1f}"]
    )
    print(table(rows))


def one_round(house: House, number: int) -> tuple[int, int]:
    """Four bulk conversations and one of commands: how many of their streams and files differ; bytes moved."""
    wrong, moved, bulk = 0, 0, []
    for form, (stamps, boundaries) in enumerate(FORMS):
        held = house.open(stamps=stamps, boundaries=boundaries, tcp=(form + number) % 2 == 0)
        there, back = lines(SIZE, 10 * number + 2 * form), lines(SIZE, 10 * number + 2 * form + 1)
        streams = (
            Stream(held.client, held.server, there, seed=number),
            Stream(held.server, held.client, back, seed=form),
        )
        for stream in streams:
            stream.start()
        bulk.append((held, there, back, streams, stamps, boundaries))
    wrong += talk(house)
    for held, there, back, streams, stamps, boundaries in bulk:
        for stream in streams:
            stream.join(60)
        house.wait_ended(held)
        wrong += (streams[0].got != there) + (streams[1].got != back)
        wrong += content(held.recorded(Direction.IN), Direction.IN, stamps, boundaries) != there
        wrong += content(held.recorded(Direction.OUT), Direction.OUT, stamps, boundaries) != back
        moved += len(there) + len(back)
    return wrong, moved


def talk(house: House) -> int:
    """Commands and answers; the two files, compared."""
    held, there, back = house.open(stamps=True), b"", b""
    for number in range(500):
        ask, answer = b"b%d NOOP\r\n" % number, b"* %d EXISTS\r\nb%d OK\r\n" % (number, number)
        held.client.sendall(ask)
        there += held.server.recv(100)
        held.server.sendall(answer)
        back += held.client.recv(100)
    held.client.close()
    held.server.close()
    house.wait_ended(held)
    wrong = content(held.recorded(Direction.IN), Direction.IN, True, False) != there
    return wrong + (content(held.recorded(Direction.OUT), Direction.OUT, True, False) != back)


# -- cost -------------------------------------------------------------------------------------------------------------


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
    pid, front = start_holder(count + 8, terms=Terms(), report=print)
    front.settimeout(10)
    made.stack.callback(lambda: os.waitpid(pid, 0))
    made.stack.callback(front.close)
    for number, (client, server) in enumerate(pairs):
        sinks = files(made, number)
        card = Card("", made.stamps, False, True, [(direction, sink.name) for direction, sink in sinks.items()])
        for sock in (client, server):
            sock.setblocking(False)
        fds = [client.fileno(), server.fileno(), *(sink.fd for sink in sinks.values())]
        socket.send_fds(front, [b"C" + card.encode()], fds)
        assert front.recv(64) == b"A"
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


def cpu(pids: list[int]) -> float:
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def ask(made: Recorded, *words: str) -> list[float]:
    """The C program as client."""
    fds = [client.fileno() for client in made.clients]
    said = subprocess.run(
        [made.program, *words, *map(str, fds)], pass_fds=fds, capture_output=True, text=True, timeout=60
    )
    return [float(word) for word in said.stdout.split()]


def cost(rounds: int, idle: int, only: str) -> None:
    """All figures, one table each."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)  # noqa: PTH101
        program = Path(name) / "wrapped"
        missing = compile_c(Path(__file__).with_name("wrapped.c"), program)
        if missing or not DOVECOT.exists() or os.geteuid() != 0:
            raise SystemExit(missing or "this takes root and Dovecot's rawlog")
        print(machine(), "\n")
        postlogin_process.settle_memory()  # as the service does, which the holder is born from
        for what, measure in (("one", one), ("many", many), ("bulk", bulk)):
            if only in ("", what):
                measure(program, rounds)
        if only in ("", "idle"):
            at_rest(program, idle)


def one(program: Path, rounds: int) -> None:
    seen: dict[str, list[list[float]]] = {name: [] for name in VARIANTS}
    for _, name in turns(list(VARIANTS), rounds):
        with conversations(name, program, 1, True) as made:
            before = cpu(made.pids)
            count, _, p50, p99 = ask(made, "talk", "1.5")
            seen[name].append([p50, p99, (cpu(made.pids) - before) / count * 1e6])
    base = median([row[0] for row in seen["direct"]])
    rows = [["1 conversation, -t", "p50 µs", "added", "p99 µs", "recorder's CPU µs per command"]]
    for name, values in seen.items():
        p50, p99, spent = (median(column) for column in zip(*values, strict=True))
        rows.append([name, f"{p50:.1f}", f"{p50 - base:+.1f}", f"{p99:.0f}", f"{spent:.1f}"])
    print(table(rows), "\n")


def many(program: Path, rounds: int) -> None:
    seen: dict[str, list[list[float]]] = {name: [] for name in VARIANTS}
    for _, name in turns(list(VARIANTS), rounds):
        with conversations(name, program, 200, True) as made:
            before = cpu(made.pids)
            count, seconds, p50, p99 = ask(made, "talk", "2")
            spent = (cpu(made.pids) - before) / (count * (seconds + 0.3) / seconds)
            seen[name].append([count / seconds, p50 / 1000, p99 / 1000, spent * 1e6])
    rows = [["200 conversations, -t", "commands/s", "p50 ms", "p99 ms", "recorder's CPU µs per command"]]
    for name, values in seen.items():
        speed, p50, p99, spent = (median(column) for column in zip(*values, strict=True))
        rows.append([name, f"{speed:.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{spent:.1f}"])
    print(table(rows), "\n")


def bulk(program: Path, rounds: int) -> None:
    size = 512_000_000
    rows = [["bulk, server to client", "GB/s raw", "CPU s/GB", "GB/s -t", "CPU s/GB"]]
    seen: dict[tuple[str, bool], list[list[float]]] = {}
    for _, name in turns(list(VARIANTS), rounds):
        for stamps in (False, True):
            with conversations(name, program, 1, stamps) as made:
                before = cpu(made.pids)
                (seconds,) = ask(made, "bulk", str(size))
                time.sleep(0.3)
                spent = cpu(made.pids) - before
                seen.setdefault((name, stamps), []).append([size / seconds / 1e9, spent / size * 1e9])
    for name in VARIANTS:
        cells = [name]
        for stamps in (False, True):
            speed, spent = (median(column) for column in zip(*seen[name, stamps], strict=True))
            cells += [f"{speed:.2f}", f"{spent:.2f}"]
        rows.append(cells)
    print(table(rows), "\n")


def at_rest(program: Path, count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    rows = [[f"{count} conversations at rest", "PSS KiB each", "descriptors each, of all its processes"]]
    for name in ("Dovecot's rawlog", "fast", "unbreakable"):
        with conversations(name, program, count, True) as made:
            for client in made.clients:
                client.sendall(b"b NOOP of thirty bytes exact\r\n")
            for client in made.clients:
                client.recv(100)
            time.sleep(2)
            used = [(pss(pid), len(list(Path(f"/proc/{pid}/fd").iterdir()))) for pid in made.pids]
            held = ", ".join(f"{fds / count:.2f}" for _, fds in used[:2]) if len(used) < 3 else f"{used[0][1]}"
            rows.append([name, f"{sum(size for size, _ in used) / count:.1f}", held])
    print(table(rows), "\n")


def pss(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("soak", "cost"), default="soak")
    parser.add_argument("--kills", type=int, default=10000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--only", default="", choices=("", "one", "many", "bulk", "idle"))
    options = parser.parse_args()
    threading.excepthook = lambda failure: print(failure.exc_value)
    if options.what == "soak":
        soak(options.kills, options.minutes)
    else:
        cost(options.rounds, options.idle, options.only)


if __name__ == "__main__":
    main()
