"""What is written down: masked at equal length, read by read, inflated, bounded."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Iterable

import pytest

from rawlog.dialogue.redact import Masker
from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.protocols.framing import HOLD_LIMIT, LINE_LIMIT
from rawlog.protocols.imap import ImapFramer

IN, OUT = Direction.IN, Direction.OUT
MIB = 1024 * 1024


def masker(*, keep: bool = False, **options: object) -> Masker:
    return Masker(ImapFramer(**options), keep=keep)


def recorded(events: Iterable[Event], direction: Direction) -> bytes:
    return b"".join(e.data for e in events if isinstance(e, Chunk) and e.direction is direction)


def marks(events: Iterable[Event]) -> list[Mark]:
    return [event for event in events if isinstance(event, Mark)]


class Wire:
    """One end of a conversation that may turn COMPRESS on."""

    def __init__(self) -> None:
        self._deflate = {d: zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS) for d in Direction}

    def packed(self, direction: Direction, data: bytes) -> bytes:
        return self._deflate[direction].compress(data) + self._deflate[direction].flush(zlib.Z_SYNC_FLUSH)


def talk(made: Masker, *pieces: tuple[Direction, bytes]) -> list[Event]:
    events = [event for at, (direction, data) in enumerate(pieces) for event in made.chunk(at, direction, data)]
    return events + made.end(IN) + made.end(OUT)


def test_each_read_keeps_its_time() -> None:
    made = masker()
    assert made.chunk(1, OUT, b"* OK re") == []
    assert made.chunk(2, OUT, b"ady\r\n") == [Chunk(1, OUT, b"* OK re"), Chunk(2, OUT, b"ady\r\n")]
    assert made.chunk(3, IN, b"a LOGIN ali") == made.chunk(4, IN, b"ce secr") == []
    assert made.chunk(5, IN, b"et\r\n") == [
        Chunk(3, IN, b"a LOGIN ali"),
        Chunk(4, IN, b"ce XXXX"),
        Chunk(5, IN, b"XX\r\n"),
    ]


def test_without_times() -> None:
    assert masker().chunk(None, OUT, b"* OK\r\n") == [Chunk(None, OUT, b"* OK\r\n")]


def test_a_read_may_come_out_in_parts() -> None:
    """What the client sent ahead waits; what is decided does not wait with it."""
    made = masker()
    made.chunk(1, OUT, b"* OK\r\n")
    assert made.chunk(2, IN, b"a LOGIN alice secret\r\nb SELECT x\r\n") == [Chunk(2, IN, b"a LOGIN alice XXXXXX\r\n")]
    assert made.chunk(3, OUT, b"a OK\r\n") == [Chunk(2, IN, b"b SELECT x\r\n"), Chunk(3, OUT, b"a OK\r\n")]


def test_after_login_lines_do_not_wait() -> None:
    made = masker()
    talk_in = [(OUT, b"* PREAUTH\r\n")]
    for direction, data in talk_in:
        made.chunk(0, direction, data)
    assert made.chunk(1, IN, b"a SEL") == []
    assert made.chunk(2, IN, b"ECT IN") == [Chunk(1, IN, b"a SEL"), Chunk(2, IN, b"ECT IN")]
    assert made.chunk(3, IN, b"BOX") == [Chunk(3, IN, b"BOX")]
    assert made.chunk(4, OUT, b"* 1 EX") == [Chunk(4, OUT, b"* 1 EX")]


def test_nothing_is_lost_at_the_end() -> None:
    made = masker()
    made.chunk(1, OUT, b"* OK\r\n")
    made.chunk(2, IN, b"a LOGIN {6+}\r\nsec")
    assert recorded(made.end(IN), IN) == b"XXX"
    made.chunk(3, OUT, b"a BA")
    assert made.end(OUT) == []
    assert made.end(OUT) == []


def test_keep_masks_nothing_and_waits_for_nothing() -> None:
    made = masker(keep=True)
    assert made.chunk(1, IN, b"a LOGIN alice sec") == [Chunk(1, IN, b"a LOGIN alice sec")]
    assert made.chunk(2, IN, b"ret\r\n") == [Chunk(2, IN, b"ret\r\n")]
    made.chunk(3, OUT, b"* OK\r\na OK\r\n")
    assert made.framer.user == "alice"
    assert made.end(IN) == []


def test_line_ends_in_a_secret_stay() -> None:
    events = talk(masker(), (OUT, b"* OK\r\n"), (IN, b"a LOGIN alice {8+}\r\nse\r\ncr\ne\r\n"))
    assert recorded(events, IN) == b"a LOGIN alice {8+}\r\nXX\r\nXX\nX\r\n"


def test_the_leg_towards_a_remote_server() -> None:
    events = talk(masker(client=OUT), (IN, b"* OK\r\n"), (OUT, b"a LOGIN alice secret\r\n"), (IN, b"a OK\r\n"))
    assert recorded(events, OUT) == b"a LOGIN alice XXXXXX\r\n"
    assert recorded(events, IN) == b"* OK\r\na OK\r\n"


def test_masked_twice_is_masked_once() -> None:
    pieces = [
        (OUT, b"* OK\r\n"),
        (IN, b"a LOGIN alice {6+}\r\nsecret\r\nb AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n"),
        (OUT, b"a NO\r\nb OK\r\n"),
        (IN, b"c APPEND x {5+}\r\nhello\r\nd LOGIN {3+}\r\nx\r\n\r\n"),
    ]
    once = talk(masker(), *pieces)
    twice = talk(masker(), *[(e.direction, e.data) for e in once if isinstance(e, Chunk)])
    for direction in Direction:
        assert recorded(twice, direction) == recorded(once, direction)


def compressed(*, ahead: bool) -> tuple[list[tuple[Direction, bytes]], dict[Direction, bytes]]:
    """A conversation with COMPRESS, and a login in it; ``ahead``: everything comes as early as it can."""
    wire = Wire()
    first_in, second_in = b"b AUTHENTICATE PLAIN AGJvYgBzZWNyZXQ=\r\n", b"c APPEND x {11+}\r\nd LOGIN a b\r\n"
    first_out, second_out = b"b OK done\r\n", b"c OK done\r\n"
    plain = [
        (OUT, b"* OK ready\r\n"),
        (IN, b"a COMPRESS DEFLATE\r\n"),
        (OUT, b"a OK DEFLATE active\r\n"),
        (IN, wire.packed(IN, first_in)),
        (OUT, wire.packed(OUT, first_out)),
        (IN, wire.packed(IN, second_in)),
        (OUT, wire.packed(OUT, second_out)),
    ]
    masked_in = b"a COMPRESS DEFLATE\r\nb AUTHENTICATE PLAIN XXXXXXXXXXXXXXX=\r\n" + second_in
    expected = {IN: masked_in, OUT: b"* OK ready\r\na OK DEFLATE active\r\n" + first_out + second_out}
    if ahead:
        sides = [(d, b"".join(data for where, data in plain if where is d)) for d in (IN, OUT)]
        return sides, expected
    return plain, expected


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_compress_is_inflated_and_masked(ahead: bool, chunk: int) -> None:
    pieces, expected = compressed(ahead=ahead)
    cut = [(d, data[i : i + chunk]) for d, data in pieces for i in range(0, len(data), chunk)]
    made = masker(wire_compressed=True, hold_limit=None)
    events = talk(made, *cut)
    assert {d: recorded(events, d) for d in Direction} == expected
    assert [mark.name for mark in marks(events)] == ["compress"]
    assert made.framer.user == "bob"


def test_the_compress_mark_stands_between_the_plain_and_the_inflated() -> None:
    pieces, _ = compressed(ahead=True)
    events = talk(masker(wire_compressed=True), *pieces)
    (at,) = [i for i, event in enumerate(events) if isinstance(event, Mark)]
    assert recorded(events[:at], OUT).endswith(b"DEFLATE active\r\n")
    assert recorded(events[at:], OUT).startswith(b"b OK")
    assert recorded(events[at:], IN).startswith(b"b AUTH")


def test_what_was_sent_ahead_of_compress_keeps_its_time() -> None:
    wire = Wire()
    made = masker(wire_compressed=True)
    made.chunk(1, OUT, b"* PREAUTH\r\n")
    assert made.chunk(2, IN, b"a COMPRESS DEFLATE\r\n" + wire.packed(IN, b"b NOOP\r\n"))[0].at == 2
    made.chunk(3, IN, wire.packed(IN, b"c NOOP\r\n"))
    assert made.chunk(4, OUT, b"a OK\r\n" + wire.packed(OUT, b"* OK\r\n")) == [
        Chunk(4, OUT, b"a OK\r\n"),
        Mark(4, "compress", {"algorithm": "DEFLATE"}),
        Chunk(2, IN, b"b NOOP\r\nc NOOP\r\n"),
        Chunk(4, OUT, b"* OK\r\n"),
    ]


def test_compress_with_keep() -> None:
    pieces, expected = compressed(ahead=True)
    events = talk(masker(wire_compressed=True, keep=True), *pieces)
    assert b"AGJvYgBzZWNyZXQ=" in recorded(events, IN)
    assert len(recorded(events, IN)) == len(expected[IN])


def test_compress_asked_for_again_inside() -> None:
    wire = Wire()
    events = talk(
        masker(wire_compressed=True),
        (OUT, b"* PREAUTH\r\n"),
        (IN, b"a COMPRESS DEFLATE\r\n"),
        (OUT, b"a OK\r\n" + wire.packed(OUT, b"* OK\r\n")),
        (IN, wire.packed(IN, b"b COMPRESS DEFLATE\r\n")),
        (OUT, wire.packed(OUT, b"b OK\r\n")),
        (IN, wire.packed(IN, b"c NOOP\r\n")),
    )
    assert recorded(events, IN) == b"a COMPRESS DEFLATE\r\nb COMPRESS DEFLATE\r\nc NOOP\r\n"


def test_only_one_side_is_there_and_it_is_compressed() -> None:
    pieces, expected = compressed(ahead=True)
    events = talk(masker(wire_compressed=True, hold_limit=None), pieces[0])
    assert recorded(events, IN)[:18] == expected[IN][:18]
    assert b"AGJvYgBzZWNyZXQ" not in recorded(events, IN)
    assert b"AUTHENTICATE PLAIN XXX" in recorded(events, IN)


def test_what_cannot_be_inflated_is_one_gap() -> None:
    wire = Wire()
    made = masker(wire_compressed=True)
    events = made.chunk(0, OUT, b"* PREAUTH\r\n") + made.chunk(0, IN, b"a COMPRESS DEFLATE\r\n")
    events += made.chunk(0, OUT, b"a OK\r\n")
    events += made.chunk(6, IN, wire.packed(IN, b"b NOOP\r\n"))
    for _ in range(100):
        events += made.chunk(7, IN, b"\xff\xff")
    events += made.chunk(8, OUT, wire.packed(OUT, b"b OK\r\n"))
    events += made.chunk(9, IN, b"more") + made.end(IN) + made.end(OUT)
    _, gap = marks(events)
    assert (gap.at, gap.name, gap.detail["direction"]) == (7, "gap", "in")
    assert gap.detail["cause"].startswith("compressed data cannot be inflated, the rest is not recorded: ")
    assert recorded(events, IN) == b"a COMPRESS DEFLATE\r\nb NOOP\r\n"
    assert recorded(events, OUT).endswith(b"b OK\r\n")


def test_a_bomb_costs_little_memory_and_is_one_gap() -> None:
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = pack.compress(b"a" * (128 * MIB)) + pack.flush(zlib.Z_SYNC_FLUSH)
    made = masker(wire_compressed=True)
    made.chunk(0, OUT, b"* PREAUTH\r\n")
    made.chunk(0, IN, b"a COMPRESS DEFLATE\r\n")
    made.chunk(0, OUT, b"a OK\r\n")
    found = []
    tracemalloc.start()
    try:
        for event in made.steps(1, IN, bomb):
            found += marks([event])
        for _ in range(100):
            found += marks(made.chunk(2, IN, bomb))
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()
    assert [mark.name for mark in found] == ["gap"]


@pytest.mark.parametrize(
    "begin",
    [
        b"a LOGIN alice ",
        b"a LOGIN alice {4294967295+}\r\n",
        b"a APPEND x {4294967295}\r\n",
        b"",
        b"(",
        b"a LOGIN {1000}\r\n",
        b"a AUTHENTICATE PLAIN\r\n",
    ],
)
@pytest.mark.parametrize("chunk", [16, 64 * 1024])
def test_what_waits_is_bounded(begin: bytes, chunk: int) -> None:
    made = masker()
    made.chunk(0, OUT, b"* OK\r\n")
    made.chunk(1, IN, begin)
    tracemalloc.start()
    try:
        data = b"(" * chunk
        for _ in range((MIB if chunk > 16 else HOLD_LIMIT + LINE_LIMIT) // chunk):
            made.chunk(2, IN, data)
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()
    assert b"(" not in recorded(made.end(IN), IN)


def test_a_million_parentheses_of_the_server() -> None:
    made = masker()
    made.chunk(0, OUT, b"* PREAUTH\r\n")
    line = b"* 1 FETCH (BODYSTRUCTURE " + b"(" * 1_000_000 + b"\r\n"
    events = [e for i in range(0, len(line), 1000) for e in made.chunk(1, OUT, line[i : i + 1000])]
    assert recorded(events, OUT) == line


def test_too_much_ahead_of_an_answer_is_masked_to_the_end() -> None:
    made = masker()
    made.chunk(0, OUT, b"* OK\r\n")
    made.chunk(1, IN, b"a LOGIN alice {6}\r\n")
    data = b"b LOGIN alice secret\r\n" * (HOLD_LIMIT // 20)
    events = made.chunk(2, IN, data)
    events += made.chunk(3, OUT, b"+ go on\r\na OK\r\n") + made.chunk(4, IN, data) + made.end(IN)
    assert len(recorded(events, IN)) == 2 * len(data)
    assert b"secret" not in recorded(events, IN)


def test_a_mistake_of_a_grammar_masks_everything() -> None:
    class Broken(ImapFramer):
        def on_server_line(self, line: bytes, start: int) -> list[tuple[int, int]]:
            raise ZeroDivisionError

    events = talk(Masker(Broken()), (IN, b"a LOGIN alice secret\r\n"), (OUT, b"* OK\r\n"), (IN, b"b NOOP\r\n"))
    assert recorded(events, IN) == b"XXXXXXXXXXXXXXXXXXXX\r\nXXXXXX\r\n"
    assert recorded(events, OUT) == b"XXXX\r\n"
