"""Sealing while recording: nothing waits for a full chunk, failures lose nothing, and the key can't be found."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rawlog.errors import ConfigError
from rawlog.events import Direction
from rawlog.formats.dovecot import PairEncoder
from rawlog.formats.sealed import CHUNK, NOT_FINISHED
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.seal import Seal, SealedSink, seal_for
from rawlog.recorder.sinks import FileSink
from tests.support.sealing import PUBLIC, sealed_sink, unsealed


def test_what_is_written_can_be_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.age"
    sink = sealed_sink(path)
    for count in range(1, 5):
        sink.write(b"a NOOP\r\n")
        assert sink.written == 8 * count
        assert unsealed(path.read_bytes()) == (b"a NOOP\r\n" * count, [NOT_FINISHED])
    sink.close()
    assert unsealed(path.read_bytes()) == (b"a NOOP\r\n" * 4, [])
    sink.close()


def test_a_recording_of_nothing_is_an_empty_file(tmp_path: Path) -> None:
    sink = sealed_sink(tmp_path / "a.age")
    sink.close()
    assert (tmp_path / "a.age").read_bytes() == b""


def test_one_file_for_both_directions_stays_one(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "a", os.O_WRONLY | os.O_CREAT, 0o600)
    plain = FileSink(fd, "a")
    sealed = Seal([PUBLIC]).over(dict.fromkeys(Direction, plain))
    assert sealed[Direction.IN] is sealed[Direction.OUT]
    sealed[Direction.IN].close()


@pytest.mark.parametrize("failing", range(1, 8))
def test_a_write_that_fails_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    path = tmp_path / "a.age"
    sink = sealed_sink(path)
    calls = 0
    real = os.pwrite

    def full(fd: int, data: bytes, at: int) -> int:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, bytes(data[: len(data) // 2 + 1]), at)  # and short writes on the way

    text = b""
    monkeypatch.setattr(os, "pwrite", full)
    for piece in (b"one\r\n", b"x" * (CHUNK + 10), b"three\r\n"):
        before = sink.written
        try:
            sink.write(piece)
        except OSError:
            taken = sink.written - before
            text += piece[:taken]
            assert unsealed(path.read_bytes())[0] == text if text else True
            sink.write(piece[taken:])
            piece = piece[taken:]
        text += piece
    monkeypatch.undo()
    sink.close()
    assert unsealed(path.read_bytes()) == (text, [])


def test_an_end_that_can_not_be_written_is_told_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.in.age"
    told: list[str] = []
    recorder = Recorder(
        PairEncoder(stamps=False), {Direction.IN: sealed_sink(path)}, name="a", report=told.append,
        flusher=Flusher(lambda *_: None),
    )  # fmt: skip
    recorder.chunk(0, Direction.IN, b"a NOOP\r\n")
    recorder.flush()
    monkeypatch.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    recorder.close(1, "done")
    assert any("its end may be missing" in sentence for sentence in told)
    assert unsealed(path.read_bytes())[0] == b"a NOOP\r\n"


def test_a_busy_conversation_is_sealed_once_and_a_quiet_one_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.in.age"
    flusher = Flusher(lambda *_: None)
    sinks = {Direction.IN: sealed_sink(path)}
    recorder = Recorder(PairEncoder(stamps=False), sinks, name="a", report=print, flusher=flusher)
    for _ in range(40):
        recorder.chunk(0, Direction.IN, b"x" * 16384)
    written = len(unsealed(path.read_bytes())[0])
    assert 40 * 16384 - written <= CHUNK
    assert path.stat().st_blocks * 512 < 1.3 * 40 * 16384  # hardly any pieces
    recorder.flush()
    assert len(unsealed(path.read_bytes())[0]) == 40 * 16384
    recorder.close(1, "done")


def test_killed_it_leaves_what_it_had_written(tmp_path: Path) -> None:
    program = (
        "import os, sys; from tests.support.sealing import sealed_sink; from pathlib import Path\n"
        "sink = sealed_sink(Path(sys.argv[1]))\n"
        "for number in range(70000):\n"
        "    sink.write(b'%07d\\r\\n' % number); os.write(1, b'.')\n"
        "    if number == 20000: os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "a.age"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, check=False, timeout=120)
    assert done.returncode == -9
    text, why = unsealed(path.read_bytes())
    assert why == [NOT_FINISHED]
    assert len(text) >= 9 * len(done.stdout)
    assert text == b"".join(b"%07d\r\n" % number for number in range(len(text) // 9))


def test_no_key_that_opens_it_is_in_the_file_or_kept_by_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.age"
    sink = sealed_sink(path)
    sink.write(b"Wonderland" * 10)
    assert b"Wonderland" not in path.read_bytes()
    sink.close()
    assert isinstance(sink, SealedSink)
    assert sink._keys is None
    assert not sink._part


def test_the_same_text_never_looks_the_same(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        sink = sealed_sink(tmp_path / name)
        sink.write(b"0123456789" * 10)
        sink.close()
        files.append((tmp_path / name).read_bytes())
    assert files[0][22:] != files[1][22:]
    assert files[0][-100:] != files[1][-100:]


def test_wrong_recipients_and_a_missing_package_are_known_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seal_for([]) is None
    with pytest.raises(ConfigError, match="is no recipient of age"):
        seal_for(["age1nonsense"])
    monkeypatch.setitem(sys.modules, "rawlog.formats.age", None)
    with pytest.raises(ConfigError, match=r"^rawlog_recipient: the package cryptography is missing.*rawlog\[seal\]"):
        seal_for([PUBLIC])
