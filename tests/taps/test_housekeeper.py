"""The housekeeper: what is too old or too much goes while others record; what it finds is published."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rawlog.engine.confine import NETWORK_VERSION, landlock_version
from rawlog.engine.tally import Tally
from rawlog.recorder.room import ASK_AGAIN, Totals, key_of, size_of
from rawlog.settings.loader import loads
from rawlog.taps.housekeeper import NAME, Housekeeper, Housekeeping
from tests.support.fakeserving import fake_serving, login, raw, talk
from tests.support.gateway import eventually
from tests.support.probes import CLOSED, EVERYTHING, Stage, own_state
from tests.support.serving import as_worker

OLD = 8 * 86400
WORK = ("read a recording", "remove a recording")


def put(directory: Path, number: int, age: float, size: int = 100) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"20261101-104500.77.{number}.in"
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - age,) * 2)
    return path


class House:
    """One that is called by hand, over ``raw/USER`` in a directory."""

    def __init__(self, directory: Path, text: str = "") -> None:
        self.told: list[str] = []
        self.totals = Totals()
        written = Tally(1, exact=False).take()
        assert written is not None
        self.written = written
        configuration = loads(f"rawlog_dir = {directory}/raw/%u\n{text}")
        self.house = Housekeeper(configuration, self.totals, written, self.told.append)

    def round(self) -> list[str]:
        self.house.round(time.time())
        return self.told


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    old, young = put(tmp_path / "raw/alice", 1, OLD), put(tmp_path / "raw/alice", 2, 100)
    other = tmp_path / "raw/alice/notes.txt"
    other.write_text("x")
    os.utime(other, (1, 1))
    house = House(tmp_path)
    assert house.round() == ["housekeeping: 1 recordings removed, 100 B"]
    assert [path.exists() for path in (old, young, other)] == [False, True, True]
    assert len(house.round()) == 1


def test_a_user_keeps_a_tenth_of_the_room_free(tmp_path: Path) -> None:
    mine = [put(tmp_path / "raw/alice", number, 1000 - number, 250) for number in range(4)]
    bobs = put(tmp_path / "raw/bob", 9, 5000, 250)
    House(tmp_path, "rawlog_max_user_size = 1000\n").round()
    assert [path.exists() for path in (*mine, bobs)] == [False, True, True, True, True]


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    path = put(tmp_path / "raw/alice", 1, OLD)
    house = House(tmp_path)
    with path.open("ab"):
        assert house.round() == []
    assert len(house.round()) == 1


def test_free_space_is_nothing_to_remove_recordings_for(tmp_path: Path) -> None:
    path = put(tmp_path / "raw/alice", 1, 1000)
    assert House(tmp_path, "rawlog_min_free_space = 100%\n").round() == []
    assert path.exists()


def test_what_is_left_is_published(tmp_path: Path) -> None:
    put(tmp_path / "raw/alice", 1, OLD, 4000)
    put(tmp_path / "raw/alice", 2, 1000, 30)
    put(tmp_path / "raw/bob", 3, 1000, 12)
    house = House(tmp_path)
    device = tmp_path.stat().st_dev
    house.written.add(key_of(device), 500)
    house.round()
    assert house.totals.of(device) == (42, 500)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do anything")
def test_what_can_not_be_removed_is_told_once(tmp_path: Path) -> None:
    path = put(tmp_path / "raw/alice", 1, OLD)
    path.parent.chmod(0o500)
    house = House(tmp_path)
    house.round()
    assert len(house.round()) == 1
    path.parent.chmod(0o700)


def test_without_a_place_to_count_there_are_no_rooms() -> None:
    house = Housekeeping(print)
    assert house.rooms(loads(""), None) is None
    assert house.rooms(loads(""), house.written.take()) is not None
    assert not house.ended(1)
    house.end()


def test_the_process_can_only_do_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path)
    reader, writer = os.pipe()

    def mad(self: Housekeeper, calls: object, alive: int) -> None:
        worked = stage.tried(EVERYTHING) if landlock_version() >= NETWORK_VERSION else list(WORK)
        os.write(writer, repr([worked, own_state()]).encode())

    monkeypatch.setattr(Housekeeper, "run", mad)
    house = Housekeeping(print)
    house.start(loads(f"rawlog_dir = {stage.raw}/%u\n"), 0, lambda: None)
    os.close(writer)
    with open(reader) as file:
        assert file.read() == repr([list(WORK), CLOSED])
    house.end()


# -- beside a real gateway --------------------------------------------------------------------------------------------


def test_it_works_beside_the_workers_and_comes_back_when_it_dies() -> None:
    with fake_serving("rawlog_dir = @DIRECTORY@/raw/%u\n", start=False) as gateway:
        old = put(raw(gateway) / "bob", 1, OLD)
        as_worker(old.parent)
        as_worker(old)
        gateway.start()
        eventually(lambda: not old.exists())
        talk(gateway)
        (pid,) = (pid for pid, name in gateway.children() if name == NAME)
        os.kill(pid, 9)
        gateway.await_log("housekeeping has ended; starting it again")
        old = put(raw(gateway) / "bob", 2, OLD)
        as_worker(old)
        eventually(lambda: not old.exists(), 30)
        assert len(list(raw(gateway).glob("bob/*.in"))) == 1


def test_a_writer_that_needs_room_gets_it_and_its_recording_has_no_gap() -> None:
    limits = "rawlog_dir = @DIRECTORY@/raw/%u\nrawlog_max_user_size = 2 M\nrawlog_workers = 1\n"
    with fake_serving(limits, start=False) as gateway:
        mine = raw(gateway) / "bob"
        for number in range(20):
            as_worker(put(mine, number, 1000 - number, 100 << 10))
        as_worker(mine)
        gateway.start()
        eventually(lambda: size_of(str(mine)) < 1_900_000)
        with login(gateway) as peer:
            for number in range(4):
                assert peer.command(b"e%d ECHO 20000" % number).endswith(b"OK done\r\n")
                eventually(lambda: peer.command(b"n NOOP") and size_of(str(mine)) < 1_900_000)
                time.sleep(ASK_AGAIN)
            assert peer.command(b"b LOGOUT").endswith(b"b OK bye\r\n")
        gateway.ends(1)
        assert "stops: limit" not in gateway.log()
        newest = max(mine.glob("*.out"), key=lambda path: path.stat().st_mtime)
        assert newest.stat().st_size > 250_000
        assert size_of(str(mine)) <= 2 << 20


def test_without_anything_to_remove_there_is_a_gap_and_mail_goes_on() -> None:
    limits = "rawlog_dir = @DIRECTORY@/raw/%u\nrawlog_max_user_size = 200 k\nrawlog_workers = 1\n"
    with fake_serving(limits, start=False) as gateway:
        mine = raw(gateway) / "bob"
        mine.mkdir()
        as_worker(mine)
        gateway.start()
        with login(gateway) as peer:
            for number in range(5):
                assert peer.command(b"e%d ECHO 100000" % number).endswith(b"OK done\r\n")
            assert peer.command(b"b LOGOUT").endswith(b"b OK bye\r\n")
        gateway.ends(1)
        assert "stops: limit of 204800 bytes of one user reached; the conversation goes on" in gateway.log()
        (out,) = mine.glob("*.out")
        assert out.stat().st_size <= 264 << 10
        assert b"not recorded from here on" in out.read_bytes()
