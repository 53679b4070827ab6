"""A race for promise P14: ``python -m tests.soak.races --seconds 60``.

Knows: what an attacker on the same machine can do to a directory and to names in it. Must not know: how we defend. One
process swaps directories for links of a stranger as fast as it can, and plants links, FIFOs and files under the names
that come next; this one makes recordings there. Takes root, for links of a stranger.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import stat
import sys
import tempfile
import time
from pathlib import Path

from rawlog.recorder.directory import NotRecorded
from rawlog.recorder.naming import open_pair, stamped_stems

STRANGER = 65533


def attack(place: Path, secret: Path) -> None:
    """The attacker: swaps and plants until it is killed; counts its swaps in a file."""
    mine, link, switch, count = place / "mine", place / "link", place / "switch", 0
    counter = os.open(place / "count", os.O_WRONLY | os.O_CREAT)
    while True:
        mine.rename(switch)
        switch.rename(mine)
        link.rename(switch)
        switch.rename(link)
        count += 4
        os.pwrite(counter, b"%12d" % count, 0)
        if count % 400 == 0:
            _plant(mine, secret, count)


def _plant(mine: Path, secret: Path, count: int) -> None:
    """Names of the next second under the pid of the recorder, taken before it comes to them."""
    stem = time.strftime("%Y%m%d-%H%M%S", time.localtime(time.time() + 1)) + f".{os.getppid()}."
    for number in range(1, 4):
        with contextlib.suppress(OSError):
            name = mine / f"{stem}{count // 100 + number}.in"
            makers = (lambda n: n.symlink_to(secret / "file"), lambda n: os.link(secret / "file", n), os.mkfifo)
            makers[number % 3](name)


def race(seconds: float) -> int:
    """Makes recordings for so long; gives how many went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        secret = place / "secret"
        secret.mkdir()
        (secret / "file").write_text("untouched")
        (place / "mine").mkdir()
        (place / "link").symlink_to(secret)
        os.lchown(place / "link", STRANGER, STRANGER)
        attacker = os.fork()
        if attacker == 0:
            try:
                attack(place, secret)
            finally:
                os._exit(1)
        made, refused, modes = _record(place, seconds)
        os.kill(attacker, signal.SIGKILL)
        os.waitpid(attacker, 0)
        swaps = int((place / "count").read_text())
        foreign = len(list(secret.iterdir())) - 1 + ((secret / "file").read_text() != "untouched")
        print(
            f"{swaps} swaps, {made} recordings made, {refused} refused, {foreign} foreign writes, {modes} wrong modes"
        )
        return foreign + modes


def _record(place: Path, seconds: float) -> tuple[int, int, int]:
    """How many recordings were made, how many refused, and how many files were not as they must be."""
    made = refused = wrong = 0
    end = time.monotonic() + seconds
    stems = stamped_stems(time.time_ns() // 1000)
    while time.monotonic() < end:
        if made % 50 == 0:
            stems = stamped_stems(time.time_ns() // 1000)
        opened = open_pair(str(place / "switch"), stems)
        if isinstance(opened, NotRecorded):
            refused += 1
            continue
        made += 1
        for sink in opened.sinks.values():
            sink.write(b"recorded")
            status = os.fstat(sink.fd)
            wrong += stat.S_IMODE(status.st_mode) != 0o600 or status.st_nlink > 1 or status.st_size != 8
            sink.close()
    return made, refused, wrong


def main() -> int:
    """Runs the race under a umask that would let everybody in."""
    parser = argparse.ArgumentParser(description="Race for names in a directory.")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("making a link of a stranger takes root")
        return 2
    os.umask(0)
    return 1 if race(options.seconds) else 0


if __name__ == "__main__":
    sys.exit(main())
