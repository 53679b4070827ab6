"""The scribe: files that have each byte once, after deaths and failures at any point."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rawlog.engine.ledger import SMALL, Journal, Ledger
from rawlog.engine.pipes import why_not
from rawlog.events import Chunk, Direction, Event
from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.limits import Limit
from rawlog.recorder.scribe import PIECES, Scribe
from rawlog.recorder.sinks import FileSink

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"no shared memory: {why_not()}")


class Plain:
    """A reader that lets everything through."""

    slow = False
    plain = True

    def chunk(self, at: int, direction: Direction, data: bytes) -> list[Event]:
        return [Chunk(at, direction, data)]

    def end(self, direction: Direction) -> list[Event]:
        return [Chunk(9, direction, b"the end\n")] if direction is Direction.OUT else []


class Hoarder(Plain):
    """A reader whose state grows beyond what can be kept."""

    plain = False

    def __init__(self) -> None:
        self.had = b""

    def chunk(self, at: int, direction: Direction, data: bytes) -> list[Event]:
        self.had += data * 1000
        return super().chunk(at, direction, data)


class Failing(FileSink):
    """A file on a disk that is full from some byte on."""

    room = 0

    def write(self, *pieces: bytes) -> None:
        data = b"".join(pieces)
        super().write(data[: self.room])
        if len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Desk:
    """A ledger with one conversation, its files, and scribes that follow each other."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.ledger = Ledger(1, smalls=1, larges=1)
        self.ledger.clear(0)
        self.time = 0.0
        self.reports: list[str] = []

    def scribe(
        self,
        kind: type[FileSink] = FileSink,
        reader: Plain | None = None,
        directions: tuple[Direction, ...] = (),
        limit: Limit | None = None,
    ) -> Scribe:
        """A new process, as it were."""
        files = {}
        for direction in directions or Direction:
            path = self.place / direction.value
            files[direction] = kind(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), str(path))
        flusher = Flusher(lambda seconds, callback: None, now=lambda: self.time)
        ledger = Ledger(1, os.dup(self.ledger.fd), smalls=1, larges=1)
        journal = Journal(ledger, 0)
        ledger.claim_areas({journal.area} if journal.area is not None else set())
        return Scribe(
            journal, files, PairEncoder(True), reader or Plain(), name="rawlog(u)", report=self.reports.append,
            flusher=flusher, now=lambda: 5_000_000, limit=limit,
        )  # fmt: skip

    def read(self, direction: Direction = Direction.IN) -> bytes:
        return (self.place / direction.value).read_bytes()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def put(scribe: Scribe, data: bytes, side: int = 0) -> None:
    room = scribe.journal.room()
    if room is None:
        scribe.journal.lose(side, len(data))
        return
    scribe.journal.begin(side)
    room[: len(data)] = data
    scribe.journal.commit(1_000_000, side, len(data))


def test_what_was_committed_is_written_by_whoever_comes(desk: Desk) -> None:
    first = desk.scribe()
    put(first, b"begun ")
    assert not first.flush()
    put(first, b"and ended\nnext")
    second = desk.scribe()
    assert not second.flush()
    assert desk.read() == b"1.000000 begun and ended\n1.000000 next"


@pytest.mark.parametrize("written", [0, 1, 9, 200])
def test_who_died_in_a_write_is_repaired(desk: Desk, written: int) -> None:
    first = desk.scribe()
    put(first, b"one\n")
    first.flush()
    put(first, b"two\n")
    with (desk.place / "in").open("ab") as file:
        file.write((b"1.000000 two\n" * 20)[:written])
    desk.scribe().flush()
    assert desk.read() == b"1.000000 one\n1.000000 two\n"


def test_a_file_that_somebody_cut_is_not_filled_up(desk: Desk) -> None:
    first = desk.scribe()
    put(first, b"one\n")
    first.flush()
    (desk.place / "in").write_bytes(b"")
    second = desk.scribe()
    put(second, b"two\n")
    second.flush()
    assert desk.read() == b"1.000000 two\n"


