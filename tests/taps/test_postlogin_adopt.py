"""What a drop-in hands over is looked at before it is believed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.errors import FormatError
from rawlog.events import Direction
from rawlog.settings.options import RawlogOptions
from rawlog.taps.dropin_handover import request
from rawlog.taps.postlogin_adopt import adopt

USER = "al\tice\n"


@pytest.fixture
def fds(tmp_path: Path) -> Iterator[list[int]]:
    """Two sockets and two files."""
    left, right = socket.socketpair()
    made = [left.detach(), right.detach()]
    made += [os.open(tmp_path / name, os.O_WRONLY | os.O_CREAT) for name in ("in", "out")]
    yield made
    for fd in made:
        try:
            os.close(fd)
        except OSError:
            continue


def test_everything_arrives(fds: list[int]) -> None:
    files = [("in", fds[2], "/h/\txö.in"), ("out", fds[3], "/h/x.out")]
    adopted = adopt(request(files, "bt", USER), fds)
    assert adopted.user == USER
    assert adopted.written == RawlogOptions(boundaries=True, stamps=True)
    assert (adopted.client.fileno(), adopted.server.fileno()) == (fds[0], fds[1])
    assert {way: (sink.fd, sink.name) for way, sink in adopted.sinks.items()} == {
        Direction.IN: (fds[2], "/h/\txö.in"),
        Direction.OUT: (fds[3], "/h/x.out"),
    }
    adopted.close()
    for fd in fds:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_one_direction_is_enough(fds: list[int]) -> None:
    adopted = adopt(request([("out", fds[3], "/h/x.out")], "", ""), [*fds[:2], fds[3]])
    assert adopted.written == RawlogOptions()
    assert adopted.sinks.keys() == {Direction.OUT}
    adopted.close()


@pytest.mark.parametrize("files", [[], ["in", "in"], ["out", "in"], ["both"], ["in", "out", "in"]])
def test_files_without_sense_are_refused(fds: list[int], files: list[str]) -> None:
    with pytest.raises(FormatError, match="named no files"):
        adopt(request([(name, 0, "/h/x") for name in files], "t", USER), fds)


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 2], [2, 3, 0, 1], [0, 1, 2, 0], [0, 2, 2, 3], []])
def test_descriptors_of_another_kind_are_refused_and_stay_open(fds: list[int], order: list[int]) -> None:
    with pytest.raises(FormatError, match="descriptors"):
        adopt(request([("in", 0, "/a"), ("out", 0, "/b")], "t", USER), [fds[number] for number in order])
    for fd in fds:
        os.fstat(fd)


def test_a_message_cut_short_is_refused(fds: list[int]) -> None:
    with pytest.raises(FormatError):
        adopt(b"VERSION\trawlog-dropin\t1\t0\nuser\n", fds)
