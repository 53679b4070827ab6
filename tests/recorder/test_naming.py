"""Names and files of recordings: Dovecot's names, made new, 0600, where they belong."""

from __future__ import annotations

import errno
import itertools
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlog.events import Direction
from rawlog.recorder import naming
from rawlog.recorder.directory import NotRecorded
from rawlog.recorder.naming import Opened, dashed_stems, open_pair, open_single, stamped_stems
from tests.support.places import NOBODY, acting_as, open_descriptors, shared_directory

IN, OUT = Direction.IN, Direction.OUT
T = 1795385217427810


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def opened(answer: Opened | NotRecorded) -> Opened:
    """The files, closed again by the caller's ``close``."""
    assert isinstance(answer, Opened), answer
    return answer


def close(answer: Opened) -> None:
    for sink in answer.sinks.values():
        sink.close()


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_names_of_rawlog_dir(utc: None) -> None:
    first, second = itertools.islice(stamped_stems(T), 2)
    third = next(stamped_stems(T))
    numbers = [int(stem.rpartition(".")[2]) for stem in (first, second, third)]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
    assert re.fullmatch(rf"20261122-220657\.{os.getpid()}\.[0-9]+", first)


def test_the_counter_of_a_process_begins_at_1() -> None:
    next(stamped_stems(T))
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, f"{next(stamped_stems(T))} {os.getpid()}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    name, pid = os.read(reader, 100).decode().split()
    os.close(reader)
    os.close(writer)
    assert name.endswith(f".{pid}.1")


def test_names_of_the_rawlog_program(utc: None) -> None:
    begin = f"20261122-220657-{os.getpid()}"
    assert list(itertools.islice(dashed_stems(T), 3)) == [begin, f"{begin}.2", f"{begin}.3"]
    assert next(dashed_stems(T, "127.0.0.1")) == f"127.0.0.1-{begin}"
    assert next(dashed_stems(T, "2001:db8::1")) == f"2001:db8::1-{begin}"
    assert list(itertools.islice(dashed_stems(T, "::1", 4711), 2)) == [
        "::1-20261122-220657-4711",
        "::1-20261122-220657-4711.2",
    ]


def test_names_are_in_local_time(monkeypatch: pytest.MonkeyPatch, utc: None) -> None:
    monkeypatch.setenv("TZ", "XYZ-05:30")
    time.tzset()
    assert next(dashed_stems(T)).startswith("20261123-033657-")


@given(st.text(max_size=20))
def test_an_address_that_is_none_stays_in_the_name(address: str) -> None:
    stem = next(dashed_stems(T, address.encode("utf-8", "replace").decode()))
    assert re.fullmatch(r"([0-9a-fA-F.:=]+-)?[0-9]{8}-[0-9]{6}-[0-9]+", stem)


def test_a_pair(tmp_path: Path) -> None:
    pair = opened(open_pair(str(tmp_path), iter(["a"])))
    assert pair.path == f"{tmp_path}/a"
    assert [(direction, sink.name) for direction, sink in pair.sinks.items()] == [
        (IN, f"{tmp_path}/a.in"),
        (OUT, f"{tmp_path}/a.out"),
    ]
    pair.sinks[IN].write(b"to the server")
    pair.sinks[OUT].write(b"to the client")
    assert not any(os.get_inheritable(sink.fd) for sink in pair.sinks.values())
    close(pair)
    assert (tmp_path / "a.in").read_bytes() == b"to the server"
    assert (tmp_path / "a.out").read_bytes() == b"to the client"


@pytest.mark.parametrize(("directions", "names"), [([IN], ["a.in"]), ([OUT], ["a.out"]), ([], [])])
def test_halves(tmp_path: Path, directions: list[Direction], names: list[str]) -> None:
    pair = opened(open_pair(str(tmp_path), iter(["a"]), directions))
    assert list(pair.sinks) == directions
    assert files(tmp_path) == names
    close(pair)


def test_a_single_file(tmp_path: Path) -> None:
    single = opened(open_single(str(tmp_path), iter(["a"])))
    assert single.sinks[IN] is single.sinks[OUT]
    assert single.sinks[IN].name == f"{tmp_path}/a.rawlog"
    close(single)
    assert files(tmp_path) == ["a.rawlog"]


def test_relative_to_a_descriptor(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        tmp_path.rename(tmp_path.with_name("moved"))
        tmp_path.mkdir()  # another one now stands in its place
        pair = opened(open_pair(directory, iter(["a"]), shown_as="/raw"))
        assert pair.path == "/raw/a"
        close(pair)
        single = opened(open_single(directory, iter(["a"])))
        assert single.path == f"descriptor {directory}/a"
        close(single)
        os.fstat(directory)
    finally:
        os.close(directory)
    assert files(tmp_path) == []
    assert files(tmp_path.with_name("moved")) == ["a.in", "a.out", "a.rawlog"]


@pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o400, 0o777])
def test_mode_under_any_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        pair = opened(open_pair(str(tmp_path), iter(["a"])))
        close(pair)
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in files(tmp_path)] == [0o600, 0o600]


