"""Fragments with their times."""

from __future__ import annotations

from itertools import chain

from rawlog.dialogue.exchange_pieces import HEAD, Piece, Pieces, who_is_client
from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.protocols.fragments import Kind
from rawlog.protocols.registry import framer_for

IN, OUT = Direction.IN, Direction.OUT


def pieces_of(chunks: list[Chunk], protocol: str = "imap", keep: int = HEAD) -> list[Piece]:
    pieces = Pieces(framer_for(protocol, hold_limit=None), keep=keep)
    return [*chain.from_iterable(pieces.feed(chunk) for chunk in chunks), *pieces.end()]


def test_a_fragment_has_the_times_of_its_first_and_last_byte() -> None:
    made = pieces_of(
        [
            Chunk(1, OUT, b"* PRE"),
            Chunk(2, OUT, b"AUTH ready\r"),
            Chunk(3, OUT, b"\n* 1 FETCH (BODY[] {30}\r\n0123456789"),
            *(Chunk(4 + number, OUT, b"0123456789") for number in range(2)),
            Chunk(9, OUT, b")\r\n"),
        ]
    )
    assert [(p.fragment.kind, p.began, p.ended) for p in made] == [
        (Kind.LINE, 1, 3),
        (Kind.LINE, 3, 3),
        (Kind.LITERAL, 3, 5),
        (Kind.LINE, 9, 9),
    ]
    assert made[2].data == b"0123456789" * 3


def test_a_client_that_is_understood_later_keeps_its_times() -> None:
    made = pieces_of([Chunk(1, IN, b"a NOOP\r\n"), Chunk(2, IN, b"b NOOP\r\n"), Chunk(5, OUT, b"* OK ready\r\n")])
    assert [(p.text, p.began) for p in made] == [(b"* OK ready", 5), (b"a NOOP", 1), (b"b NOOP", 2)]


def test_of_a_long_one_only_the_beginning_is_kept() -> None:
    head = b"* PREAUTH\r\n* 1 FETCH (BODY[] {100000}\r\n"
    chunks = [Chunk(0, OUT, head), *(Chunk(n, OUT, b"%05d" % n * 200) for n in range(100)), Chunk(100, OUT, b")\r\n")]
    assert pieces_of(chunks)[2].data == (b"00000" * 200)[:HEAD]
    whole = pieces_of(chunks, keep=100_000)[2]
    assert whole.data == b"".join(b"%05d" % n * 200 for n in range(100))
    assert (whole.began, whole.ended) == (0, 99)


def test_secrets_are_masked() -> None:
    made = pieces_of([Chunk(0, OUT, b"* OK\r\n"), Chunk(1, IN, b"a LOGIN alice {6+}\r\nsecret\r\n")])
    assert [p.data for p in made] == [b"* OK\r\n", b"a LOGIN alice {6+}\r\n", b"XXXXXX", b"\r\n"]
    assert pieces_of([Chunk(0, OUT, b"* OK\r\n"), Chunk(1, IN, b"a LOGIN alice secret\r\n")])[1].text.endswith(
        b"XXXXXX"
    )


def test_who_is_the_client() -> None:
    greeting: list[Event] = [Mark(0, "opened"), Chunk(1, OUT, b"220 x\r\n"), Chunk(2, IN, b"EHLO x\r\n")]
    assert who_is_client(greeting)[0] is IN
    mirrored: list[Event] = [Chunk(1, IN, b"220 x\r\n"), Chunk(2, OUT, b"EHLO x\r\n")]
    client, events = who_is_client(iter(mirrored))
    assert client is OUT
    assert list(events) == mirrored
    assert who_is_client([])[0] is IN
