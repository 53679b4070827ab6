"""Room for recordings: no limit is passed by more than a portion, whoever writes; what is freed is found again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rawlog.engine.tally import Share, Tally
from rawlog.events import Direction
from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.limits import Limit
from rawlog.recorder.naming import Opened, open_pair, stamped_stems
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.room import ASK_AGAIN, DEVICES, PORTION, Room, RoomLimit, Rooms, Totals, key_of, size_of
from rawlog.recorder.sinks import MemorySink
from rawlog.settings.values import Space

IN = Direction.IN
OVERSHOOT = 64 << 10  # security.md P20, for each conversation


def forked(what: Callable[[], bool]) -> int:
    """A process that ends with 0 when ``what`` is true there."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = 0 if what() else 2
        finally:
            os._exit(code)
    return pid


class Place:
    """A directory that exists in numbers only."""

    def __init__(self, most: int, written: Share) -> None:
        self.size = self.time = 0
        self.written = written
        self.calls = self.looks = 0
        self.room = Room("one user", most, b"alice", written, self._measure, self._call, clock=lambda: self.time)

    def _measure(self) -> tuple[int, int]:
        self.looks += 1
        return self.size, self.written.total(b"alice")

    def _call(self) -> None:
        self.calls += 1


def share(whole: Tally) -> Share:
    taken = whole.take()
    assert taken is not None
    return taken


def test_room_is_taken_until_there_is_none() -> None:
    place = Place(1000, share(Tally(1)))
    assert [place.room.take(400) for _ in range(3)] == ["", "", "limit of 1000 bytes of one user reached"]
    assert place.room.take(200) == ""


def test_what_others_write_counts() -> None:
    whole = Tally(2, exact=False)
    one, two = Place(1000, share(whole)), Place(1000, share(whole))
    assert one.room.take(900) == ""
    assert two.room.take(200).startswith("limit of 1000 bytes")


def test_it_is_measured_again_before_anybody_is_refused_but_not_all_the_time() -> None:
    place = Place(1000, share(Tally(1)))
    assert place.room.take(800) == ""
    place.size = 100  # the others are gone
    assert place.room.take(300) != ""
    assert place.looks == 1
    place.time += ASK_AGAIN
    assert place.room.take(300) == ""
    assert place.looks == 2
    assert place.calls == 1


def test_the_housekeeper_is_called_before_there_is_none_left() -> None:
    place = Place(1000, share(Tally(1)))
    assert place.room.take(850) == ""
    place.size, place.time = 850, ASK_AGAIN
    assert [place.room.take(size) for size in (60, 50)] == ["", ""]
    assert place.calls == 1
    place.size, place.time = 960, 2 * ASK_AGAIN
    assert place.room.take(20) == ""
    assert place.calls == 2


def test_a_recording_takes_portions_up_to_the_limit() -> None:
    most = 4 * PORTION
    place = Place(most, share(Tally(1)))
    sink = MemorySink()
    limit, recorded = RoomLimit(Limit(0), [place.room], [sink]), 0  # type: ignore[list-item]
    while not (why := limit.reached(recorded, 100)):
        recorded += 100
        sink.write(b"x" * 100)
        assert place.written.total(b"alice") % PORTION == 0
    assert why == f"limit of {most} bytes of one user reached"
    assert place.written.total(b"alice") == most
    assert most - 200 <= recorded <= most


def test_while_there_is_no_room_a_recording_does_not_go_on() -> None:
    place = Place(PORTION, share(Tally(1)))
    limit = RoomLimit(Limit(0), [place.room], [])
    place.size, place.time = 2 * PORTION, ASK_AGAIN
    reason = f"limit of {PORTION} bytes of one user reached"
    assert [limit.reached(0, size) for size in (1, 0, 1, 0)] == [reason] * 4
    place.size, place.time = 0, 2 * ASK_AGAIN
    assert [limit.reached(0, size) for size in (0, 1)] == ["", ""]


def test_the_limit_of_the_recording_itself_holds_too() -> None:
    place = Place(1 << 20, share(Tally(1)))
    assert RoomLimit(Limit(100), [place.room], []).reached(90, 20) == "limit of 100 bytes reached"


# -- what the files take ----------------------------------------------------------------------------------------------


def test_only_recordings_are_measured(tmp_path: Path) -> None:
    for name, size in (("20261122-104500.77.1.in", 10), ("20261122-104500.77.1.out", 5), ("notes.txt", 100)):
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "20261122-104500.77.2.in").symlink_to(tmp_path / "notes.txt")
    assert size_of(str(tmp_path)) == 15
    assert size_of(str(tmp_path / "no")) == 0


