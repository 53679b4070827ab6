"""How fast are recordings read? ``python benchmarks/reading.py [--quick] [--only pair|ls|search]``

Measures decoding and pairing of commands with answers (in this process, MB per second of CPU), ``rawlog ls`` of many
recordings, the first time and again, and ``rawlog search`` over a gigabyte of them against ``grep`` on the same files.

Knows: how recordings are made for this. Must not know: how they are read. Read ratios, not figures.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from rawlog.dialogue.exchange import exchanges
from rawlog.events import Chunk, Direction, Event
from rawlog.formats.base import Encoder
from rawlog.formats.dovecot import PairEncoder
from rawlog.formats.native import NativeEncoder
from rawlog.reading.opener import open_recording
from support import machine, spread, table, turns

IN, OUT = Direction.IN, Direction.OUT
READ = 8192  # bytes that one read sees, as in Dovecot
STAMPED, DASHED = "20261122-104500.1.{}", "20261122-104500-{}"
START = 1_795_385_217_000_000
NEEDLE = b"Message-ID: <needle@example.com>"


@dataclass(frozen=True)
class Size:
    """How much is read: bytes of the recordings for pairing and for searching, recordings to list, rounds."""

    pair: int
    search: int
    listed: int
    rounds: int


FULL = Size(pair=100 << 20, search=1 << 30, listed=100_000, rounds=5)
QUICK = Size(pair=20 << 20, search=128 << 20, listed=5_000, rounds=3)


# -- making recordings -------------------------------------------------------------------------------------------------


def fetches(size: int, body: int, needle_every: int = 0) -> Iterator[Event]:
    """A client that fetches messages of ``body`` bytes, until ``size`` bytes are there."""
    text = (b"x" * 70 + b" mail\r\n") * (body // 77)
    at = START
    yield Chunk(at, OUT, b"* PREAUTH ready\r\n")
    number = done = 0
    while done < size:
        number += 1
        head = (
            NEEDLE + b"\r\n" if needle_every and number % needle_every == 0 else b"Message-ID: <other@example.com>\r\n"
        )
        yield Chunk(at + 1000, IN, b"a%d UID FETCH %d BODY.PEEK[]\r\n" % (number, number))
        answer = b"* %d FETCH (BODY[] {%d}\r\n" % (number, len(head + text)) + head + text
        answer += b")\r\na%d OK Fetch completed.\r\n" % number
        for start in range(0, len(answer), READ):
            at += 100
            yield Chunk(at + 1000, OUT, answer[start : start + READ])
        at += 2000
        done += len(answer)


def write(place: Path, stem: str, encoder: Encoder, events: Iterator[Event]) -> Path:
    """One recording; gives the path that opens it."""
    endings = [".rawlog", ".rawlog"] if encoder.single else [".in", ".out"]
    with open(place / f"{stem}{endings[0]}", "ab") as in_, open(place / f"{stem}{endings[1]}", "ab") as out:
        for event in events:
            assert isinstance(event, Chunk)
            file = in_ if encoder.single or event.direction is IN else out
            file.write(encoder.chunk(event.at, event.direction, event.data))
    return place / f"{stem}{endings[0]}"


def size_of(place: Path) -> int:
    """Bytes in a directory."""
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


# -- pairing -----------------------------------------------------------------------------------------------------------


def pairing(place: Path, size: Size) -> str:
    """Megabytes and exchanges per second of CPU, for bodies and for small commands."""
    made = {
        "messages of 1 MB, time stamps": (STAMPED.format(1), PairEncoder(stamps=True), 1_000_000, size.pair),
        "messages of 1 MB, plain": (DASHED.format(2), PairEncoder(stamps=False), 1_000_000, size.pair),
        "messages of 1 MB, native": ("three", NativeEncoder({}), 1_000_000, size.pair),
        "messages of 20 kB, time stamps": (STAMPED.format(4), PairEncoder(stamps=True), 20_000, size.pair),
        "answers of 150 bytes, time stamps": (STAMPED.format(5), PairEncoder(stamps=True), 77, size.pair // 20),
    }
    paths = {
        name: write(place, stem, encoder, fetches(total, body)) for name, (stem, encoder, body, total) in made.items()
    }
    decoded: dict[str, list[float]] = {name: [] for name in made}
    paired: dict[str, list[float]] = {name: [] for name in made}
    counts: dict[str, int] = {}
    for _, name in turns(list(made), size.rounds):
        recording = open_recording(paths[name])
        total = sum(half.stat().st_size for half in place.glob(f"{made[name][0]}.*")) / 1e6
        decoded[name].append(total / cpu(lambda recording=recording: sum(1 for _ in recording.events)))
        seconds = cpu(lambda recording=recording: counts.update({name: sum(1 for _ in exchanges(recording))}))  # noqa: B023
        paired[name].append(total / seconds)
    rows = [["recording", "exchanges", "decoded, MB/s of CPU", "decoded and paired, MB/s of CPU"]]
    rows += [[name, str(counts[name]), spread(decoded[name]), spread(paired[name])] for name in made]
    return table(rows)


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU that ``work`` takes in this process."""
    before = time.process_time()
    work()
    return time.process_time() - before


