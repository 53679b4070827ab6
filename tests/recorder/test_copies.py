"""Copies have the form of the originals, are private, and never replace anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.formats.base import Encoder
from rawlog.formats.combined import CombinedEncoder
from rawlog.formats.dovecot import PairEncoder
from rawlog.formats.native import NativeEncoder
from rawlog.reading.opener import open_paths, open_recording
from rawlog.recorder.copies import form_of, with_header, write_copy

IN, OUT = Direction.IN, Direction.OUT
STEM = "20261122-104500.77.1"
EVENTS: list[Event] = [
    Mark(1, "opened", {"server": "x"}),
    Chunk(2_000_001, OUT, b"* OK ready\r\n* more"),
    Chunk(3_000_002, IN, b"a NOOP\r\n"),
    Chunk(4_000_003, OUT, b" text\r\na OK\r\n"),
    Mark(5_000_000, "closed", {"reason": "client"}),
]


def written(directory: Path, name: str, encoder: Encoder, directions: tuple[Direction, ...] = (IN, OUT)) -> None:
    """Writes EVENTS into files of one form."""
    for event in EVENTS:
        direction = IN if isinstance(event, Mark) else event.direction
        data = encoder.mark(event) if isinstance(event, Mark) else encoder.chunk(event.at, direction, event.data)
        if data and direction in directions:
            with (directory / (name if encoder.single else f"{name}.{direction.value}")).open("ab") as file:
                file.write(data)


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        (STEM, PairEncoder(False)),
        (STEM, PairEncoder(True)),
        (STEM, PairEncoder(False, True)),
        (STEM, PairEncoder(True, True)),
        ("dovecot.tcp", CombinedEncoder()),
        ("x.rawlog", NativeEncoder({"protocol": "imap", "name": "alice"})),
    ],
)
def test_a_copy_of_what_was_not_changed_is_the_same(tmp_path: Path, name: str, encoder: Encoder) -> None:
    out = tmp_path / "out"
    out.mkdir()
    written(tmp_path, name, encoder)
    (recording,) = open_paths([tmp_path])
    paths = write_copy(recording, form_of(recording), str(out), Path(recording.name).name)
    assert sorted(Path(path).name for path in paths) == sorted(p.name for p in tmp_path.iterdir() if p.is_file())
    for path in paths:
        assert Path(path).read_bytes() == (tmp_path / Path(path).name).read_bytes()


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("name", ["{}.in", "{}.out", "strange"])
def test_one_half_alone(tmp_path: Path, direction: Direction, name: str) -> None:
    half = tmp_path / f"{STEM}.{direction.value}"
    written(tmp_path, STEM, PairEncoder(True), (direction,))
    if name == "strange":
        half = half.rename(tmp_path / "strange")
    recording = open_recording(half)
    (tmp_path / "out").mkdir()
    (path,) = write_copy(recording, form_of(recording), str(tmp_path / "out"), half.name)
    assert Path(path).read_bytes() == half.read_bytes()


def test_empty_files_stay_empty(tmp_path: Path) -> None:
    (tmp_path / f"{STEM}.in").touch()
    (tmp_path / f"{STEM}.out").touch()
    (tmp_path / "out").mkdir()
    recording = open_recording(tmp_path / STEM)
    for path in write_copy(recording, form_of(recording), str(tmp_path / "out"), STEM):
        assert Path(path).read_bytes() == b""


def test_files_are_private_under_any_umask(tmp_path: Path) -> None:
    written(tmp_path, "x.rawlog", NativeEncoder({}))
    recording = open_recording(tmp_path / "x.rawlog")
    before = os.umask(0o777)
    try:
        (path,) = write_copy(recording, form_of(recording), str(tmp_path), "y.rawlog")
    finally:
        os.umask(before)
    assert Path(path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("taken", [".in", ".out"])
def test_nothing_is_written_over(tmp_path: Path, taken: str) -> None:
    written(tmp_path, STEM, PairEncoder(True))
    recording = open_recording(tmp_path / f"{STEM}.in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"{STEM}{taken}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RawlogError, match="exists already"):
        write_copy(recording, form_of(recording), str(tmp_path / "out"), STEM)
    assert [p.name for p in (tmp_path / "out").iterdir()] == [f"{STEM}{taken}"]
    assert not (tmp_path / "elsewhere").exists()


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    written(tmp_path, STEM, PairEncoder(True))
    recording = open_recording(tmp_path / f"{STEM}.in")

    def failing():  # type: ignore[no-untyped-def]
        yield EVENTS[1]
        raise RawlogError("damaged")

    (tmp_path / "out").mkdir()
    with pytest.raises(RawlogError, match="damaged"):
        write_copy(recording._replace(events=failing()), form_of(recording), str(tmp_path / "out"), STEM)
    assert list((tmp_path / "out").iterdir()) == []


def test_another_first_line(tmp_path: Path) -> None:
    written(tmp_path, "x.rawlog", NativeEncoder({"name": "alice"}))
    recording = open_recording(tmp_path / "x.rawlog")
    form = with_header(form_of(recording), {"name": "bob"})
    (path,) = write_copy(recording, form, str(tmp_path), "y.rawlog")
    assert Path(path).read_bytes().startswith(b'rawlog 1 {"name": "bob"}\n')


def test_standard_input_has_no_name() -> None:
    with pytest.raises(RawlogError, match="save it to a file"):
        form_of(Recording("standard input", EVENTS))