def test_what_the_housekeeper_found_is_seen_by_who_was_forked() -> None:
    totals = Totals()
    read, write = os.pipe()
    pid = forked(lambda: bool(os.read(read, 1)) and totals.of(77) == (123456789012, 5))
    totals.publish(77, (1, 1))
    totals.publish(78, (2, 2))
    totals.publish(77, (123456789012, 5))
    os.write(write, b"x")
    assert os.waitpid(pid, 0)[1] == 0
    assert totals.of(79) == (0, 0)
    for device in range(1, DEVICES * 2):
        totals.publish(device, (device, 0))
    assert totals.of(77) == (123456789012, 5)


# -- real files -------------------------------------------------------------------------------------------------------


@contextmanager
def recorders(directory: Path, rooms: Rooms, count: int, told: list[str]) -> Iterator[list[Recorder]]:
    made = []
    flusher = Flusher(lambda seconds, callback: None)
    for _ in range(count):
        opened = open_pair(str(directory), stamped_stems(1795385217427810))
        assert isinstance(opened, Opened)
        limit = rooms.limit(Limit(0), opened.path, opened.sinks, own=True)
        made.append(
            Recorder(
                PairEncoder(stamps=False), opened.sinks, name="r", report=told.append, flusher=flusher, limit=limit
            )
        )
    yield made
    for recorder in made:
        recorder.close(1, "over")


def written_by(directory: Path, rooms: Rooms, count: int, size: int) -> list[str]:
    """Recorders in turn, each as fast as it can."""
    told: list[str] = []
    with recorders(directory, rooms, count, told) as made:
        for _ in range(size // 4096):
            for recorder in made:
                recorder.chunk(1, IN, b"x" * 4094 + b"\r\n")
    return told


@pytest.mark.parametrize("what", ["user", "total"])
def test_two_hundred_racing_writers_keep_the_limit(what: str, tmp_path: Path) -> None:
    most, processes, each = 8 << 20, 4, 50
    written, totals = Tally(processes + 1, exact=False), Totals()
    device = tmp_path.stat().st_dev
    totals.publish(device, (0, 0))
    children = []

    def told_in_time(mine: Share) -> bool:
        limits = (most, Space()) if what == "user" else (None, Space(size=most))
        told = written_by(tmp_path, Rooms(*limits, mine, totals, lambda: None), each, 256 << 10)
        words = "one user" if what == "user" else "all recordings"
        return any(f"limit of {most} bytes of {words} reached" in line for line in told)

    for _ in range(processes):
        mine = share(written)
        children.append(forked(lambda mine=mine: told_in_time(mine)))  # type: ignore[misc]
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * processes
    assert most // 2 < size_of(str(tmp_path)) <= most + processes * each * OVERSHOOT
    if what == "total":
        assert share(written).total(key_of(device)) > most // 2


def test_a_directory_for_everybody_has_no_limit_of_a_user(tmp_path: Path) -> None:
    opened = open_pair(str(tmp_path), stamped_stems(1795385217427810))
    assert isinstance(opened, Opened)
    rooms = Rooms(10, Space(), share(Tally(1)), Totals(), lambda: None)
    base = Limit(0)
    assert rooms.limit(base, opened.path, opened.sinks, own=False) is base
    assert rooms.limit(base, opened.path, opened.sinks, own=True).reached(0, 100) != ""
    for sink in opened.sinks.values():
        sink.close()
    rooms = Rooms(10, Space(size=10), share(Tally(1)), Totals(), lambda: None)
    assert rooms.limit(base, opened.path, opened.sinks, own=False) is base  # the files are closed


def test_recordings_in_one_place_share_its_room(tmp_path: Path) -> None:
    rooms = Rooms(100_000, Space(), share(Tally(1)), Totals(), lambda: None)
    told: list[str] = []
    with recorders(tmp_path, rooms, 2, told) as (one, two):
        for _ in range(8):
            one.chunk(1, IN, b"x" * 10_000)
        two.chunk(1, IN, b"x" * 50_000)
        assert not two.healthy
        assert one.healthy
    assert f"recording to {two._tracks[0].name} stops: limit of 100000 bytes of one user reached" in told[0]
    assert (
        b"not recorded from here on: limit of"
        in next(path for path in sorted(tmp_path.glob("*.in")) if path.stat().st_size < 1000).read_bytes()
    )
