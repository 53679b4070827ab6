"""The framer's machine, with a toy grammar of its own."""

from __future__ import annotations

import tracemalloc

import pytest

from rawlog.events import Direction
from rawlog.protocols.framing import HOLD_LIMIT, LINE_LIMIT, Fragment, Kind, Span, Switch
from tests.support.toy import Toy

IN, OUT = Direction.IN, Direction.OUT


def greeted(**options: object) -> Toy:
    toy = Toy(**options)
    toy.feed(toy.server.direction, b"hi\n")
    return toy


def cut(fragments: list[Fragment]) -> list[tuple[Kind, int, int]]:
    return [(f.kind, f.start, f.end) for f in fragments]


def test_the_client_is_held_until_the_server_speaks() -> None:
    toy = Toy()
    assert toy.feed(IN, b"one\n") == []
    assert toy.feed(OUT, b"h") == []
    assert toy.feed(OUT, b"i\n") == [Fragment(OUT, Kind.LINE, 0, 3, b"hi\n"), Fragment(IN, Kind.LINE, 0, 4, b"one\n")]


def test_what_follows_a_hold_is_cut_after_the_answer() -> None:
    toy = greeted()
    assert cut(toy.feed(IN, b"ASK\nLIT 3\nabc\n")) == [(Kind.LINE, 0, 4)]
    assert not toy.expects_command()
    assert toy.settled(IN) == 4
    assert toy.feed(OUT, b"what\n")[0].direction is OUT
    made = toy.feed(OUT, b"ok\n")
    assert cut(made[1:]) == [(Kind.LINE, 4, 10), (Kind.LITERAL, 10, 13), (Kind.LINE, 13, 14)]


def test_the_end_of_a_direction() -> None:
    toy = greeted()
    assert toy.feed(IN, b"rest") == []
    assert toy.end(IN) == [Fragment(IN, Kind.LINE, 0, 4, b"rest")]
    assert toy.end(IN) == []
    assert toy.end(OUT) == []


@pytest.mark.parametrize(("size", "kept"), [(0, b""), (4, b"abcd"), (5, None)])
def test_short_literals_are_given_to_the_grammar(size: int, kept: bytes | None) -> None:
    toy = greeted()
    toy.feed(IN, b"LIT %d\nab" % size)
    toy.feed(IN, b"cdefgh")
    assert toy.literals == [kept]
    assert toy.expects_bytes() == 0


def test_bytes_a_literal_still_owes() -> None:
    toy = greeted()
    toy.feed(IN, b"SECRETLIT 10\nabc")
    assert toy.expects_bytes() == 7
    assert toy.settled(IN) == 16
    assert toy.secret_from(IN) == 13
    assert toy.end(IN) == [Fragment(IN, Kind.LITERAL, 13, 16, b"", ((13, 16),))]


def test_secrets_of_a_line() -> None:
    (line,) = greeted().feed(IN, b"PASS word\r\n")
    assert line.secrets == ((5, 9),)


@pytest.mark.parametrize("chunk", [1, 2, 3, 1000])
def test_dot_blocks(chunk: int) -> None:
    toy = greeted()
    data = b"BLOCK\r\na\r\n..\r\n.x\r\n\n.\n\r\n.\r\nSECRETBLOCK\r\n.\r\nSECRETBLOCK\r\nab\r\n.\r\nBLOCK\r\nx\r\n."
    made = []
    for i in range(0, len(data), chunk):
        made += toy.feed(IN, data[i : i + chunk])
        assert toy.settled(IN) <= i + chunk
    made += toy.end(IN)
    blocks = [f for f in made if f.kind is Kind.BLOCK]
    assert [data[f.start : f.end] for f in blocks] == [
        b"a\r\n..\r\n.x\r\n\n.\n\r\n.\r\n",
        b".\r\n",
        b"ab\r\n.\r\n",
        b"x\r\n.",
    ]
    assert [[data[a:b] for a, b in f.secrets] for f in blocks] == [[], [], [b"ab\r\n"], []]
    assert toy.blocks == 4


def test_the_dot_of_a_secret_block_waits() -> None:
    """Whether it is the end, and so no secret, is known with the line's end only."""
    toy = greeted()
    toy.feed(IN, b"SECRETBLOCK\r\nab\r\n.\r")
    assert toy.expects_block()
    assert toy.settled(IN) == 17
    toy.feed(IN, b"x")
    assert toy.settled(IN) == 20


