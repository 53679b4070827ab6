"""Any stretch of one side, whatever the format, wherever it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.events import Chunk, Direction
from rawlog.formats.base import Encoder
from rawlog.formats.combined import CombinedEncoder
from rawlog.formats.dovecot import PairEncoder
from rawlog.formats.native import NativeEncoder
from rawlog.reading import follow_recording, stretches
from rawlog.reading.follow_recording import GrowingRecording
from rawlog.reading.stretches import Stretches, files_of, is_sealed_recording
from rawlog.reading.unseal import forget_identities, identify
from tests.support.sealing import identity_file, sealed_sink
from tests.support.viewing import NAME, talk, write

IN, OUT = Direction.IN, Direction.OUT
LINES = [b"%d %b\r\n" % (number, b"x" * (number % 90)) for number in range(400)]
TEXT = b"".join(LINES)


def encoders() -> list[tuple[str, Encoder]]:
    return [
        (NAME.format(1), PairEncoder(stamps=True)),
        (NAME.format(2), PairEncoder(stamps=False)),
        (NAME.format(3), PairEncoder(stamps=True, boundaries=True)),
        ("four.rawlog", NativeEncoder({})),
        ("five.rawlog", CombinedEncoder()),
    ]


@pytest.mark.parametrize(("name", "encoder"), encoders(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_stretch_in_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, encoder: Encoder
) -> None:
    monkeypatch.setattr(stretches, "GRAIN", 2000)
    monkeypatch.setattr(stretches, "PIECE_SIZE", 500)
    said = [(direction, line) for line in LINES for direction in Direction]
    path = write(tmp_path / name, talk(*said), encoder)
    found = Stretches(str(path))
    for start, end in ((0, 10), (len(TEXT) - 5, len(TEXT)), (7000, 7300), (100, 9000), (0, len(TEXT)), (50, 50)):
        for direction in Direction:
            chunks = list(found.read(direction, start, end))
            assert b"".join(chunk.data for chunk in chunks) == TEXT[start:end]
            assert all(chunk.direction is direction for chunk in chunks)


def test_the_second_time_reading_begins_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "GRAIN", 2000)
    monkeypatch.setattr(stretches, "PIECE_SIZE", 500)
    path = write(tmp_path / NAME.format(1), talk(*((OUT, line) for line in LINES)))
    found = Stretches(str(path))
    list(found.read(OUT, len(TEXT) - 10, len(TEXT)))
    read = []
    monkeypatch.setattr(stretches, "deepcopy", lambda decoder: read.append(decoder) or decoder)
    assert b"".join(chunk.data for chunk in found.read(OUT, len(TEXT) - 10, len(TEXT))) == TEXT[-10:]
    assert len(read) < 4


def test_who_reads_it_anyway_spares_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "GRAIN", 2000)
    monkeypatch.setattr(follow_recording, "READ_LIMIT", 2500)
    said = [(direction, line) for line in LINES for direction in Direction]
    path = write(tmp_path / NAME.format(1), talk(*said))
    found = Stretches(str(path))
    growing, files = GrowingRecording(found.note), files_of(str(path))
    for file in files:
        file.seen = Path(file.path).stat().st_size
    assert sum(len(event.data) for event in growing.begin(files) if isinstance(event, Chunk)) == 2 * len(TEXT)
    read = []
    monkeypatch.setattr(stretches, "_cut", lambda events, *place: read.append(len(events)) or iter(()))
    list(found.read(OUT, len(TEXT) - 10, len(TEXT)))
    assert sum(read) < len(LINES) / 4
    monkeypatch.undo()
    for direction in Direction:
        assert b"".join(chunk.data for chunk in found.read(direction, 300, len(TEXT))) == TEXT[300:]


def test_times_are_those_of_the_bytes(tmp_path: Path) -> None:
    events = talk((OUT, b"one\r\n"), (IN, b"two\r\n"), (OUT, b"three\r\n"))
    path = write(tmp_path / "one.rawlog", events)
    times = [event.at for event in events]
    assert [chunk.at for chunk in Stretches(str(path)).read(OUT, 2, 7)] == [times[0], times[2]]


def test_what_was_added_is_there(tmp_path: Path) -> None:
    encoder = NativeEncoder({})
    path = write(tmp_path / "one.rawlog", talk((OUT, b"one\r\n")), encoder)
    found = Stretches(str(path))
    assert b"".join(chunk.data for chunk in found.read(OUT, 0, 100)) == b"one\r\n"
    write(path, talk((OUT, b"two\r\n")), encoder)
    assert b"".join(chunk.data for chunk in found.read(OUT, 3, 100)) == b"\r\ntwo\r\n"


def test_files_of_a_recording(tmp_path: Path) -> None:
    for name in ("a.rawlog", f"{NAME.format(1)}.in", f"{NAME.format(1)}.out", "talk.in"):
        (tmp_path / name).touch()
    halves = files_of(str(tmp_path / NAME.format(1)))
    assert [file.half for file in halves] == [IN, OUT]
    assert [file.half for file in files_of(str(tmp_path / "a.rawlog"))] == [None]
    assert [file.half for file in files_of(str(tmp_path / "talk.in"))] == [IN]
    assert [file.half for file in files_of(str(tmp_path / "talk"))] == [IN]
    assert files_of(str(tmp_path / "nothing")) == []
    (tmp_path / f"{NAME.format(2)}.in.age").touch()
    assert [file.half for file in files_of(str(tmp_path / NAME.format(2)))] == [IN]
    assert not is_sealed_recording(str(tmp_path / NAME.format(1)))


def test_what_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\0\1\2")
    with pytest.raises(RawlogError, match="not a recording"):
        list(Stretches(str(tmp_path / "x")).read(IN, 0, 5))


def test_what_is_sealed_is_read_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "one.rawlog.age"
    sink, encoder = sealed_sink(path), NativeEncoder({})
    for event in talk((OUT, b"one\r\n"), (IN, b"two\r\n"), (OUT, b"three\r\n")):
        sink.write(encoder.chunk(event.at, event.direction, event.data))
    sink.close()
    assert is_sealed_recording(str(path))
    found = Stretches(str(path))
    with pytest.raises(RawlogError, match="is sealed"):
        list(found.read(OUT, 0, 5))
    identify(identity_file(tmp_path))
    try:
        for _ in range(2):
            assert b"".join(chunk.data for chunk in found.read(OUT, 3, 8)) == b"\r\nthr"
    finally:
        forget_identities()


def test_cut_counts_what_is_not_wanted_too() -> None:
    given = dict.fromkeys(Direction, 0)
    events = [Chunk(1, IN, b"abc"), Chunk(2, OUT, b"defg"), Chunk(3, OUT, b"hi")]
    assert [chunk.data for chunk in stretches._cut(events, given, OUT, 1, 5)] == [b"efg", b"h"]
    assert given == {IN: 3, OUT: 6}
