"""Which recordings are a user's: by directory, by login, by mark; and which only mention them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.errors import ConfigError, RawlogError
from rawlog.recorder.forgetting import (
    PIECE,
    all_at,
    is_in_own_directory,
    is_of,
    mentions,
    names_of,
    users_of,
    variables_of,
)
from rawlog.recorder.stock import Lying
from rawlog.settings.loader import loads

STEM = "20261122-104500.77.1"
PAIRS = {
    "imap": (b"a LOGIN Alice x\r\n", b"* OK hi\r\na OK done\r\n"),
    "pop3": (b"USER alice\r\nPASS x\r\n", b"+OK hi\r\n+OK\r\n+OK\r\n"),
    "failed": (b"a LOGIN alice x\r\n", b"* OK hi\r\na NO wrong\r\n"),
    "other": (b"a LOGIN bob x\r\n", b"* OK hi\r\na OK done\r\n"),
    "second": (b"USER bob\r\nPASS x\r\nUSER alice\r\nPASS x\r\n", b"+OK\r\n+OK\r\n-ERR\r\n+OK\r\n+OK\r\n"),
}


def put(directory: Path, said: bytes, heard: bytes, stem: str = STEM) -> Lying:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{stem}.in").write_bytes(said)
    (directory / f"{stem}.out").write_bytes(heard)
    (item,) = (i for i in all_at([(str(directory), True)], raising).values() if i.stem == stem)
    return item


def raising(error: RawlogError) -> None:
    raise error


@pytest.mark.parametrize(("case", "theirs"), [("imap", 1), ("pop3", 1), ("failed", 0), ("other", 0), ("second", 1)])
def test_by_login(tmp_path: Path, case: str, theirs: int) -> None:
    item = put(tmp_path, *PAIRS[case])
    assert is_of(item, frozenset(("alice",)), raising) == bool(theirs)


def test_by_mark(tmp_path: Path) -> None:
    path = tmp_path / f"{STEM}.rawlog"
    path.write_bytes(b'rawlog 1 {}\n1.000000 mark login {"user": "Alice@Example.com"}\n')
    assert list(users_of(str(path))) == ["alice@example.com"]
    path.write_bytes(b'rawlog 1 {"protocol": "imap"}\n1.000000 mark login {"user": "a"}\n1.000000 out 6\n* OK\r\n\n')
    assert list(users_of(str(path))) == ["a"]


def test_by_directory(tmp_path: Path) -> None:
    put(tmp_path / "=2E." / "x", b"", b"")
    (item,) = all_at([(str(tmp_path), False)], raising).values()
    assert is_in_own_directory(item, [".."], [])
    assert not is_in_own_directory(item, ["x.", "alice"], [])
    (same,) = all_at([(str(tmp_path / "=2E." / "x"), False)], raising).values()
    assert is_in_own_directory(same, ["X"], [])
    assert not is_in_own_directory(same, [".."], []), "what is above the directory that was named does not count"
    assert is_in_own_directory(item, [], [str(tmp_path / "=2E." / "x")])


def test_what_can_not_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / f"{STEM}.rawlog"
    path.write_bytes(b"rawlog 99 {}\n")
    (item,) = all_at([(str(tmp_path), True)], raising).values()
    failures: list[RawlogError] = []
    assert not is_of(item, frozenset(("alice",)), failures.append)
    assert "version 99" in str(failures[0])


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"RCPT TO:<ALICE@example.com>", True),
        (b"for alice.", True),
        (b"malice", False),
        (b"alice2", False),
        (b"x" * (PIECE - 3) + b" alice x", True),
    ],
)
def test_mentions(tmp_path: Path, data: bytes, found: bool) -> None:
    assert mentions(put(tmp_path, b"", data), frozenset(("alice",))) == found


def test_the_names_and_variables_of_a_user() -> None:
    made = loads("auth_default_realm = x.org\nuserdb {\n driver = static\n args = uid=5 gid=6 home=/h/%u\n}\n")
    assert names_of("Alice", made) == {"alice", "alice@x.org"}
    assert names_of("Alice", None) == {"alice"}
    with pytest.raises(ConfigError, match="is empty"):
        names_of(" ", made)
    assert {"user": "alice@x.org", "home": "/h/alice@x.org", "uid": "5", "gid": "6"} in variables_of("Alice", made)
