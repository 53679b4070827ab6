"""Unbreakable conversations: how many kills they stand, and what they cost beside the others.

    python benchmarks/unbreakable.py [--kills 10000]     workers are killed at random under five conversations,
                                                         and new code takes over in the middle of them
    python benchmarks/unbreakable.py cost [--rounds 5]   beside the ordinary relay and Dovecot's rawlog, in one run

Soak: traffic and record of every conversation (raw, -t, -b, -t -b, commands with answers) are compared byte for byte.
Cost: a small C program (wrapped.c) stands at both ends; Dovecot's rawlog is its binary, one process per conversation,
as its post-login service runs it. Rounds go forward, then backward; medians. Cost takes root, cc and Dovecot.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.support import compile_c, machine, median, memory_directory, table, turns
from benchmarks.wrapped import DOVECOT, VARIANTS, Recorded, conversations

from rawlog.events import Direction
from rawlog.formats.dovecot import PairDecoder
from rawlog.taps import postlogin_process
from tests.support.unbreakable import House, Killer, Stream, lines

FORMS = ((False, False), (True, False), (False, True), (True, True))
SIZE = 8_000_000
UNTRIED = "ended with -9 when it was tried out"
"""What a holder says when a kill has hit the code that it tries out; it goes on with the old one then."""


# -- soak -------------------------------------------------------------------------------------------------------------


def content(data: bytes, direction: Direction, stamps: bool, boundaries: bool) -> bytes:
    """What a file says without stamps and marks."""
    decoder = PairDecoder(direction, stamps, boundaries)
    return b"".join(chunk.data for chunk in [*decoder.feed(data), *decoder.end()])


def soak(kills: int, minutes: float) -> None:
    """Rounds of conversations until there were so many kills, or the time is over. Prints what was lost or doubled."""
    done = rounds = wrong = moved = renewed = 0
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
            renewed += b"holder_process" in Path(f"/proc/{house.pid}/cmdline").read_bytes()
            house.close()
            said = [line for line in house.reports.splitlines() if UNTRIED not in line]
            if said:
                print(*said, sep="\n")
                bad += 1
            done, wrong, moved, rounds = done + killer.kills, wrong + bad, moved + size, rounds + 1
            subprocess.run(["rm", "-r", str(place)], check=True)
    minutes = (time.monotonic() - begin) / 60
    rows = [["kills", "new code", "conversations", "GB through them", "streams or files that differ", "minutes"]]
    rows.append([str(done), str(renewed), str(5 * rounds), f"{moved / 1e9:.1f}", str(wrong), f"{minutes:.1f}"])
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
    house.front.send(b"R")  # and the code on the disk takes over in the middle of it
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
