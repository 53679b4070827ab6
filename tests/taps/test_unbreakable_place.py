"""Cards travel as they are, and the version stands for everything that releases must agree on."""

from __future__ import annotations

import hashlib
import os
import pickle
import pickletools
import zlib
from collections.abc import Iterator
from pathlib import Path

from rawlog.engine import ledger
from rawlog.events import Direction
from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.gap import Gap
from rawlog.recorder.limits import FreeSpace, Limit
from rawlog.recorder.scribe import _State
from rawlog.taps.unbreakable_place import VERSION, Card, Place, decode_card, numbers
from rawlog.taps.unbreakable_reader import PostLoginReader


def test_a_card_comes_back() -> None:
    files = [(Direction.IN, "/home/ä\udcff/x.in"), (Direction.OUT, "/home/x.out")]
    card = Card("rawlog(ü)", True, False, True, files, 1000, 2000)
    assert decode_card(card.encode()) == card


def test_a_limit_comes_back(tmp_path: Path) -> None:
    with (tmp_path / "x.in").open("wb") as file:
        for limit in (None, Limit(0), Limit(10), Limit(10, FreeSpace("/", 1 << 80))):
            found = Card("u", False, False, True, [], *numbers(limit)).limit(file.fileno())
            for more in (5, 50):
                assert found.reached(0, more) == ("" if limit is None else limit.reached(0, more))


def test_a_place_closes_its_descriptors() -> None:
    fds = os.pipe()
    Place(0, b"", fds).close()
    for fd in fds:
        try:
            os.fstat(fd)
        except OSError:
            continue
        raise AssertionError(f"{fd} is open")


SHAPES = {1: "f406d75a242f0ac8"}
"""What the names in a pickled state sum up to, by the version that stands for them."""


def states() -> Iterator[bytes]:
    """States as they are stored: of a conversation that is plain, one that is masked, one that is compressed."""
    answer = b"a1 OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] in\r\n"
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(b"a3 NOOP\r\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    compressed = [(0, b"a2 COMPRESS DEFLATE\r\n"), (1, b"a2 OK\r\n"), (0, packed)]
    masked = [(0, b"a2 APPEND x {9+}\r\nhal")]
    for keep, talk in ((True, []), (False, masked), (True, compressed)):
        state = _State(PairEncoder(True, True), PostLoginReader(keep=keep))
        state.gap = Gap("full", 1, 2)
        for side, data in [(1, answer), *talk] if talk else [(1, b"a1 OK in\r\n")]:
            state.reader.chunk(7, tuple(Direction)[side], data)
        yield pickle.dumps(state, protocol=5)


def test_the_version_stands_for_the_states_that_are_stored() -> None:
    words = {str(word) for state in states() for _, word, _ in pickletools.genops(state) if isinstance(word, str)}
    names = sorted(word for word in words if all(part.isidentifier() for part in word.split(".")))
    sizes = [f"{name}={size}" for name, size in vars(ledger).items() if name.isupper() and isinstance(size, int)]
    shape = hashlib.sha256(" ".join([*names, *sizes]).encode()).hexdigest()[:16]
    assert SHAPES[VERSION] == shape, (
        f"workers of the last release could not read these states: raise VERSION and note {VERSION + 1}: {shape!r}"
        f" (or {VERSION}: {shape!r}, if {VERSION} was never released); names: {names} {sizes}"
    )
