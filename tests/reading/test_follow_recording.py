"""One recording while it grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.events import Chunk, Direction, Event
from rawlog.reading.follow_recording import SETTLE, GrowingFile, GrowingRecording, NotARecordingError

IN, OUT = Direction.IN, Direction.OUT
SECOND = 1_000_000


class Pair:
    """A pair of files that grow, and what is read of them."""

    def __init__(self, directory: Path) -> None:
        self.files = {half: GrowingFile(str(directory / f"20261122-104500.1.1.{half.value}")) for half in Direction}
        self.recording = GrowingRecording()

    def write(self, half: Direction, text: bytes) -> None:
        with open(self.files[half].path, "ab") as file:
            file.write(text)

    def take(self, half: Direction) -> list[Event]:
        return list(self.recording.take(self.files[half]))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def texts(events: list[Event]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, Chunk)]


def test_what_may_be_preceded_waits(pair: Pair) -> None:
    pair.write(OUT, b"2.000000 answer\n")
    assert pair.take(OUT) == []
    assert list(pair.recording.settled(2 * SECOND + SETTLE - 1)) == []
    pair.write(IN, b"1.500000 command\n2.500000 next\n")
    assert pair.take(IN) == []
    assert texts(list(pair.recording.settled(2 * SECOND + SETTLE - 1))) == [b"command\n", b"answer\n"]
    assert texts(list(pair.recording.settled(2_500_000 + SETTLE))) == [b"next\n"]
    assert list(pair.recording.settled(None)) == []


def test_when_all_is_over_nothing_waits(pair: Pair) -> None:
    pair.write(IN, b"9.000000 a\n")
    pair.take(IN)
    assert texts(list(pair.recording.settled(None))) == [b"a\n"]


def test_without_stamps_nothing_waits(pair: Pair) -> None:
    pair.write(IN, b"a NOOP\r\n")
    assert texts(pair.take(IN)) == [b"a NOOP\r\n"]
    pair.write(IN, b"b NO")
    assert texts(pair.take(IN)) == [b"b NO"]
    assert pair.take(IN) == []


def test_what_was_there_comes_first_and_in_order(pair: Pair) -> None:
    pair.write(IN, b"1.000000 a\n3.000000 c\n")
    pair.write(OUT, b"2.000000 b\n")
    for half in Direction:
        pair.files[half].seen = Path(pair.files[half].path).stat().st_size
    pair.write(OUT, b"4.000000 d\n")
    assert texts(list(pair.recording.begin(list(pair.files.values())))) == [b"a\n", b"b\n", b"c\n"]
    pair.take(OUT)
    assert texts(list(pair.recording.settled(None))) == [b"d\n"]


def test_a_file_that_was_cut_gives_nothing(pair: Pair) -> None:
    pair.write(IN, b"1.000000 a\n")
    pair.files[IN].seen = 5000
    assert texts(list(pair.recording.begin([pair.files[IN]]))) == [b"a\n"]


def test_a_native_and_a_combined_file(tmp_path: Path) -> None:
    native = GrowingFile(str(tmp_path / "a.rawlog"))
    Path(native.path).write_bytes(b"rawlog 1 {}\n1.000000 in 3\nab\n\n2.000000 mark closed {}\n")
    assert len(list(GrowingRecording().take(native))) == 2
    combined = GrowingFile(str(tmp_path / "b"))
    Path(combined.path).write_bytes(b"1.000000 I: a\n1.000000 O: b\n")
    assert texts(list(GrowingRecording().take(combined))) == [b"a\n", b"b\n"]


def test_what_is_no_recording(tmp_path: Path) -> None:
    other = GrowingFile(str(tmp_path / "notes.txt"))
    Path(other.path).write_text("hello")
    with pytest.raises(NotARecordingError):
        list(GrowingRecording().take(other))
