"""Sinks: all bytes, or an error and the exact number of those that were taken."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.recorder.sinks import FileSink, MemorySink


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[FileSink]:
    opened = FileSink(os.open(tmp_path / "x.in", os.O_CREAT | os.O_WRONLY), "x.in")
    yield opened
    opened.close()


def test_pieces_in_order(sink: FileSink, tmp_path: Path) -> None:
    sink.write(b"one ")
    sink.write(b"two ", b"three ", b"")
    sink.write(b"four")
    assert (tmp_path / "x.in").read_bytes() == b"one two three four"
    assert sink.written == 18


class ShortWrites:
    """Takes at most ``most`` bytes a call, and none after ``room`` bytes."""

    def __init__(self, most: int, room: int) -> None:
        self.most = most
        self.room = room
        self.data = b""

    def write(self, fd: int, data: bytes | memoryview) -> int:
        size = min(self.most, self.room - len(self.data), len(data))
        if not size:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.data += bytes(data[:size])
        return size

    def writev(self, fd: int, pieces: tuple[bytes, ...]) -> int:
        return self.write(fd, b"".join(pieces))


@pytest.mark.parametrize("most", [1, 3, 7, 100])
def test_short_writes_are_gone_on_with(sink: FileSink, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    short = ShortWrites(most, room=1000)
    monkeypatch.setattr(os, "write", short.write)
    monkeypatch.setattr(os, "writev", short.writev)
    sink.write(b"abcdefgh")
    sink.write(b"ijkl", b"mnopqr")
    assert short.data == b"abcdefghijklmnopqr"
    assert sink.written == 18


@pytest.mark.parametrize("room", range(18))
@pytest.mark.parametrize("most", [1, 4, 100])
def test_a_failure_tells_what_was_taken(sink: FileSink, monkeypatch: pytest.MonkeyPatch, most: int, room: int) -> None:
    short = ShortWrites(most, room)
    monkeypatch.setattr(os, "write", short.write)
    monkeypatch.setattr(os, "writev", short.writev)
    with pytest.raises(OSError, match="No space left"):
        for pieces in [(b"abcdefgh",), (b"ijkl", b"mnopqr")]:
            sink.write(*pieces)
    assert sink.written == len(short.data) == room


@pytest.mark.parametrize("room", range(9))
@pytest.mark.parametrize("most", [1, 3, 100])
def test_a_part_of_something_larger_is_written_as_it_is(
    sink: FileSink, monkeypatch: pytest.MonkeyPatch, most: int, room: int
) -> None:
    short = ShortWrites(most, room)
    monkeypatch.setattr(os, "write", short.write)
    monkeypatch.setattr(os, "writev", short.writev)
    part = memoryview(b"..cdefgh..")[2:-2]
    with contextlib.suppress(OSError):
        sink.write(b"ab", part)
    assert short.data == b"abcdefgh"[:room]
    assert sink.written == room


def test_a_write_of_nothing_ends(sink: FileSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda fd, data: 0)
    with pytest.raises(OSError, match="nothing was taken"):
        sink.write(b"abc")


def test_close_once(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "y", os.O_CREAT | os.O_WRONLY)
    sink = FileSink(fd, "y")
    sink.close()
    sink.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        sink.write(b"x")


def test_memory() -> None:
    sink = MemorySink("m")
    sink.write(b"a", b"b")
    sink.write(b"c")
    sink.close()
    assert (sink.data, sink.written, sink.closed, sink.name) == (b"abc", 3, True, "m")
