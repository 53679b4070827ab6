"""``rawlog follow``, as a person calls it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawlog.cli import follow, main


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "INTERVAL", 0.02)


@pytest.fixture
def meanwhile() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Does something a moment after the following has begun."""
    timers = []

    def later(act: Callable[[], None]) -> None:
        timer = threading.Timer(0.3, act)
        timers.append(timer)
        timer.start()

    yield later
    for timer in timers:
        timer.join(10)


def stamped(text: bytes) -> bytes:
    return b"%d.%06d " % divmod(time.time_ns() // 1000, 1_000_000) + text


def test_new_recordings_are_shown_as_they_begin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    (tmp_path / "20261122-104500.1.1.in").write_bytes(stamped(b"a1 NOOP\r\n"))

    def act() -> None:
        (tmp_path / "new").mkdir()
        (tmp_path / "new/20261122-104500.1.2.out").write_bytes(stamped(b"+OK ready\r\n"))
        (tmp_path / "new/20261122-104500.1.2.in").write_bytes(stamped(b"QUIT\r\n"))

    meanwhile(act)
    assert main(["follow", "--time", "none", "--for", "1.2", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"== {tmp_path}/new/20261122-104500.1.2",
        "S: +OK ready",
        "C: QUIT",
    ]


def test_what_is_there_already_and_one_line_for_each_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "20261122-104500.1.1.in").write_bytes(b"1.000000 a1 NOOP\r\n")
    (tmp_path / "20261122-104500.1.1.out").write_bytes(b"0.500000 * PREAUTH\r\n2.000000 a1 OK\r\n")
    assert main(["follow", "--all", "--exchanges", "--time", "none", "--for", "0.1", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == " 1.00 s  OK          9     7  a1 NOOP"


def test_a_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for user in ("alice", "bob"):
        (tmp_path / user).mkdir()
        (tmp_path / user / "20261122-104500.1.1.out").write_bytes(b"1.000000 +OK %b\r\n" % user.encode())
    words = ["follow", "alice", "--dir", str(tmp_path), "--all", "--time", "none", "--for", "0.1"]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["S: +OK alice"]
    assert main(["follow", "alice", "--dir", str(tmp_path / "gone"), "--for", "0.1"]) == 1
    assert "is no directory with recordings of a user" in capsys.readouterr().err


def test_ctrl_c_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(follow.time, "sleep", interrupted)
    assert main(["follow", str(tmp_path)]) == 0


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "20261122-104500.1.1.out").write_bytes(b"1.000000 +OK\r\n")
    assert main(["follow", "--all", "--json", "--for", "0.1", str(tmp_path)]) == 0
    assert '"dir": "out"' in capsys.readouterr().out
