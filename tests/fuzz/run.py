"""Fuzzing for as long as one likes: ``make fuzz MINUTES=10``, or ``python -m tests.fuzz.run --minutes 1 imap proxy``.

Knows: two ways to make inputs: guided by coverage with atheris where that is installed, else the mutations that CI
runs. Must not know: what the targets promise. Each target runs in a process of its own, so that one that hangs or dies
costs only itself. An input that breaks a promise is kept in tests/fuzz/found/TARGET; test_fuzz.py tries those again and
again, so what was found and mended stays mended.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz import corpus
from tests.fuzz.mutation import LIMIT, Mutator
from tests.fuzz.targets import TARGETS

FOUND = Path(__file__).parent / "found"
"""Inputs that once broke a promise."""
ONE_INPUT = 20
"""Seconds that one input may take: a machine that is busy needs one at most."""


def keep(name: str, data: bytes) -> Path:
    """Keeps an input that breaks a promise."""
    path = FOUND / name / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def mutate(name: str, seconds: float, seed: int) -> int:
    """Runs one target by mutation; gives the number of inputs. Ends at the first that breaks a promise."""
    target = TARGETS[name]
    mutator = Mutator(target.seeds(), corpus.words(*target.seeds()), seed)
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        _try(name, mutator.next())
        count += 1
    return count


def _try(name: str, data: bytes) -> None:
    begun = time.monotonic()
    try:
        TARGETS[name].check(data)
    except BaseException:
        print(f"{name}: a promise is broken by {keep(name, data)}", flush=True)
        raise
    if time.monotonic() - begun > ONE_INPUT:
        print(f"{name}: more than {ONE_INPUT} s for {keep(name, data)}", flush=True)


def guided(name: str, seconds: float, seed: int) -> int:
    """Runs one target by coverage; does not return: the library ends the process."""
    import atheris

    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(target.seeds()):
            Path(folder, str(number)).write_bytes(data[:LIMIT])
        words = Path(folder, "words")
        words.write_text(
            "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in corpus.words(*target.seeds()))
        )
        options = [f"-max_total_time={seconds:.0f}", f"-seed={seed}", f"-max_len={LIMIT}", f"-timeout={ONE_INPUT}"]
        quiet = ["-verbosity=0", "-print_final_stats=1", f"-dict={words}", f"-artifact_prefix={folder}/"]
        atheris.instrument_all()
        atheris.Setup([sys.argv[0], *options, *quiet, folder], lambda data: _try(name, bytes(data)))
        atheris.Fuzz()
    return 0


def _child(name: str, seconds: float, seed: int, *, plain: bool) -> int:
    way = guided if find_spec("atheris") and not plain else mutate
    try:
        print(f"{name}: {way(name, seconds, seed)} inputs")
    except Exception:
        traceback.print_exc(limit=-4)
        return 1
    return 0


def _run(name: str, seconds: float, seed: int, *, plain: bool) -> bool:
    """One target in a process of its own; True when it kept its promises."""
    words = [
        sys.executable,
        "-m",
        "tests.fuzz.run",
        "--child",
        "--minutes",
        str(seconds / 60),
        "--seed",
        str(seed),
        name,
    ]
    done = subprocess.run([*words, *(["--plain"] if plain else [])], capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    count = [line.split()[-1] for line in told.splitlines() if "number_of_executed_units" in line]
    line = f"{count[0]} inputs" if count else next((li for li in done.stdout.splitlines() if "inputs" in li), "")
    good = done.returncode == 0 and "a promise is broken" not in told and "more than" not in done.stdout
    print(f"{'ok    ' if good else 'BROKEN'} {name:16} {line.removeprefix(name + ': ')}", flush=True)
    if not good:
        print(told[-4000:], flush=True)
    return good


def main() -> int:
    """Runs the targets named, or all, one after the other."""
    parser = argparse.ArgumentParser(description="Fuzz what reads bytes of strangers.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", choices=[[], *TARGETS], help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="by mutation only, without coverage")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    if options.child:
        return _child(names[0], options.minutes * 60, options.seed, plain=options.plain)
    os.nice(10)
    seconds = options.minutes * 60 / len(names)
    broken = [name for name in names if not _run(name, seconds, options.seed, plain=options.plain)]
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
