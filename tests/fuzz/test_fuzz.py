"""Fuzzing as far as it goes in seconds: the same inputs in every run, and all inputs that ever broke a promise."""

from __future__ import annotations

import pytest

from rawlog.events import Direction
from rawlog.protocols.pop3 import Pop3Framer
from tests.fuzz import corpus
from tests.fuzz.mutation import LIMIT, Mutator
from tests.fuzz.run import FOUND
from tests.fuzz.shape import crumbs, data_of, joined, pieces_of
from tests.fuzz.targets import TARGETS

INPUTS = 60
"""Inputs for each target here; ``make fuzz`` tries for as long as one likes."""


@pytest.mark.parametrize("name", TARGETS)
def test_no_promise_is_broken(name: str) -> None:
    target = TARGETS[name]
    mutator = Mutator(target.seeds(), corpus.words(*target.seeds()), seed=1)
    for data in (*target.seeds()[:5], b"", *(mutator.next() for _ in range(INPUTS))):
        try:
            target.check(data)
        except Exception as error:
            pytest.fail(f"{data!r}: {error!r}")


def test_what_was_found_once_stays_mended() -> None:
    for path in sorted(FOUND.glob("*/*")):
        TARGETS[path.parent.name].check(path.read_bytes())


def test_a_broken_promise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(self: Pop3Framer, text: bytes, start: int) -> list[tuple[int, int]]:
        raise ValueError(text)

    monkeypatch.setattr(Pop3Framer, "on_command", careless)
    with pytest.raises(AssertionError):
        TARGETS["pop3"].check(b"+OK\r\n\xfeUSER x\r\n")


def test_the_same_seed_gives_the_same_inputs() -> None:
    made = [[Mutator([b"a NOOP\r\n"], [b"LOGIN"], seed).next() for _ in range(50)] for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    assert all(len(data) <= LIMIT for data in made[0])


def test_conversations_come_back_from_their_bytes() -> None:
    pieces = [
        (Direction.OUT, b"\xfd\xfe* OK\r\n"),
        (Direction.IN, b"a"),
        (Direction.IN, b"\xff\r\n"),
        (Direction.OUT, b"x"),
    ]
    assert pieces_of(data_of(pieces)) == pieces
    assert joined(pieces) == [pieces[0], (Direction.IN, b"a\xff\r\n"), pieces[3]]
    assert crumbs(pieces[1:3]) == [(Direction.IN, bytes([byte])) for byte in b"a\xff\r\n"]
    assert pieces_of(data_of([(Direction.IN, b"x")])) == [(Direction.IN, b"x")]
