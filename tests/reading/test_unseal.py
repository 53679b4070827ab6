"""Sealed recordings are read like others by who has the key; without it they are said to be sealed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from rawlog import cli
from rawlog.errors import ConfigError, RawlogError
from rawlog.events import Chunk, Direction, Mark
from rawlog.formats.native import NativeEncoder
from rawlog.reading import unseal
from rawlog.reading.directory import recordings_below
from rawlog.reading.opener import open_recording
from rawlog.reading.source import HEAD_SIZE, Source
from rawlog.reading.unseal import SealedError, identify
from tests.support.sealing import identity_file, sealed_sink

STEM = "20261122-104500.77.1"
IN = b"1795385217.427810 a LOGIN bob XXXX\r\n1795385218.427810 b NOOP\r\n"
OUT = b"1795385217.327810 * OK ready\r\n1795385217.527810 a OK in\r\n1795385218.527810 b OK done\r\n"


@pytest.fixture(autouse=True)
def nobody() -> Iterator[None]:
    yield
    unseal.forget_identities()


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    for half, data in (("in", IN), ("out", OUT)):
        sink = sealed_sink(tmp_path / f"{STEM}.{half}.age")
        sink.write(data)
        sink.close()
    return tmp_path


def test_without_an_identity_it_is_sealed(pair: Path) -> None:
    with pytest.raises(SealedError, match=r"\.in\.age: is sealed; give the identity .*: --identity FILE$"):
        open_recording(pair / f"{STEM}.in.age")
    assert recordings_below(str(pair)) == [str(pair / f"{STEM}.in.age")]


@pytest.mark.parametrize("name", [f"{STEM}.in.age", f"{STEM}.out.age", STEM])
def test_with_it_it_is_a_recording_like_any_other(pair: Path, tmp_path: Path, name: str) -> None:
    identify(identity_file(tmp_path))
    recording = open_recording(pair / name)
    assert recording.protocol == "imap"
    for _ in range(2):
        chunks = [event for event in recording.events if isinstance(event, Chunk)]
        assert [chunk.direction for chunk in chunks] == [Direction.OUT, *[Direction.IN, Direction.OUT] * 2]


def test_for_somebody_else(pair: Path, tmp_path: Path) -> None:
    identify(identity_file(tmp_path, str(pyrage.x25519.Identity.generate())))
    with pytest.raises(SealedError, match="is sealed for somebody else"):
        open_recording(pair / STEM)


def test_a_damaged_header_is_said(pair: Path, tmp_path: Path) -> None:
    identify(identity_file(tmp_path))
    path = pair / f"{STEM}.in.age"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RawlogError, match="its header is damaged"):
        open_recording(path)


def test_one_file_and_its_end_that_is_missing(tmp_path: Path) -> None:
    identify(identity_file(tmp_path))
    path = tmp_path / f"{STEM}.rawlog.age"
    sink = sealed_sink(path)
    encoder = NativeEncoder({"protocol": "imap"})
    sink.write(encoder.chunk(5, Direction.IN, b"a NOOP\r\n"))
    assert list(open_recording(path).events) == [
        Chunk(5, Direction.IN, b"a NOOP\r\n"),
        Mark(5, "gap", {"cause": "the recording was not finished: who wrote it was killed"}),
    ]
    sink.close()
    assert list(open_recording(path).events) == [Chunk(5, Direction.IN, b"a NOOP\r\n")]


def test_a_large_one_from_a_pipe_and_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identify(identity_file(tmp_path))
    path = tmp_path / "a.age"
    sink = sealed_sink(path)
    data = b"0123456789\r\n" * 30000
    sink.write(data)
    sink.close()
    source = Source(str(path))
    assert source.head == data[:HEAD_SIZE]
    assert [b"".join(source), b"".join(source)] == [data, data]
    with path.open("rb") as file:
        before = os.dup(0)
        os.dup2(file.fileno(), 0)
        try:
            assert b"".join(Source("-")) == data
        finally:
            os.dup2(before, 0)
            os.close(before)


def test_wrong_identity_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: Path) -> None:
    with pytest.raises(ConfigError, match="the identity can't be read: No such file"):
        identify(str(tmp_path / "none"))
    (tmp_path / "locked").write_bytes(b"age-encryption.org/v1\n-> scrypt\n")
    with pytest.raises(ConfigError, match="is itself encrypted; decrypt it first: age -d"):
        identify(str(tmp_path / "locked"))
    identify(identity_file(tmp_path))
    monkeypatch.setitem(sys.modules, "rawlog.formats.age", None)
    monkeypatch.delattr("rawlog.formats.age", raising=False)
    with pytest.raises(RawlogError, match=r"the package cryptography is missing to open it; install rawlog\[seal\]"):
        open_recording(pair / STEM)


def test_every_command_that_reads_takes_an_identity(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "out"
    key = identity_file(tmp_path)
    assert cli.main(["ls", str(pair)]) == 0
    told = capsys.readouterr().out
    assert "sealed" in told
    assert "2026-11-22 10:45:00" in told
    assert cli.main(["show", str(pair)]) == 1
    assert "--identity FILE" in capsys.readouterr().err
    assert cli.main(["ls", "--identity", key, str(pair)]) == 0
    assert "bob" in capsys.readouterr().out
    assert not any(b"bob" in path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file())
    for command, *words in (["show"], ["search", "NOOP"], ["stats"], ["merge"]):
        assert cli.main([command, "--identity", key, *words, str(pair)]) == 0
        assert "NOOP" in capsys.readouterr().out, command
    assert cli.main(["redact", "--identity", key, "--out", str(out), str(pair)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [f"{STEM}.in", f"{STEM}.out"]
    assert cli.main(["export", "--jsonl", str(tmp_path / "a.jsonl"), "--identity", key, str(pair)]) == 0
    assert "NOOP" in (tmp_path / "a.jsonl").read_text()
