"""When the first events are enough."""

from __future__ import annotations

import pytest

from rawlog.dialogue.beginning import Beginning
from rawlog.dialogue.exchange_pieces import LOOK
from rawlog.events import Chunk, Direction, Mark

IN, OUT = Direction.IN, Direction.OUT


@pytest.mark.parametrize(
    ("first", "protocol", "client"),
    [
        ([(OUT, b"* OK ready\r\n")], "imap", IN),
        ([(OUT, b"+OK ready\r\n")], "pop3", IN),
        ([(IN, b"* OK ready\r\n")], "imap", OUT),
        ([(OUT, b"220 mail\r\n"), (IN, b"EHLO x\r\n")], "smtp", IN),
        ([(OUT, b"220 mail\r\n"), (IN, b"LHLO x\r\n")], "lmtp", IN),
        ([(OUT, b"* O"), (OUT, b"K ready\r\n")], "imap", IN),
    ],
)
def test_the_last_of_these_tells(first: list[tuple[Direction, bytes]], protocol: str, client: Direction) -> None:
    beginning = Beginning()
    beginning.take(Mark(1, "opened"))
    told = [beginning.take(Chunk(1, direction, data)) for direction, data in first]
    assert told[-1]
    assert told[0] == (len(told) == 1 or first[0][1] == b"* O")
    assert beginning.told() == (protocol, client)
    assert len(beginning.events) == 1 + len(first)


def test_what_nobody_knows_is_waited_for_no_longer_than_that() -> None:
    beginning = Beginning()
    assert [beginning.take(Chunk(1, OUT, b"\0\1\2")) for _ in range(LOOK)] == [False] * (LOOK - 1) + [True]
    assert beginning.told() == (None, IN)


def test_what_somebody_knows_already() -> None:
    beginning = Beginning("lmtp")
    assert beginning.take(Chunk(1, IN, b"LHLO x\r\n"))
    assert beginning.told() == ("lmtp", IN)