def test_long_journals_are_settled_in_steps(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first = desk.scribe()
    for number in range(PIECES + 5):
        put(first, b"%d\n" % number)
    settle, steps = first._settle, []

    def once(upto: int) -> None:
        assert not steps, "killed here"
        steps.append(upto)
        settle(upto)

    monkeypatch.setattr(first, "_settle", once)
    with pytest.raises(AssertionError, match="killed here"):
        first.flush()
    assert desk.read().count(b"\n") == PIECES
    desk.scribe().flush()
    assert desk.read() == b"".join(b"1.000000 %d\n" % number for number in range(PIECES + 5))


def test_a_full_disk_makes_a_gap_that_is_marked_and_told_once(desk: Desk) -> None:
    scribe = desk.scribe(Failing)
    put(scribe, b"x\n")
    assert scribe.flush()
    assert scribe.flush()
    assert desk.read() == b""
    while scribe.journal.room() is not None:
        put(scribe, b"y" * 1000 + b"\n" if SMALL - scribe.journal.used > 1100 else b"y\n"[:1])
    put(scribe, b"lost" * 5)
    Failing.room = 1 << 20
    desk.time = 100.0
    try:
        assert not scribe.flush()
    finally:
        Failing.room = 0
    assert desk.read().startswith(b"1.000000 x\n1.000000 y")
    assert b"[rawlog: 20 bytes not recorded from 1970-01-01T00:00:05" in desk.read()
    assert desk.read().endswith(b": No space left on device]\r\n")
    assert [report.split(";")[0] for report in desk.reports] == [
        f"rawlog(u): recording to {desk.place / 'in'} failed: No space left on device"
    ] or len(desk.reports) == 1


def test_the_end_is_written_once_and_what_can_not_be_is_told(desk: Desk) -> None:
    scribe = desk.scribe()
    put(scribe, b"bye\n")
    scribe.close(1, "over")
    desk.scribe().close(1, "over")
    assert desk.read() == b"1.000000 bye\n"
    assert desk.read(Direction.OUT) == b"0.000009 the end\n"
    other = Desk(desk.place / "..")
    failing = other.scribe(Failing)
    put(failing, b"never", side=1)
    failing.close(1, "over")
    assert "0 bytes of .in and 5 bytes of .out are not in the recording" in other.reports[-1]


def test_one_direction_only(desk: Desk) -> None:
    scribe = desk.scribe(directions=(Direction.OUT,))
    put(scribe, b"in\n")
    put(scribe, b"out\n", side=1)
    scribe.flush()
    assert not (desk.place / "in").exists()
    assert desk.read(Direction.OUT) == b"1.000000 out\n"


def test_a_limit_is_said_and_what_is_missing_at_the_end(desk: Desk) -> None:
    limit = Limit(10)
    scribe = desk.scribe(limit=limit)
    put(scribe, b"12345\n")
    put(scribe, b"67890\n")
    scribe.flush()
    scribe = desk.scribe(limit=Limit(10))
    put(scribe, b"abcdef", side=1)
    scribe.close(1, "over")
    assert desk.read() == (
        b"1.000000 12345\n5.000000 [rawlog: not recorded from here on: limit of 10 bytes reached]\r\n"
        b"5.000000 [rawlog: 6 bytes not recorded from 1970-01-01T00:00:01.000000Z to 1970-01-01T00:00:00.000009Z: "
        b"limit of 10 bytes reached]\r\n"
    )
    assert b"14 bytes not recorded" in desk.read(Direction.OUT)
    assert len(desk.reports) == 1


def test_a_stop_is_said_in_the_files_and_leaves_nothing_waiting(desk: Desk) -> None:
    scribe = desk.scribe()
    put(scribe, b"half a line")
    scribe.flush()
    put(scribe, b"poison")
    scribe.stop("it hurts")
    assert desk.read() == b"1.000000 half a line\r\n5.000000 [rawlog: not recorded from here on: it hurts]\r\n"
    assert desk.scribe().journal.used == 0


def test_a_state_too_long_to_keep_is_known_to_the_successor(desk: Desk) -> None:
    first = desk.scribe(reader=Hoarder())
    put(first, b"x" * 2000)
    first.flush()
    assert not first.lapsed
    assert desk.scribe().lapsed
