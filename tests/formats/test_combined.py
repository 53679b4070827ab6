"""The combined stream: as newer Dovecot versions write it, and both forms read."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.errors import FormatError
from rawlog.events import Chunk, Direction, Mark
from rawlog.formats.combined import CombinedDecoder, CombinedEncoder
from tests.support import golden

IN, OUT = Direction.IN, Direction.OUT
T = 1795385217000000


def encode(chunks: list[tuple[int, Direction, bytes]]) -> bytes:
    encoder = CombinedEncoder()
    written = [encoder.chunk(*chunk) for chunk in chunks]
    return b"".join([*written, encoder.end(IN), encoder.end(OUT)])


def decode(data: bytes, size: int = 0, *, strict: bool = False) -> list[Chunk]:
    decoder = CombinedDecoder(strict=strict, name="conn1.tcp")
    pieces = [data] if not size else [data[at : at + size] for at in range(0, len(data), size)]
    return [chunk for piece in pieces for chunk in decoder.feed(piece)] + decoder.end()


def side(chunks: list[Chunk], direction: Direction) -> bytes:
    return b"".join(chunk.data for chunk in chunks if chunk.direction is direction)


# -- against what Dovecot wrote ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", golden.files(".tcp"), ids=golden.name)
@pytest.mark.parametrize("size", [0, 1, 100, 65536])
def test_streams_of_dovecot_give_what_the_client_sent_and_received(path: Path, size: int) -> None:
    client = path.stem.replace("conn", "c")
    sent, received = (b"".join(golden.texts("tcp_rawlog", kind, client)) for kind in "CS")
    chunks = decode(path.read_bytes(), size, strict=True)
    assert side(chunks, IN) == sent.removesuffix(b"a10 partial")  # Dovecot 2.3 drops an unfinished line
    assert side(chunks, OUT) == received
    assert all(earlier.at <= later.at for earlier, later in pairwise(chunks) if earlier.at and later.at)


def test_reads_of_the_client_give_the_lines_that_dovecot_wrote() -> None:
    theirs = (golden.FOLDER / "tcp_rawlog/conn1.tcp").read_bytes()
    theirs = re.sub(rb"(I> Z{9000})", rb"\1\n", theirs)  # newer versions end a piece with LF
    reads = golden.texts("tcp_rawlog", "C")
    ours = encode([(T, IN, data) for data in reads])
    only_in = [line for line in theirs.splitlines(keepends=True) if b" I: " in line[:30] or b" I> " in line[:30]]
    assert golden.normal(ours) == golden.normal(b"".join(only_in)) + b"TS I> a10 partial\n"


# -- the rules, one by one -----------------------------------------------------------------------------------------


def test_a_line_waits_for_its_end_and_has_that_time() -> None:
    encoder = CombinedEncoder()
    assert encoder.chunk(T, IN, b"a3 ") == b""
    assert encoder.chunk(T + 1, OUT, b"* BYE\r\n") == b"1795385217.000001 O: * BYE\r\n"
    assert encoder.chunk(T + 2, IN, b"NOOP\r\na4") == b"1795385217.000002 I: a3 NOOP\r\n"
    assert encoder.end(OUT) == b""
    assert encoder.end(IN) == b"1795385217.000002 I> a4\n"


@pytest.mark.parametrize(
    ("sizes", "written"),
    [([8191], []), ([8192], [8192]), ([9000], [9000]), ([8191, 1], [8192]), ([4000, 8000], [12000])],
)
def test_bytes_without_lf_wait_up_to_8192(sizes: list[int], written: list[int]) -> None:
    encoder = CombinedEncoder()
    pieces = [encoder.chunk(T, OUT, b"x" * size) for size in sizes]
    assert [len(piece) - len(b"1795385217.000000 O> \n") for piece in pieces if piece] == written


def test_what_follows_a_piece_has_a_mark_of_its_own() -> None:
    assert encode([(T, OUT, b"x" * 9000), (T + 1, OUT, b"\r\n")]).endswith(b"x\n1795385217.000001 O: \r\n")


def test_a_line_of_any_length_is_whole() -> None:
    assert encode([(T, OUT, b"x" * 9000 + b"\r\n")]) == b"1795385217.000000 O: " + b"x" * 9000 + b"\r\n"


def test_nothing_is_written_for_a_mark() -> None:
    assert CombinedEncoder().mark(Mark(T, "login")) == b""
    assert CombinedEncoder().single


@pytest.mark.parametrize("size", [0, 1, 50])
def test_pieces_without_newline_are_told_apart_even_after_digits(size: int) -> None:
    data = b"1795385452.110168 I> %b1795385452.201473 O> %b1795385452.232216 I: \r\n" % (b"7" * 9000, b"y" * 8192)
    assert decode(data)[-1] == Chunk(1795385452232216, IN, b"\r\n")
    assert side(decode(data, size), IN) == b"7" * 9000 + b"\r\n"
    assert side(decode(data, size), OUT) == b"y" * 8192


def test_a_short_piece_with_a_stamp_in_it_is_one_piece() -> None:
    data = b"1795385452.110168 I> x1795385452.201473 O: y\n"
    assert side(decode(data), IN) == b"x1795385452.201473 O: y"


def test_a_line_without_mark_belongs_to_the_direction_before() -> None:
    assert decode(b"1795385217.000000 O: a\r\nb\r\n") == [Chunk(T, OUT, b"a\r\nb\r\n")]
    assert decode(b"b\r\n") == [Chunk(None, IN, b"b\r\n")]


def test_strict_reading_names_file_and_line() -> None:
    with pytest.raises(FormatError, match=r"^conn1\.tcp: line 2: timestamp and mark expected, got b'b'$"):
        decode(b"1795385217.000000 O: a\r\nb\r\n", strict=True)


# -- properties ----------------------------------------------------------------------------------------------------

parts = st.one_of(
    st.sampled_from([b"\n", b"\r\n", b"x" * 8192, b"y" * 4096, b"1795385217", b".000000 ", b"I> ", b"O: ", b"\0\xff"]),
    st.binary(max_size=20),
)
reads = st.lists(parts, min_size=1, max_size=5).map(b"".join)
conversations = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([IN, OUT]), reads), max_size=8)


@settings(max_examples=150, deadline=None)
@given(conversations, st.sampled_from([0, 1, 7, 5000]))
def test_what_was_encoded_is_decoded(chunks: list[tuple[int, Direction, bytes]], size: int) -> None:
    written = encode([(T + at, direction, data) for at, direction, data in chunks])
    read = decode(written, size, strict=True)
    if re.search(rb"\.[0-9]{6} [IO][:>] ", b"".join(chunk.data for chunk in read)):
        return  # the payload looks like a mark: the documented limit of the format
    for direction in (IN, OUT):
        assert side(read, direction) == b"".join(data for _, one, data in chunks if one is direction)


@settings(max_examples=150, deadline=None)
@given(st.lists(parts, max_size=8).map(b"".join), st.integers(1, 9))
def test_garbage_is_read_alike_however_it_is_cut(data: bytes, size: int) -> None:
    whole, cut = decode(data), decode(data, size)
    assert [side(whole, IN), side(whole, OUT)] == [side(cut, IN), side(cut, OUT)]