def long_line(toy: Toy, data: bytes, chunk: int) -> list[Fragment]:
    made: list[Fragment] = []
    for i in range(0, len(data), chunk):
        made += toy.feed(IN, data[i : i + chunk])
    return made


@pytest.mark.parametrize("chunk", [1000, LINE_LIMIT, 10 * LINE_LIMIT])
@pytest.mark.parametrize("head", [b"PASS ", b"what "])
def test_long_lines_are_opaque(chunk: int, head: bytes) -> None:
    toy = greeted()
    data = head + b"x" * LINE_LIMIT + b" end\r\nnext\r\n"
    end = len(data) - 6
    made = long_line(toy, data, chunk)
    secrets = ((0, end),) if head == b"PASS " else ()
    assert made == [Fragment(IN, Kind.OPAQUE, 0, end, b"", secrets), Fragment(IN, Kind.LINE, end, end + 6, b"next\r\n")]
    seen = toy.lines[1]
    assert seen.startswith(head)
    assert seen.endswith(b"x end\r\n")
    assert len(seen) < LINE_LIMIT + 10


@pytest.mark.parametrize("chunk", [1, 777, 10 * LINE_LIMIT])
def test_a_line_of_just_the_limit_is_a_line(chunk: int) -> None:
    data = b"y" * (LINE_LIMIT - 1) + b"\n"
    assert cut(long_line(greeted(), data, chunk)) == [(Kind.LINE, 0, LINE_LIMIT)]
    assert cut(long_line(greeted(), b"z" + data, chunk)) == [(Kind.OPAQUE, 0, LINE_LIMIT + 1)]


@pytest.mark.parametrize("chunk", [999, 10 * LINE_LIMIT])
def test_a_literal_behind_a_long_line(chunk: int) -> None:
    toy = greeted()
    head = b"x" * LINE_LIMIT + b"LIT 4\n"
    assert cut(long_line(toy, head + b"abcdnext\n", chunk)) == [
        (Kind.OPAQUE, 0, len(head)),
        (Kind.LITERAL, len(head), len(head) + 4),
        (Kind.LINE, len(head) + 4, len(head) + 9),
    ]


def test_a_long_line_that_never_ends() -> None:
    toy = greeted()
    toy.feed(IN, b"PASS" + b"x" * LINE_LIMIT)
    assert toy.settled(IN) == LINE_LIMIT + 4
    assert toy.secret_from(IN) == 0
    assert toy.end(IN) == [Fragment(IN, Kind.OPAQUE, 0, LINE_LIMIT + 4, b"", ((0, LINE_LIMIT + 4),))]


def test_a_long_line_of_the_server() -> None:
    toy = Toy()
    made = toy.feed(OUT, b"x" * (LINE_LIMIT + 1) + b"\n") + toy.feed(IN, b"next\n")
    assert cut(made) == [(Kind.OPAQUE, 0, LINE_LIMIT + 2), (Kind.LINE, 0, 5)]