# -- listing -----------------------------------------------------------------------------------------------------------


def listing(place: Path, size: Size) -> str:
    """Seconds for a tree of small recordings: with an empty cache, and again."""
    head = b"1795385217.000000 "
    in_ = b"".join(head + line + b"\r\n" for line in (b'a1 ID ("name" "Mail")', b"a2 SELECT INBOX", b"a3 LOGOUT"))
    out = b"".join(
        head + line + b"\r\n" for line in (b"a0 OK Logged in", b"a1 OK", b"* 3 EXISTS", b"a2 OK", b"* BYE", b"a3 OK")
    )
    for number in range(size.listed):
        directory = place / f"user{number % 100:02}"
        directory.mkdir(exist_ok=True)
        stem = directory / STAMPED.format(number)
        stem.with_name(stem.name + ".in").write_bytes(in_)
        stem.with_name(stem.name + ".out").write_bytes(out)
    environment = {**os.environ, "XDG_CACHE_HOME": str(place / "cache")}
    tree = [str(path) for path in sorted(place.glob("user*"))]
    rows = [["rawlog ls", "seconds", "seconds of CPU"]]
    for what in (f"{size.listed} recordings, first time", "again"):
        wall, used, _ = run(["rawlog", "ls", *tree], environment)
        rows.append([what, f"{wall:.1f}", f"{used:.1f}"])
    return table(rows)


# -- searching ---------------------------------------------------------------------------------------------------------


def searching(place: Path, size: Size) -> str:
    """Seconds to find a few texts in many bytes: rawlog search, and grep on the same files."""
    each = 1 << 20
    for number in range(size.search // each):
        every = 5 if number % 100 == 3 else 0
        write(place, STAMPED.format(number), PairEncoder(stamps=True), fetches(each, 100_000, every))
    needle = NEEDLE.decode()
    ways = {
        "grep -r TEXT": ["grep", "-r", "-a", "-c", "-F", needle, str(place)],
        "rawlog search TEXT": ["rawlog", "search", "-c", f'"{needle}"', str(place)],
        "grep -r REGEX": ["grep", "-r", "-a", "-c", "-E", "^[0-9.]+ Message-ID: <needle.*>", str(place)],
        "rawlog search REGEX": ["rawlog", "search", "-c", "/^Message-ID: <needle.*>/", str(place)],
        "rawlog search latency>10s": ["rawlog", "search", "-c", "latency>10s", str(place)],
    }
    walls: dict[str, list[float]] = {name: [] for name in ways}
    cpus: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, int] = {}
    for _, name in turns(list(ways), size.rounds):
        wall, used, output = run(ways[name], dict(os.environ), codes=(0, 1))
        walls[name].append(wall)
        cpus[name].append(used)
        found[name] = sum(int(line.rpartition(":")[2]) for line in output.splitlines())
    rows = [[f"{size_of(place) / 1e9:.2f} GB", "found", "seconds", "seconds of CPU"]]
    rows += [[name, str(found[name]), spread(walls[name], "{:.2f}"), spread(cpus[name], "{:.2f}")] for name in ways]
    for kind in ("TEXT", "REGEX"):
        ours, theirs = min(cpus[f"rawlog search {kind}"]), min(cpus[f"grep -r {kind}"])
        rows.append([f"rawlog search / grep, {kind}", "", "", f"{ours / theirs:.1f}"])
    return table(rows)


def run(command: list[str], environment: dict[str, str], codes: tuple[int, ...] = (0,)) -> tuple[float, float, str]:
    """Seconds, seconds of CPU with all children, and the output of a program."""
    if command[0] == "rawlog":
        command = [sys.executable, "-m", "rawlog", *command[1:]]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, errors="replace")
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in codes:
        raise SystemExit(f"{command}: {done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


PARTS = {"pair": pairing, "ls": listing, "search": searching}


def main() -> None:
    """Measure, print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller recordings, fewer rounds")
    parser.add_argument("--only", choices=tuple(PARTS), help="only this part")
    parser.add_argument("--dir", help="where to make recordings (1.3 GB; a temporary directory)")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    print(machine())
    for name, part in PARTS.items():
        if options.only not in (None, name):
            continue
        place = Path(tempfile.mkdtemp(prefix="rawlog-benchmark-", dir=options.dir))
        try:
            print("\n" + part(place, size), flush=True)
        finally:
            shutil.rmtree(place)


if __name__ == "__main__":
    main()
