"""``rawlog redact``, as a person calls it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rawlog.cli import main

GOLDEN = Path(__file__).parent.parent / "golden"
LOGIN = GOLDEN / "prelogin_imap_plain"


def test_copies_of_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = next(LOGIN.glob("*.in"))
    assert b"LOGIN" in original.read_bytes()
    assert main(["redact", str(LOGIN), "--out", str(tmp_path / "safe")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"1 recordings copied to {tmp_path / 'safe'}"
    assert told[1] == "2 secrets replaced"
    assert [line.split() for line in told[2:4]] == [["1", "LOGIN"], ["1", "literals"]]
    copy = tmp_path / "safe" / original.name
    assert b"a1b LOGIN alice@example.com {8+}\r\n" in copy.read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.parent.stat().st_mode & 0o777 == 0o700


def test_directories_below_are_kept_apart(tmp_path: Path) -> None:
    for user in ("alice", "bob"):
        shutil.copytree(LOGIN, tmp_path / "raw" / user)
    assert main(["redact", str(tmp_path / "raw"), "--out", str(tmp_path / "safe")]) == 0
    assert sorted(p.parent.name for p in tmp_path.glob("safe/*/*.in")) == ["alice", "bob"]


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redact", str(LOGIN), "--out", str(tmp_path)]) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(["redact", str(LOGIN), "--out", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_is_not_understood_is_not_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "20261122-104500.77.1.in").write_bytes(b"secret\r\n")
    assert main(["redact", str(tmp_path), str(LOGIN), "--out", str(tmp_path / "safe")]) == 1
    told = capsys.readouterr()
    assert "its protocol is not seen" in told.err
    assert "1 recordings copied" in told.out
    assert not (tmp_path / "safe" / "20261122-104500.77.1.in").exists()
    only = ["redact", str(tmp_path / "20261122-104500.77.1.in"), "--out", str(tmp_path / "safe"), "--protocol", "pop3"]
    assert main(only) == 0
    assert (tmp_path / "safe" / "20261122-104500.77.1.in").read_bytes() == b"XXXXXXXX\r\n"


def test_an_empty_directory_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redact", str(tmp_path), "--out", str(tmp_path / "safe")]) == 1
    assert "no recording in it" in capsys.readouterr().err


def words(directory: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def test_pseudonyms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(LOGIN, tmp_path / "raw" / "alice@example.com")
    key = tmp_path / "key"
    for out in ("one", "two"):
        arguments = ["--out", str(tmp_path / out), "--pseudonyms", "--key", str(key)]
        assert main(["redact", str(tmp_path / "raw"), *arguments]) == 0
    told = capsys.readouterr().out
    assert "addresses" in told and "Not hidden:" in told
    assert main(["redact", str(tmp_path / "raw"), "--out", str(tmp_path / "three"), "--pseudonyms"]) == 0
    one, two, three = (words(tmp_path / out) for out in ("one", "two", "three"))
    assert one == two != three
    for text in (one, three, *(str(path).encode() for path in tmp_path.glob("one/*"))):
        assert b"alice" not in text.removeprefix(bytes(tmp_path)) and key.read_bytes().strip() not in text
    assert len(one) == len(three)


def test_the_header_of_a_native_recording_names_nobody(tmp_path: Path) -> None:
    raw = tmp_path / "x.rawlog"
    raw.write_bytes(b'rawlog 1 {"name": "alice", "protocol": "imap"}\n1.000000 mark login {"user": "alice"}\n')
    assert main(["redact", str(raw), "--out", str(tmp_path / "safe"), "--pseudonyms"]) == 0
    (made,) = (tmp_path / "safe").iterdir()
    assert b"alice" not in made.read_bytes() and b'"protocol": "imap"' in made.read_bytes()


def test_keys_where_they_must_not_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["redact", str(LOGIN), "--out", str(tmp_path / "safe")]
    assert main([*out, "--key", str(tmp_path / "key")]) == 2
    assert main([*out, "--pseudonyms", "--key", str(tmp_path / "safe" / "key")]) == 2
    assert "must not be among the copies" in capsys.readouterr().err
    assert not (tmp_path / "safe").exists()