@pytest.mark.parametrize("taken", ["a.in", "a.out"])
def test_the_next_free_name_for_both(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_bytes(b"somebody else's")
    pair = opened(open_pair(str(tmp_path), iter(["a", "b"])))
    close(pair)
    assert pair.path == f"{tmp_path}/b"
    assert files(tmp_path) == sorted([taken, "b.in", "b.out"])
    assert (tmp_path / taken).read_bytes() == b"somebody else's"


def test_many_at_the_same_second(tmp_path: Path) -> None:
    for _ in range(5):
        close(opened(open_pair(str(tmp_path), dashed_stems(T))))
        close(opened(open_pair(str(tmp_path), stamped_stems(T))))
    assert len(files(tmp_path)) == 20
    begin = next(dashed_stems(T))
    assert {f"{begin}.in", f"{begin}.2.in", f"{begin}.5.out"} < set(files(tmp_path))


def test_names_that_are_all_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "TRIES", 3)
    (tmp_path / "a.out").touch()
    answer = open_pair(str(tmp_path), itertools.repeat("a"))
    assert answer == NotRecorded(f"{tmp_path}: 3 names in a row are taken; look who makes files there")
    assert files(tmp_path) == ["a.out"]


@pytest.mark.parametrize("ending", [".in", ".out"])
@pytest.mark.parametrize("kind", ["symlink", "dangling", "hard link", "fifo", "directory"])
def test_planted_names_are_left_alone(tmp_path: Path, kind: str, ending: str) -> None:
    raw, victim = tmp_path / "raw", tmp_path / "victim"
    raw.mkdir()
    victim.write_bytes(b"precious")
    planted = raw / f"a{ending}"
    if kind == "symlink":
        planted.symlink_to(victim)
    elif kind == "dangling":
        planted.symlink_to(tmp_path / "new")
    elif kind == "hard link":
        planted.hardlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(planted)
    else:
        planted.mkdir()
    pair = opened(open_pair(str(raw), iter(["a", "b"])))
    for sink in pair.sinks.values():
        sink.write(b"attack")
    close(pair)
    assert files(raw) == sorted([planted.name, "b.in", "b.out"])
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "new").exists()


def test_a_link_made_to_the_new_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = os.open

    def open_and_link(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        fd = real_open(path, flags, mode, dir_fd=dir_fd)
        if path == "a.out":
            os.link(path, "stolen", src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        return fd

    monkeypatch.setattr(os, "open", open_and_link)
    answer = open_pair(str(tmp_path), iter(["a", "b"]))
    monkeypatch.undo()
    assert isinstance(answer, NotRecorded)
    assert files(tmp_path) == ["stolen"]


FAULTS = [errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.EIO, errno.EROFS]


@pytest.mark.parametrize("code", FAULTS, ids=[errno.errorcode[code] for code in FAULTS])
@pytest.mark.parametrize("call", [1, 2])
def test_none_is_left_when_one_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: int
) -> None:
    real_open, calls = os.open, itertools.count(1)

    def failing_open(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT and next(calls) == call:
            raise OSError(code, os.strerror(code))
        return real_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", failing_open)
    answer = open_pair(str(tmp_path), iter(["a", "b"]))
    monkeypatch.undo()
    assert answer == NotRecorded(f"{tmp_path}: no file can be made: {os.strerror(code)}")
    assert files(tmp_path) == []


def test_a_file_that_cannot_be_taken_back_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_unlink(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "a.out").touch()
    monkeypatch.setattr(os, "unlink", no_unlink)
    close(opened(open_pair(str(tmp_path), iter(["a", "b"]))))


def test_not_writable() -> None:
    with shared_directory() as place, acting_as(NOBODY):
        answer = open_pair(str(place), iter(["a"]))
    assert isinstance(answer, NotRecorded)
    assert not answer.expected
    assert answer.reason.startswith(f"{place} is not writable by uid {NOBODY}; ")
    assert answer.denied


def test_a_group_directory_is_as_good_as_any() -> None:
    with shared_directory() as place:
        place.chmod(0o1777)
        with acting_as(NOBODY):
            pair = opened(open_pair(str(place), iter(["a"])))
            close(pair)
        assert [(path.stat().st_uid, path.stat().st_nlink) for path in place.iterdir()] == [(NOBODY, 1)] * 2


def test_missing_and_removed_directories(tmp_path: Path) -> None:
    missing = open_pair(str(tmp_path / "raw"), iter(["a"]))
    assert isinstance(missing, NotRecorded)
    assert missing.expected
    (tmp_path / "raw").mkdir()
    directory = os.open(tmp_path / "raw", os.O_RDONLY)
    try:
        (tmp_path / "raw").rmdir()
        removed = open_pair(directory, iter(["a"]), shown_as="/raw")
    finally:
        os.close(directory)
    assert removed == NotRecorded("/raw was removed a moment ago; make it (mkdir) to record", expected=True)


def test_the_directory_of_a_home_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "dovecot.rawlog").symlink_to("raw")
    path = str(tmp_path / "dovecot.rawlog")
    close(opened(open_pair(path, iter(["a"]))))
    answer = open_pair(path, iter(["b"]), follow_last=False)
    assert isinstance(answer, NotRecorded)
    assert "is a symbolic link" in answer.reason
    assert isinstance(open_single(path, iter(["b"]), follow_last=False), NotRecorded)
    assert files(tmp_path / "raw") == ["a.in", "a.out"]
