"""The layout of a sealed recording: what a killed writer leaves is read to its end, and every change is found."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from rawlog.formats.sealed import CHUNK, DAMAGED, NOT_FINISHED, SLOT
from tests.support.sealing import sealed_sink, unsealed

MUTATIONS = int(os.environ.get("RAWLOG_MUTATIONS", "400"))
"""Changes that are tried; RAWLOG_MUTATIONS=10000 is what P24 asks for."""


def recorded(path: Path, sizes: list[int], *, finished: bool) -> tuple[bytes, bytes]:
    """Text, and the file that it became."""
    source = random.Random(len(sizes))
    sink = sealed_sink(path)
    text = [source.randbytes(size) for size in sizes]
    for piece in text:
        sink.write(piece)
    if finished:
        sink.close()
    data = path.read_bytes()
    sink.close()
    return b"".join(text), data


WRITES = [[1], [100] * 30, [CHUNK], [CHUNK, 1], [CHUNK - 1, 1, 1], [48_000] * 5, [3 * CHUNK], [5, 2 * CHUNK, 9]]


@pytest.mark.parametrize("sizes", WRITES)
def test_nothing_is_missing_when_the_writer_was_killed(tmp_path: Path, sizes: list[int]) -> None:
    text, data = recorded(tmp_path / "a.age", sizes, finished=False)
    assert unsealed(data) == (text, [NOT_FINISHED])


@pytest.mark.parametrize("sizes", WRITES)
def test_a_finished_file_is_no_longer_than_its_text_and_tags(tmp_path: Path, sizes: list[int]) -> None:
    text, data = recorded(tmp_path / "a.age", sizes, finished=True)
    assert unsealed(data) == (text, [])
    chunks = max(1, -(-len(text) // CHUNK))
    assert len(data) - len(text) == 16 * chunks + 184  # the header for one recipient, and the nonce


@pytest.mark.parametrize("sizes", [[100] * 30, [CHUNK, 1, 50], [48_000] * 5])
def test_a_torn_end_costs_the_torn_piece_only(tmp_path: Path, sizes: list[int]) -> None:
    text, data = recorded(tmp_path / "a.age", sizes, finished=False)
    for cut in range(1, 400, 7):
        got, why = unsealed(data[:-cut])
        assert text.startswith(got)
        assert len(text) - len(got) <= cut + max(sizes[-4:])
        assert why == [NOT_FINISHED]


def test_pieces_that_were_not_cut_off_yet_are_passed_over(tmp_path: Path) -> None:
    text, data = recorded(tmp_path / "a.age", [100] * 3, finished=False)
    pieces = data[184 + SLOT :]
    sink = sealed_sink(tmp_path / "b.age")
    whole = (tmp_path / "b.age").read_bytes()
    sink.write(text)
    more = b"x" * CHUNK
    before = (tmp_path / "b.age").read_bytes()
    sink.write(more)
    behind = (tmp_path / "b.age").read_bytes()[: 184 + SLOT]
    assert not whole
    assert unsealed(behind + before[184 + SLOT :])[1] == [NOT_FINISHED]  # killed between the chunk and the cut
    assert unsealed(behind + pieces)[1] == [DAMAGED]  # of another file
    sink.close()


def test_every_change_of_a_finished_file_is_found(tmp_path: Path) -> None:
    text, data = recorded(tmp_path / "a.age", [48_000] * 5, finished=True)
    source = random.Random(1)
    for _ in range(MUTATIONS):
        changed = mutated(source, data)
        if changed == data:
            continue
        try:
            got, why = unsealed(changed)
        except AssertionError:  # its header gives no key
            continue
        assert why, "nobody noticed"
        assert text.startswith(got), "something was given that was not written there"


def mutated(source: random.Random, data: bytes) -> bytes:
    """A flip, a cut, something taken out, swapped or doubled."""
    at, to = sorted(source.sample(range(len(data)), 2))
    kind = source.randrange(6)
    if kind == 0:
        return data[:at] + bytes([data[at] ^ 1 << source.randrange(8)]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + data[to:]
    if kind == 3:
        return data[:at] + data[to:] + data[at:to]
    if kind == 4:
        return data[:to] + data[at:]
    first, second = 184, 184 + SLOT
    return data[:first] + data[second : second + SLOT] + data[first:second] + data[second + SLOT :]
