"""What leaves is safe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rawlog.dialogue.exchange import exchanges
from rawlog.errors import RawlogError
from rawlog.events import Direction, Mark
from rawlog.reading.opener import open_recording
from rawlog.web.download import Downloads, file_name
from tests.support.viewing import small, talk, write

IN, OUT = Direction.IN, Direction.OUT


def secret(path: Path) -> Path:
    login = talk(
        (OUT, b"* OK ready\r\n"),
        (IN, b'a1 LOGIN "alice@example.com" "hunter2"\r\n'),
        (OUT, b"a1 OK in\r\n"),
        (IN, b"a2 SELECT Holidays\r\n"),
        (OUT, b"a2 OK done\r\n"),
    )
    return write(path / "one.rawlog", [Mark(1, "opened", {"client": "192.0.2.7:1"}), *login])


def test_without_secrets(tmp_path: Path) -> None:
    data = b"".join(Downloads().copy(str(secret(tmp_path)), "masked"))
    assert b"hunter2" not in data
    assert b"XXXXXXXX" in data
    assert b"Holidays" in data
    copy = tmp_path / "copy.rawlog"
    copy.write_bytes(data)
    assert [exchange.verb for exchange in exchanges(open_recording(copy))] == ["greeting", "LOGIN", "SELECT"]


def test_with_pseudonyms(tmp_path: Path) -> None:
    data = b"".join(Downloads().copy(str(secret(tmp_path)), "pseudonyms"))
    for name in (b"hunter2", b"alice", b"Holidays", b"192.0.2.7"):
        assert name not in data


def test_the_same_pseudonyms_in_all_copies(tmp_path: Path) -> None:
    downloads, path = Downloads(), str(secret(tmp_path))
    one = b"".join(downloads.copy(path, "pseudonyms"))
    assert b"".join(downloads.copy(path, "pseudonyms")) == one
    assert b"".join(Downloads().copy(path, "pseudonyms")) != one


def test_names_of_files_tell_nothing() -> None:
    assert re.fullmatch(r"rawlog-pseudonyms-[0-9a-f]{8}\.rawlog", file_name("pseudonyms"))
    assert file_name("masked") != file_name("masked")


def test_what_cant_be_made_safe(tmp_path: Path) -> None:
    path = write(tmp_path / "x.rawlog", talk((OUT, b"\0\1\2")))
    with pytest.raises(RawlogError):
        Downloads().copy(str(path), "masked")
    with pytest.raises(RawlogError):
        Downloads().copy(str(tmp_path / "gone"), "masked")


def test_pieces(tmp_path: Path) -> None:
    pieces = list(Downloads().copy(str(write(tmp_path / "one.rawlog", small())), "masked"))
    assert pieces[0].startswith(b"rawlog 1 ")
    assert len(pieces) == len(small())
