"""Files that a command makes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.views.output import NAME_LIMIT, free_stem, new_directory, new_file, stem_of, write_all


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    write_all(tmp_path / "x", [b"a", b"b"])
    assert (tmp_path / "x").read_bytes() == b"ab"
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600


def test_nothing_is_overwritten_and_no_link_followed(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("x", "link"):
        with pytest.raises(RawlogError, match=f"{name}: is there already; choose another name or remove it"):
            write_all(tmp_path / name, [b"a"])
    assert (tmp_path / "x").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()


def test_what_can_not_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(RawlogError, match="gone/x: can't be written: No such file or directory"):
        write_all(tmp_path / "gone" / "x", [b"a"])
    (tmp_path / "file").write_text("")
    with pytest.raises(RawlogError, match=r"file/x: can't be written"):
        new_directory(tmp_path / "file" / "x")


def test_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with new_file("-") as file:
        file.write(b"\x00\xff")
    assert capfdbinary.readouterr().out == b"\x00\xff"


def test_a_directory_is_made_if_need_be(tmp_path: Path) -> None:
    assert new_directory(tmp_path / "a" / "b").is_dir()
    assert new_directory(tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("/raw/20261122-104500.77.1", "20261122-104500.77.1"),
        ("a.in", "a"),
        ("b.rawlog", "b"),
        ("standard input", "standard_input"),
        ("x/", "recording"),
        ("y" * 999, "y" * NAME_LIMIT),
    ],
)
def test_names(name: str, stem: str) -> None:
    assert stem_of(name) == stem


def test_a_free_name(tmp_path: Path) -> None:
    (tmp_path / "a.in").write_text("")
    (tmp_path / "a-2.out").write_text("")
    assert free_stem(tmp_path, "a", [".in", ".out"]) == "a-3"
    assert free_stem(tmp_path, "b", [".in", ".out"]) == "b"