def test_too_much_ahead_of_an_answer_is_opaque_and_secret() -> None:
    toy = greeted()
    toy.feed(IN, b"ASK\n" + b"LIT 3\n" * (HOLD_LIMIT // 6))
    assert not toy.is_lost(IN)
    assert toy.feed(IN, b"LIT 3\n") == []
    assert toy.is_lost(IN)
    # Nothing that the server says now brings the client's side back.
    toy.feed(OUT, b"ok\n")
    toy.hold()
    toy.expect_literal(toy.client, 5)
    toy.expect_block(toy.client)
    toy.feed(IN, b"more")
    end = toy.client.tape.end
    assert toy.settled(IN) == end
    assert toy.secret_from(IN) == 4
    assert toy.end(IN) == [Fragment(IN, Kind.OPAQUE, 4, end, b"", ((4, end),))]


def test_what_is_stored_may_be_held_without_limit() -> None:
    toy = greeted(hold_limit=None)
    toy.feed(IN, b"ASK\n" + b"x\n" * HOLD_LIMIT)
    assert len(toy.feed(OUT, b"ok\n")) == HOLD_LIMIT + 1


def test_a_server_that_says_no_more() -> None:
    toy = greeted()
    toy.feed(IN, b"ASK\nASK\nx\n")
    assert cut(toy.end(OUT)) == [(Kind.LINE, 4, 8), (Kind.LINE, 8, 10)]
    assert toy.silent == 2


def test_a_server_that_is_not_understood_any_more() -> None:
    toy = greeted()
    toy.feed(IN, b"ASK\nx\n")
    toy.opaque(toy.server, secret=False)
    assert cut(toy.feed(OUT, b"ok\n")) == [(Kind.LINE, 4, 6)]
    assert toy.end(OUT) == [Fragment(OUT, Kind.OPAQUE, 3, 6)]


def test_harmless_beginnings_are_settled() -> None:
    toy = greeted()
    toy.feed(IN, b"harm")
    assert toy.settled(IN) == 0
    toy.feed(IN, b"less")
    assert toy.settled(IN) == 8
    toy.hold()
    assert toy.settled(IN) == 0


def test_nothing_of_the_server_is_settled_before_its_first_line() -> None:
    toy = Toy()
    toy.feed(OUT, b"harmless")
    assert toy.settled(OUT) == 0
    toy.feed(OUT, b"\n")
    assert toy.settled(OUT) == 9


@pytest.mark.parametrize(("word", "secrets"), [(b"yes", ((7, 12),)), (b"no", ())])
def test_what_is_pinned_is_decided_by_the_next_line(word: bytes, secrets: tuple[Span, ...]) -> None:
    toy = greeted()
    assert cut(toy.feed(IN, b"NAME 5\nali")) == [(Kind.LINE, 0, 7)]
    assert toy.feed(IN, b"ce") == []
    assert toy.settled(IN) == 7
    literal, line = toy.feed(IN, word + b"\n")
    assert literal == Fragment(IN, Kind.LITERAL, 7, 12, b"", secrets)
    assert line.secrets == ()
    assert toy.settled(IN) == 13 + len(word)


@pytest.mark.parametrize("data", [b"NAME 5\nal", b"NAME 5\nalice"])
def test_what_is_pinned_at_the_end_is_secret(data: bytes) -> None:
    toy = greeted()
    toy.feed(IN, data)
    assert toy.settled(IN) == 7
    assert toy.end(IN) == [Fragment(IN, Kind.LITERAL, 7, len(data), b"", ((7, len(data)),))]
    assert toy.settled(IN) == len(data)


def test_tls_records_after_starttls_are_opaque_and_secret() -> None:
    toy = greeted()
    toy.feed(IN, b"TLS\n")
    toy.feed(OUT, b"ok\n")
    assert toy.tls_started
    assert toy.feed(IN, b"\x16\x03\x01\n") == toy.feed(OUT, b"\x15\x03\x03\n") == []
    assert toy.is_lost(IN)
    assert toy.is_lost(OUT)
    assert toy.end(IN) == [Fragment(IN, Kind.OPAQUE, 4, 8, b"", ((4, 8),))]
    assert toy.end(OUT) == [Fragment(OUT, Kind.OPAQUE, 6, 10, b"", ((6, 10),))]


def test_the_inside_of_tls_is_cut() -> None:
    toy = greeted()
    toy.feed(IN, b"TLS\n")
    toy.feed(OUT, b"ok\n")
    assert cut(toy.feed(IN, b"x\n\x16\n")) == [(Kind.LINE, 4, 6), (Kind.LINE, 6, 8)]


def test_tls_from_the_first_byte_is_found_in_what_is_stored_only() -> None:
    """The inside of a live conversation is known to be no TLS; who begins like it must not stop the recorder's eyes."""
    stored, live = Toy(hold_limit=None), Toy()
    for toy in (stored, live):
        toy.feed(IN, b"\x16\x03\x01\n")
        toy.feed(OUT, b"\x16\x03\x03\n")
    assert stored.is_lost(IN)
    assert stored.is_lost(OUT)
    assert not live.is_lost(IN)
    assert not live.is_lost(OUT)


def test_compress_gives_the_rest_back() -> None:
    toy = greeted(wire_compressed=True)
    toy.feed(IN, b"COMPRESS\nabc")
    made = toy.feed(OUT, b"ok\ndef")
    assert cut(made) == [(Kind.LINE, 3, 6)]
    assert toy.switch is Switch.COMPRESS
    assert toy.feed(IN, b"d") == []
    assert (toy.settled(IN), toy.settled(OUT)) == (9, 6)
    assert (toy.take_rest(IN), toy.take_rest(OUT)) == (b"abcd", b"def")
    assert toy.resume() == []
    assert cut(toy.feed(IN, b"x\n")) == [(Kind.LINE, 9, 11)]
    assert cut(toy.feed(IN, b"COMPRESS\n")) == [(Kind.LINE, 11, 20)]
    assert cut(toy.feed(OUT, b"ok\n")) == [(Kind.LINE, 6, 9)]
    assert toy.switch is None


def test_compress_is_no_switch_in_what_is_inflated_already() -> None:
    toy = greeted()
    toy.feed(IN, b"COMPRESS\nx\n")
    assert cut(toy.feed(OUT, b"ok\n")) == [(Kind.LINE, 3, 6), (Kind.LINE, 9, 11)]
    assert toy.switch is None


@pytest.mark.parametrize("end", [True, False])
def test_a_mistake_of_the_grammar_makes_everything_opaque_and_secret(end: bool) -> None:
    toy = greeted()
    assert cut(toy.feed(IN, b"ASK\n")) == [(Kind.LINE, 0, 4)]
    assert toy.feed(OUT, b"FAIL\n") == []
    assert isinstance(toy.failure, ZeroDivisionError)
    toy.feed(IN, b"PASS word\n")
    assert (toy.settled(IN), toy.secret_from(IN)) == (14, 4)
    assert (toy.settled(OUT), toy.secret_from(OUT)) == (8, 3)
    assert toy.end(IN) == [Fragment(IN, Kind.OPAQUE, 4, 14, b"", ((4, 14),))]
    assert toy.end(OUT) == [Fragment(OUT, Kind.OPAQUE, 3, 8, b"", ((3, 8),))]


def test_a_mistake_about_a_beginning() -> None:
    toy = greeted()
    toy.feed(IN, b"fail")
    assert toy.settled(IN) == 4
    assert toy.secret_from(IN) == 0
    assert isinstance(toy.failure, ZeroDivisionError)


def test_a_mistake_while_something_is_pinned() -> None:
    toy = greeted()
    toy.feed(IN, b"NAME 5\nalice")
    (literal,) = toy.feed(OUT, b"FAIL\n")
    assert literal == Fragment(IN, Kind.LITERAL, 7, 12, b"", ((7, 12),))


def test_the_client_may_be_the_other_direction() -> None:
    toy = Toy(client=OUT)
    toy.feed(IN, b"hi\n")
    assert toy.feed(OUT, b"PASS word\n")[0].secrets == ((5, 9),)


def test_where_tls_begins() -> None:
    toy = greeted()
    toy.feed(IN, b"TLS\nx")
    toy.feed(OUT, b"ok\n")
    assert toy.tls_at == {IN: 4, OUT: 6}


@pytest.mark.parametrize(
    ("begin", "end"),
    [(b"", b"\n"), (b"PASS", b"\n"), (b"LIT 4294967295\n", b""), (b"SECRETBLOCK\n", b""), (b"BLOCK\n", b"")],
)
def test_a_gibibyte_costs_no_memory(begin: bytes, end: bytes) -> None:
    toy = greeted()
    chunk = b"(" * (64 * 1024)
    tracemalloc.start()
    try:
        toy.feed(IN, begin)
        for _ in range(1024 * 16 if b"BLOCK" not in begin else 1024):
            toy.feed(IN, chunk)
            assert toy.client.tape.end - toy.settled(IN) <= LINE_LIMIT
        toy.feed(IN, end)
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_mebibyte_line_in_small_steps() -> None:
    toy = greeted()
    for _ in range(1024 * 1024 // 16):
        toy.feed(IN, b"0123456789abcdef")
    assert cut(toy.feed(IN, b"\n")) == [(Kind.OPAQUE, 0, 1024 * 1024 + 1)]


def test_many_lines_in_one_piece() -> None:
    toy = greeted()
    assert len(toy.feed(IN, b"x\n" * 100_000)) == 100_000
