"""One call opens whatever was recorded; what can't be opened says why."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.errors import FormatError, RawlogError
from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.formats.combined import CombinedEncoder
from rawlog.formats.dovecot import PairEncoder
from rawlog.formats.native import NativeEncoder
from rawlog.reading.opener import open_paths, open_recording
from tests.support import golden

IN, OUT = Direction.IN, Direction.OUT
T = 1795385217000000
BASIC = golden.FOLDER / "imap_rawlog_dir_basic/20261122-220657.3831.1"
PLAIN = golden.FOLDER / "postlogin_rawlog_plain/20261122-221430-7832"


def side(recording: Recording, direction: Direction) -> bytes:
    events = recording.events
    return b"".join(event.data for event in events if isinstance(event, Chunk) and event.direction is direction)


# -- pairs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".in", ".out", ""])
def test_half_of_a_pair_or_its_stem_means_the_pair(ending: str) -> None:
    recording = open_recording(f"{BASIC}{ending}")
    assert (recording.name, recording.protocol, recording.timed) == (str(BASIC), "imap", True)
    assert side(recording, IN) == golden.without_stamps(BASIC.with_suffix(".1.in").read_bytes())
    assert side(recording, OUT) == golden.without_stamps(BASIC.with_suffix(".1.out").read_bytes())


def test_two_halves_with_stamps_become_one_timeline() -> None:
    lines = [(event.direction, event.data[:7]) for event in open_recording(BASIC).events if isinstance(event, Chunk)]
    assert lines[:7] == [
        (OUT, b"* CAPAB"),
        (IN, b"a2 NOOP"),
        (OUT, b"a2 OK N"),
        (IN, b"a3 SELE"),
        (OUT, b"* FLAGS"),
        (OUT, b"* OK [P"),
        (OUT, b"* 0 EXI"),
    ]
    times = [event.at or 0 for event in open_recording(BASIC).events]
    assert times == sorted(times)


def test_at_equal_stamps_in_comes_first(tmp_path: Path) -> None:
    (tmp_path / "a.in").write_bytes(b"1795385217.000001 a\n1795385217.000001 b\n")
    (tmp_path / "a.out").write_bytes(b"1795385217.000001 x\n1795385217.000000 y\n")
    assert [event.data for event in open_recording(tmp_path / "a.in").events if isinstance(event, Chunk)] == [
        b"a\nb\n",
        b"x\n",
        b"y\n",
    ]


def test_without_stamps_in_comes_before_out() -> None:
    recording = open_recording(PLAIN)
    assert not recording.timed
    assert [(event.at, event.direction) for event in recording.events if isinstance(event, Chunk)] == [
        (None, IN),
        (None, OUT),
    ]


def test_one_half_alone_is_a_recording() -> None:
    path = golden.FOLDER / "postlogin_rawlog_foutt/20261122-221454-10937.out"
    recording = open_recording(path)
    assert (recording.name, recording.protocol) == (str(path), "imap")
    assert side(recording, OUT) == golden.without_stamps(path.read_bytes())
    assert side(recording, IN) == b""


def test_empty_halves_are_a_recording_without_events() -> None:
    recording = open_recording(golden.FOLDER / "disk_full/20261122-221113.30929.1.in")
    assert list(recording.events) == []
    assert recording.protocol is None


def test_boundaries_are_kept() -> None:
    recording = open_recording(golden.FOLDER / "postlogin_rawlog_b/20261122-221437-8440.in")
    reads = [event.data for event in recording.events if isinstance(event, Chunk) and event.direction is IN]
    assert reads == golden.texts("postlogin_rawlog_b", "C")


def test_events_can_be_taken_again() -> None:
    recording = open_recording(BASIC)
    assert list(recording.events) == list(recording.events) != []


# -- single files ------------------------------------------------------------------------------------------------------

EVENTS = [(T, OUT, b"* OK hi\r\n"), (T + 1, IN, b"a1 NOOP\r\n"), (T + 2, OUT, b"a1 OK\r\n")]


@pytest.mark.parametrize("name", ["conn1.tcp", "conn1.in", "whatever"])
def test_a_combined_file_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    encoder = CombinedEncoder()
    (tmp_path / name).write_bytes(b"".join(encoder.chunk(*event) for event in EVENTS))
    recording = open_recording(tmp_path / name)
    assert (recording.name, recording.protocol, recording.timed) == (str(tmp_path / name), "imap", True)
    assert list(recording.events) == [Chunk(*event) for event in EVENTS]


def test_a_stream_that_a_collector_of_dovecot_got_is_read() -> None:
    recording = open_recording(golden.FOLDER / "tcp_rawlog/conn2.tcp")
    assert recording.protocol == "pop3"
    assert side(recording, IN) == b"".join(golden.texts("tcp_rawlog", "C", "c2"))


@pytest.mark.parametrize("name", ["a.rawlog", "a.out", "whatever"])
def test_a_native_file_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    encoder = NativeEncoder({"protocol": "managesieve"})
    written: list[Event] = [Chunk(None, OUT, b"x"), Mark(T, "login", {"user": "alice"})]
    data = encoder.chunk(None, OUT, b"x") + encoder.mark(Mark(T, "login", {"user": "alice"}))
    (tmp_path / name).write_bytes(data)
    recording = open_recording(tmp_path / name)
    assert (recording.protocol, list(recording.events)) == ("managesieve", written)


def test_a_native_file_that_was_never_written_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.rawlog").touch()
    assert list(open_recording(tmp_path / "a.rawlog").events) == []


@pytest.mark.parametrize(
    ("data", "direction"),
    [
        (b"1795385217.000000 a1 NOOP\r\n", IN),
        (b"1795385217.000000 * OK hi\r\n", OUT),
        (b"<<<\n+OK hi\r\n>>>\n", OUT),
        (b"EHLO x\r\n", IN),
        (b"1795385217.000000 \0\r\n", IN),
    ],
)
def test_a_half_under_another_name_is_known_by_what_it_says(tmp_path: Path, data: bytes, direction: Direction) -> None:
    (tmp_path / "saved.txt").write_bytes(data)
    (event,) = open_recording(tmp_path / "saved.txt").events
    assert isinstance(event, Chunk)
    assert event.direction is direction


def test_standard_input_can_be_any_of_them() -> None:
    program = "from rawlog.reading.opener import open_recording as o; r = o('-'); print(r.name, r.protocol, *r.events)"
    data = PairEncoder(True).chunk(T, OUT, b"* OK hi\r\n")
    done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, timeout=30, check=True)
    assert done.stdout.startswith(b"standard input imap Chunk(at=1795385217000000, direction=<Direction.OUT")


def test_the_protocol_can_be_told() -> None:
    assert open_recording(BASIC, protocol="pop3").protocol == "pop3"


def test_a_long_file_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.in"
    path.write_bytes(b"1795385217.000000 " + b"x" * 400_000)
    events: Iterator[Event] = iter(open_recording(path).events)
    first = next(events)
    assert isinstance(first, Chunk)
    assert len(first.data) <= 65536


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["missing.in", "missing", "missing.rawlog"])
def test_a_missing_file_says_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(RawlogError) as error:
        open_recording(tmp_path / name)
    assert str(error.value) == f"{tmp_path / name}: no such file; check the path"


def test_the_other_half_does_not_stand_in_for_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "a.out").write_bytes(b"x")
    with pytest.raises(RawlogError, match=r"a\.in: no such file"):
        open_recording(tmp_path / "a.in")


@pytest.mark.parametrize("data", [b"", b"hello world\n", b"\x7fELF\0"])
def test_what_is_no_recording_says_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(FormatError, match=r"file: not a recording; name an \.in or \.out file"):
        open_recording(tmp_path / "file")


def test_a_rawlog_file_of_another_version_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.rawlog").write_bytes(b"rawlog 9 {}\n")
    with pytest.raises(FormatError, match=r"a\.rawlog: line 1: format version 9"):
        open_recording(tmp_path / "a.rawlog")


def test_strict_reading_names_the_damaged_line(tmp_path: Path) -> None:
    path = tmp_path / "20261122-104500-77.in"
    path.write_bytes(b"1795385217.000000 a\r\n" * 11 + b"x\r\n")
    assert len(list(open_recording(path).events)) == 1
    with pytest.raises(FormatError, match=r"20261122-104500-77\.in: line 12: timestamp expected, got b'x'"):
        list(open_recording(path, strict=True).events)


# -- many --------------------------------------------------------------------------------------------------------------


def test_a_directory_and_single_paths_give_each_recording_once() -> None:
    folder = BASIC.parent
    given = [f"{BASIC}.out", f"{BASIC}.in", str(folder)]
    assert [Path(recording.name).name for recording in open_paths(given)] == [
        "20261122-220657.3831.1",
        "20261122-220658.3984.1",
    ]


def test_every_recording_of_dovecot_can_be_opened_and_read() -> None:
    for recording in open_paths([golden.FOLDER]):
        assert all(event.at is not None for event in recording.events) == recording.timed or not list(recording.events)


def test_what_cant_be_opened_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    errors: list[RawlogError] = []
    names = [recording.name for recording in open_paths([tmp_path / "no.in", BASIC], on_error=errors.append)]
    assert names == [str(BASIC)]
    assert [str(error) for error in errors] == [f"{tmp_path}/no.in: no such file; check the path"]
    with pytest.raises(RawlogError, match="no such file"):
        list(open_paths([tmp_path / "no.in", BASIC]))
