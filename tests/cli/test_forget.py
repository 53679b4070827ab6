"""``rawlog forget``, as a person calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.cli import main

IMAP = (b"a LOGIN %b x\r\n", b"* OK hi\r\na OK done\r\n")


def put(directory: Path, user: bytes, number: int, more: bytes = b"") -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"20261122-104500.77.{number}.in").write_bytes(IMAP[0] % user + more)
    (directory / f"20261122-104500.77.{number}.out").write_bytes(IMAP[1])


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shelf = tmp_path / "cache" / "rawlog" / "shelf.sqlite"
    shelf.parent.mkdir(parents=True)
    shelf.write_bytes(b"alice")
    put(tmp_path / "users/alice", b"nobody", 1)
    put(tmp_path / "users/bob", b"bob", 1, b"b SELECT alice\r\n")
    put(tmp_path / "all", b"ALICE", 1)
    put(tmp_path / "all", b"carol", 2)
    (tmp_path / "all" / "alice.txt").write_bytes(b"alice")
    (tmp_path / "rawlog.conf").write_text(f"rawlog_dir = {tmp_path}/users/%u\nlmtp_rawlog_dir = {tmp_path}/all\n")
    return tmp_path


def left(raw: Path) -> list[str]:
    files = [path for top in ("users", "all") for path in (raw / top).rglob("*.in")]
    return sorted(str(path.relative_to(raw)) for path in files)


def test_everything_of_a_user_by_the_configuration(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forget", "alice", "-c", str(raw / "rawlog.conf")]) == 0
    told = capsys.readouterr().out
    assert "2 recordings of alice removed\nlooked again: nothing is left\n" in told
    assert f"mentions alice and is not theirs: {raw}/users/bob/20261122-104500.77.1\n" in told
    assert left(raw) == ["all/20261122-104500.77.2.in", "users/bob/20261122-104500.77.1.in"]
    assert not (raw / "cache/rawlog/shelf.sqlite").exists()
    assert (raw / "all" / "alice.txt").exists()


def test_in_directories_that_are_named(raw: Path) -> None:
    assert main(["forget", "Alice", str(raw / "users"), str(raw / "all")]) == 0
    assert left(raw) == ["all/20261122-104500.77.2.in", "users/bob/20261122-104500.77.1.in"]


def test_those_that_mention_the_user_too(raw: Path) -> None:
    assert main(["forget", "alice", "--mentioned", "-c", str(raw / "rawlog.conf")]) == 0
    assert left(raw) == ["all/20261122-104500.77.2.in"]


def test_dry_run(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = left(raw)
    assert main(["forget", "alice", "--dry-run", "-c", str(raw / "rawlog.conf")]) == 0
    assert f"would be removed: {raw}/users/alice/20261122-104500.77.1\n" in capsys.readouterr().out
    assert left(raw) == before
    assert (raw / "cache/rawlog/shelf.sqlite").exists()


def test_what_can_not_be_removed_is_left_and_said(
    raw: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("rawlog.recorder.stock.os.unlink", refused)
    assert main(["forget", "alice", "-c", str(raw / "rawlog.conf")]) == 1
    output = capsys.readouterr()
    assert "2 are left" in output.out
    assert "can't be removed: Permission denied" in output.err


def test_the_directory_itself_stays_for_it_is_the_switch(raw: Path) -> None:
    main(["forget", "alice", "-c", str(raw / "rawlog.conf")])
    assert (raw / "users" / "alice").is_dir()


def test_of_many_users_one_is_forgotten_and_nobody_else(raw: Path) -> None:
    for number in range(80):
        put(raw / f"users/user{number}@x", b"user%d@x" % number, number + 10)
        put(raw / "all", b"User%d@X" % number, number + 10)
    before = left(raw)
    assert main(["forget", "user7@x", "-c", str(raw / "rawlog.conf")]) == 0
    assert sorted(set(before) - set(left(raw))) == [
        "all/20261122-104500.77.17.in",
        "users/user7@x/20261122-104500.77.17.in",
    ]
    for path in raw.rglob("*.in"):
        assert b"user7@x" not in path.read_bytes().lower()


def test_nobody_is_nobody(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = left(raw)
    assert main(["forget", "", "--mentioned", "-c", str(raw / "rawlog.conf")]) == 2
    assert "is empty" in capsys.readouterr().err
    assert left(raw) == before


def test_only_the_notes_about_that_user_are_forgotten(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shelf = raw / "cache/rawlog/shelf.sqlite"
    shelf.unlink()
    assert main(["ls", str(raw / "users"), str(raw / "all")]) == 0
    assert b"alice" in shelf.read_bytes().lower()
    assert main(["forget", "alice", "-c", str(raw / "rawlog.conf")]) == 0
    data = shelf.read_bytes().lower()
    assert b"alice" not in data.replace(b"alice.txt", b"")
    assert b"bob" in data
    assert b"carol" in data
