"""Whether a text is in the files at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.reading import needles
from rawlog.reading.needles import Needle, may_hold


def exact(needs: list[list[bytes]]) -> list[list[Needle]]:
    return [[(text, False) for text in need] for need in needs]


def pair(directory: Path, name: str = "20261122-104500.77.1") -> str:
    (directory / f"{name}.in").write_bytes(b"1795385217.000001 a1 NOOP\r\n1795385217.000002 last")
    (directory / f"{name}.out").write_bytes(b"1795385217.000001 * BYE\r\n")
    return str(directory / name)


@pytest.mark.parametrize("ending", ["", ".in", ".out"])
@pytest.mark.parametrize(
    ("needs", "may"),
    [
        ([[b"NOOP"]], True),
        ([[b"noop"]], False),
        ([[b"last"], [b"BYE", b"x"]], True),
        ([[b"NOOP"], [b"x", b"y"]], False),
    ],
)
def test_both_halves_count(tmp_path: Path, needs: list[list[bytes]], may: bool, ending: str) -> None:
    assert may_hold(pair(tmp_path) + ending, exact(needs)) is may


def test_upper_and_lower_case_may_be_alike(tmp_path: Path) -> None:
    assert may_hold(pair(tmp_path), [[(b"noop", True)], [(b"bye", True)]])
    assert may_hold(pair(tmp_path), [[(b"noop", False), (b"bye", True)]])
    assert may_hold(pair(tmp_path), [[(b"noop", False)]]) is False


def test_one_half_alone(tmp_path: Path) -> None:
    stem = pair(tmp_path)
    Path(stem + ".out").unlink()
    assert may_hold(stem + ".in", exact([[b"NOOP"]]))
    assert not may_hold(stem, exact([[b"BYE"]]))


def test_a_text_may_lie_across_two_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needles, "PIECE", 100)
    path = tmp_path / "20261122-104500.77.1.in"
    for size in range(60, 240):
        path.write_bytes(b"x" * size + b"needle" + b"y" * size)
        assert may_hold(str(path), exact([[b"needle"]])), size
        path.write_bytes(b"x\r\n" * size + b"needle" + b"y" * size)
        assert may_hold(str(path), exact([[b"needle"]])), size


@pytest.mark.parametrize("head", [b"<<<\nNO\n>>>\n<<<\nOP", b"1795385217.000001 I> NO", b"rawlog 1 {}\n- in 2\nNO"])
def test_where_a_line_may_be_in_pieces_nothing_is_said(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "20261122-104500.77.1.in"
    path.write_bytes(head)
    assert may_hold(str(path), exact([[b"NOOP"]])) is None
    other = tmp_path / "other"
    other.write_bytes(b"1795385217.000001 a\n")
    assert may_hold(str(other), exact([[b"NOOP"]])) is None
    assert may_hold(pair(tmp_path, "20261122-104500.77.2"), []) is None


def test_what_can_not_be_read_is_for_others_to_tell(tmp_path: Path) -> None:
    (tmp_path / "20261122-104500.77.1.in").mkdir()
    assert may_hold(str(tmp_path / "20261122-104500.77.1.in"), exact([[b"x"]])) is None
