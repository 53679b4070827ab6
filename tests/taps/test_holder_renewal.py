"""New code takes over conversations that go on, or is refused; the package on the disk is a copy that is edited."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.engine.pipes import why_not
from rawlog.events import Direction
from rawlog.taps import holder_renewal
from tests.support.unbreakable import Held, House, Killer, Stream, lines

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"rawlog_relay = unbreakable: {why_not()}")

PATIENCE = 40
KILLED = "the code on the disk ended with -9 when it was tried out"


class Installed:
    """A house whose code on the disk can be changed."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.package = place / "site" / "rawlog"
        shutil.copytree(Path(holder_renewal.__file__).parents[1], self.package)
        monkeypatch.setattr(holder_renewal, "_HOME", str(self.package.parent))
        self.house = House(place)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.package / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def new_code(self, name: str) -> None:
        """From now on a worker says who it is."""
        self.edit("taps/unbreakable_worker.py", "        gc.freeze()\n", f'        gc.freeze(); report("{name}")\n')

    def wait_for(self, sentence: str, count: int = 1) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.house.reports.count(sentence) < count:
            assert time.monotonic() < deadline, self.house.reports
            time.sleep(0.005)

    def renew_under_fire(self) -> None:
        """The same where a killer takes the code that is tried out for a worker now and then."""
        before = self.house.reports.count("new code")
        deadline = time.monotonic() + PATIENCE
        while self.house.reports.count("new code") == before:
            self.house.front.send(b"R")
            time.sleep(0.3)
            assert time.monotonic() < deadline, self.house.reports

    def end(self, held: Held) -> None:
        held.client.close()
        held.server.close()
        self.house.wait_ended(held)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    installed = Installed(tmp_path, monkeypatch)
    yield installed
    installed.house.close()


def say(held: Held, data: bytes) -> None:
    held.client.sendall(data)
    assert held.server.recv(1000) == data
    held.server.sendall(b"OK\r\n")
    assert held.client.recv(1000) == b"OK\r\n"


def test_the_code_on_the_disk_goes_on_with_old_conversations(installed: Installed) -> None:
    house = installed.house
    held, other = house.open(stamps=True), house.open()
    say(held, b"old\r\n")
    installed.new_code("the second code")
    house.front.send(b"R")
    installed.wait_for("the second code")
    say(held, b"new\r\n")
    installed.edit("taps/unbreakable_worker.py", "the second code", "the third code")
    os.kill(house.pid, signal.SIGHUP)
    installed.wait_for("the third code")
    say(held, b"newer\r\n")
    third = house.open()
    say(third, b"born later\r\n")
    for each in (held, other, third):
        installed.end(each)
    assert [line[18:] for line in held.recorded(Direction.IN).splitlines()] == [b"old", b"new", b"newer"]
    assert third.recorded(Direction.IN) == b"born later\r\n"
    assert house.reports == "the second code\nthe third code\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("taps/holder.py", "class Holder:", "class Holder", "SyntaxError"),
        ("taps/holder_process.py", "def again()", "def no_more()", "cannot import name 'again'"),
        ("taps/unbreakable_place.py", "VERSION = ", "VERSION = 1", "the code on the disk speaks version 1"),
        ("formats/dovecot.py", "class PairEncoder:", "class Pair:", "PairEncoder"),
    ],
    ids=["broken", "begins otherwise", "version", "incomplete"],
)
def test_code_that_can_not_go_on_is_refused_and_the_old_one_stays(
    installed: Installed, file: str, old: str, new: str, told: str
) -> None:
    house = installed.house
    held = house.open()
    say(held, b"before\r\n")
    worker = house.worker
    installed.edit(file, old, new)
    house.front.send(b"R")
    installed.wait_for("conversations go on with the old code: ")
    say(held, b"after\r\n")
    assert house.worker == worker
    assert house.reports.count("\n") == 1
    assert told in house.reports
    installed.edit(file, new, old)  # repaired: it is taken the next time
    installed.new_code("the second code")
    house.front.send(b"R")
    installed.wait_for("the second code")
    say(held, b"at last\r\n")
    installed.end(held)
    assert held.recorded(Direction.IN) == b"before\r\nafter\r\nat last\r\n"


def test_a_package_that_is_gone_is_refused(installed: Installed) -> None:
    held = installed.house.open()
    installed.package.rename(installed.package.with_name("elsewhere"))
    installed.house.front.send(b"R")
    installed.wait_for("conversations go on with the old code: ModuleNotFoundError: No module named 'rawlog'")
    say(held, b"x\r\n")
    installed.end(held)


def test_nothing_is_lost_while_code_is_renewed_and_workers_are_killed(installed: Installed) -> None:
    house = installed.house
    killer = Killer(house, seed=8, pause=0.05)
    held = [house.open(stamps=stamps, tcp=stamps) for stamps in (False, True)]
    data = [lines(20_000_000, seed) for seed in range(4)]
    streams = [
        Stream(source, target, data[number], seed=number)
        for number, (source, target) in enumerate(
            pair for each in held for pair in ((each.client, each.server), (each.server, each.client))
        )
    ]
    for stream in streams:
        stream.start()
    killer.start()
    installed.new_code("new code")
    for _ in range(4):
        installed.renew_under_fire()
        say(fresh := house.open(), b"meanwhile\r\n")
        installed.end(fresh)
    killer.stop()
    for stream, wanted in zip(streams, data, strict=True):
        stream.join(PATIENCE)
        assert stream.got == wanted
    for each in held:
        house.wait_ended(each)
    assert held[0].recorded(Direction.IN) == data[0]
    assert held[0].recorded(Direction.OUT) == data[1]
    assert all("new code" in line or KILLED in line for line in house.reports.splitlines())
    assert killer.kills > 10


def test_a_renewed_holder_outlives_its_service_and_its_workers(installed: Installed) -> None:
    house = installed.house
    held = house.open()
    installed.new_code("new code")
    house.front.send(b"R")
    installed.wait_for("new code")
    house.front.shutdown(2)
    say(held, b"x\r\n")
    worker = house.worker
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    installed.wait_for("new code", 2)
    say(held, b"y\r\n")
    held.client.close()
    held.server.close()
    house.close()
    assert held.recorded(Direction.IN) == b"x\r\ny\r\n"
