"""What every benchmark needs: processes whose CPU time can be read, fair turns, medians, and the facts of the machine.

Knows: how to start and end a process, what the kernel says about its CPU time, how to compile a C file. Must not know:
what is measured. Figures of different runs must not be compared, only ratios of one run: machines differ, and what
else runs on them.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

PATIENCE = 20.0
"""Seconds a process may take to say that it is ready, or to end."""


class Skipped(Exception):  # noqa: N818 - nothing went wrong
    """The benchmark can't run here; ``str()`` says why and what to do."""


class Process:
    """A process with text pipes. Leave the ``with`` block and it has ended."""

    def __init__(self, *command: str | Path, stderr: bool = False) -> None:
        """``stderr``: its standard error is what :meth:`expect` reads; else that is its standard output."""
        environment = {**os.environ, "LC_ALL": "C"}
        self.name = Path(command[0]).name
        self._child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL if stderr else subprocess.PIPE,
            stderr=subprocess.PIPE if stderr else None,
            text=True,
            env=environment,
        )
        self._words = self._child.stderr if stderr else self._child.stdout

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def expect(self, pattern: str, patience: float = PATIENCE) -> re.Match[str]:
        """The first line from here on in which ``pattern`` is found. Ends the process when it does not come."""
        watchdog = threading.Timer(patience, self._child.kill)
        watchdog.start()
        said = []
        assert self._words is not None
        try:
            for line in self._words:
                if found := re.search(pattern, line):
                    return found
                said.append(line)
        finally:
            watchdog.cancel()
        raise RuntimeError(f"{self.name}: ended without saying {pattern!r}: {''.join(said).strip() or 'no word'}")

    def listen_in(self) -> None:
        """Take what it says from now on, so that its pipe never fills; nobody reads it."""
        threading.Thread(target=lambda: [None for _ in self._words or ()], daemon=True).start()

    def tell(self, line: str) -> None:
        """One line for its standard input."""
        assert self._child.stdin is not None
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._child.pid

    @property
    def cpu(self) -> float:
        """Seconds on a CPU so far, all its threads together."""
        return cpu_of(self.pid)

    def end(self) -> None:
        """Close its standard input, then SIGTERM, then SIGKILL."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        for stop in (None, self._child.terminate, self._child.kill):
            if stop is not None:
                stop()
            try:
                self._child.wait(timeout=0.5 if stop is None else 5.0)
                break
            except subprocess.TimeoutExpired:
                continue


def cpu_of(pid: int) -> float:
    """Seconds on a CPU of a process, from the scheduler's nanoseconds, else from its ticks of 10 ms."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0]) / 1e9
        except (OSError, IndexError):
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def compile_c(source: Path, target: Path, *libraries: str) -> str:
    """Compile; gives nothing when it worked, else the first line of what is missing."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return "no C compiler (cc)"
    done = subprocess.run(
        [compiler, "-O2", "-o", str(target), str(source), *libraries], capture_output=True, text=True, timeout=60
    )
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["the compiler failed"])[0]


def turns(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Number of the round, and who is next: forward, then backward, so that a drift hits everybody alike."""
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            yield number, name


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def spread(values: Sequence[float], form: str = "{:.0f}") -> str:
    """Median, and in brackets the smallest and the largest."""
    return f"{form.format(median(values))} ({form.format(min(values))}-{form.format(max(values))})"


def memory_directory(needed: int) -> tempfile.TemporaryDirectory[str]:
    """A temporary directory in memory where there are ``needed`` bytes for it, else on disk."""
    shm = Path("/dev/shm")
    fits = shm.is_dir() and os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > needed
    return tempfile.TemporaryDirectory(prefix="rawlog-benchmark-", dir=shm if fits else None)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table, the first one its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def machine() -> str:
    """The machine in one line: processor, cores, kernel, Python, load."""
    model = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    processor = model[1] if model else platform.machine()
    system = f"{platform.system()} {platform.release()}, CPython {platform.python_version()}"
    return f"{os.cpu_count()} cores {processor}, {system}, load {os.getloadavg()[0]:.1f}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
