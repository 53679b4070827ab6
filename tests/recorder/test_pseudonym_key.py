"""The key: at random, private, and the same again when it is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.recorder.pseudonym_key import KEY_SIZE, key_from, new_key


def test_each_new_key_is_another() -> None:
    assert len(new_key()) == KEY_SIZE
    assert new_key() != new_key()


def test_a_missing_file_is_made_and_gives_the_same_key_again(tmp_path: Path) -> None:
    path = tmp_path / "key"
    before = os.umask(0)
    try:
        key = key_from(str(path))
    finally:
        os.umask(before)
    assert key_from(str(path)) == key
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "00", "x" * 64, "00" * 33, "\udcff"])
def test_a_file_without_a_key(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    with pytest.raises(RawlogError, match="no key"):
        key_from(str(path))


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("00" * 32)
    path.chmod(0o640)
    with pytest.raises(RawlogError, match="others may read"):
        key_from(str(path))


def test_where_no_key_can_be_kept(tmp_path: Path) -> None:
    with pytest.raises(RawlogError, match="can't be kept"):
        key_from(str(tmp_path / "no" / "key"))
    with pytest.raises(RawlogError, match="can't be read"):
        key_from(str(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RawlogError, match="can't be kept"):
        key_from(str(tmp_path / "link"))
