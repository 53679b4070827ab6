"""Dovecot's pair: the same bytes as Dovecot writes, and back again however the file is cut."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.errors import FormatError
from rawlog.events import Chunk, Direction, Mark
from rawlog.formats.dovecot import BLOCK_LIMIT, PairDecoder, PairEncoder
from tests.support import golden

IN, OUT = Direction.IN, Direction.OUT
T = 1795385217000000


def encode(encoder: PairEncoder, chunks: list[tuple[int, bytes]], direction: Direction = IN) -> bytes:
    written = [encoder.chunk(at, direction, data) for at, data in chunks]
    return b"".join([*written, encoder.end(direction)])


def decode(decoder: PairDecoder, data: bytes, size: int = 0) -> list[Chunk]:
    pieces = [data] if not size else [data[at : at + size] for at in range(0, len(data), size)]
    return [chunk for piece in pieces for chunk in decoder.feed(piece)] + decoder.end()


def joined(chunks: list[Chunk]) -> bytes:
    return b"".join(chunk.data for chunk in chunks)


# -- the encoder against what Dovecot wrote ------------------------------------------------------------------------

WRITTEN = [
    ("postlogin_rawlog_plain/20261122-221430-7832.in", "c1", False, False),
    ("postlogin_rawlog_ip/127.0.0.1-20261122-221446-9418.in", "c1", False, False),
    ("postlogin_rawlog_fin/20261122-221449-10299.in", "c1", False, False),
    ("postlogin_rawlog_b/20261122-221437-8440.in", "c1", False, True),
    ("postlogin_rawlog_t/20261122-221434-8155.in", "c1", True, False),
    ("postlogin_client_close/20261122-221713-19760.in", "c1", True, False),
    ("postlogin_sigterm_rawlog/20261122-221653-19495.in", "c1", True, False),
    ("imap_rawlog_dir_basic/20261122-220657.3831.1.in", "c1", True, False),
    ("imap_rawlog_dir_basic/20261122-220658.3984.1.in", "c2", True, False),
    ("imap_reuse_pop3_retr_tls_managesieve/r/20261122-222425.27815.4.in", "c8", True, False),
]


@pytest.mark.parametrize(("file", "client", "stamps", "boundaries"), WRITTEN)
def test_reads_of_the_client_give_the_file_that_dovecot_wrote(
    file: str, client: str, stamps: bool, boundaries: bool
) -> None:
    reads = golden.texts(file.partition("/")[0], "C", client)
    ours = encode(PairEncoder(stamps, boundaries), [(T + number, data) for number, data in enumerate(reads)])
    theirs = (golden.FOLDER / file).read_bytes()
    if stamps:
        ours, theirs = golden.normal(ours), golden.normal(theirs)
    assert ours == theirs


@pytest.mark.parametrize(("file", "client"), [row[:2] for row in WRITTEN if "_fin/" not in row[0]])
def test_answers_are_in_the_file_that_dovecot_wrote(file: str, client: str) -> None:
    path = (golden.FOLDER / file).with_suffix(".out")
    writes = b"".join(golden.texts(file.partition("/")[0], "S", client))
    theirs = joined(decode(PairDecoder(OUT), path.read_bytes()))
    assert theirs == writes or theirs.startswith(writes)  # the client may have left before the last answer


# -- the rules, one by one -----------------------------------------------------------------------------------------


def test_a_split_line_keeps_the_stamp_of_its_first_piece() -> None:
    chunks = [(T, b"a4 "), (T + 1, b"NO"), (T + 2, b"OP\r"), (T + 3, b"\n"), (T + 4, b"a5 NOOP\r\n")]
    assert encode(PairEncoder(True), chunks) == b"1795385217.000000 a4 NOOP\r\n1795385217.000004 a5 NOOP\r\n"


def test_a_line_ends_at_lf_and_at_nothing_else() -> None:
    written = encode(PairEncoder(True), [(T, b"bare\nlf\rcr end\r\n")])
    assert written == b"1795385217.000000 bare\n1795385217.000000 lf\rcr end\r\n"


def test_a_read_that_goes_on_with_a_line_stamps_only_the_lines_that_begin_in_it() -> None:
    written = encode(PairEncoder(True), [(T, b"a"), (T + 1, b"b\nc\nd")])
    assert written == b"1795385217.000000 ab\n1795385217.000001 c\n1795385217.000001 d"


def test_the_two_directions_do_not_disturb_each_other() -> None:
    encoder = PairEncoder(True)
    assert encoder.chunk(T, IN, b"a4 ") == b"1795385217.000000 a4 "
    assert encoder.chunk(T, OUT, b"* OK\r\n") == b"1795385217.000000 * OK\r\n"
    assert encoder.chunk(T, IN, b"NOOP\r\n") == b"NOOP\r\n"


def test_boundaries_add_no_newline_and_have_no_stamp() -> None:
    chunks = [(T, b"a3 "), (T + 1, b"NO"), (T + 2, b"OP\r\n")]
    assert encode(PairEncoder(False, True), chunks) == b"<<<\na3 >>>\n<<<\nNO>>>\n<<<\nOP\r\n>>>\n"
    assert encode(PairEncoder(True, True), chunks) == b"<<<\n1795385217.000000 a3 >>>\n<<<\nNO>>>\n<<<\nOP\r\n>>>\n"


@pytest.mark.parametrize("stamps", [False, True])
@pytest.mark.parametrize("boundaries", [False, True])
def test_nothing_is_written_for_an_empty_read_or_a_mark(stamps: bool, boundaries: bool) -> None:
    encoder = PairEncoder(stamps, boundaries)
    assert encoder.chunk(T, IN, b"") == b""
    assert encoder.mark(Mark(T, "login", {"user": "alice"})) == b""
    assert encoder.end(IN) == b""
    assert not encoder.single


def test_a_large_read_comes_in_pieces_that_hold_it_once() -> None:
    lines = b"a line\r\n" * 1000
    head, body = PairEncoder(True).pieces(T, IN, lines)
    assert head == b"1795385217.000000 "
    assert isinstance(body, memoryview)
    assert head + bytes(body) == b"1795385217.000000 a line\r\n" * 1000
    encoder = PairEncoder(True)
    encoder.chunk(T, IN, b"begun ")
    assert encoder.pieces(T, IN, b"a\nb") == (b"a\n1795385217.000000 b",)
    assert encoder.pieces(T, OUT, b"") == (b"",)


# -- the decoder ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", golden.files(".in", ".out"), ids=golden.name)
def test_every_file_of_dovecot_can_be_read(path: Path) -> None:
    data = path.read_bytes()
    bounded = "rawlog_b/" in golden.name(path)
    stamped = re.match(rb"[0-9]{10}\.[0-9]{6} ", data) is not None
    expected = golden.without_stamps(data) if stamped else data
    if bounded:
        expected = b"".join(re.findall(rb"<<<\n(.*?)>>>\n", data, re.DOTALL))
    decoder = PairDecoder(IN, strict=True)
    chunks = decode(decoder, data, 1000)
    assert joined(chunks) == expected
    assert (decoder.stamps, decoder.boundaries) == (stamped, bounded)
    assert all((chunk.at is not None) == stamped for chunk in chunks)
    assert [chunk.at for chunk in chunks] == sorted(chunk.at or 0 for chunk in chunks) or not stamped


def test_boundaries_of_dovecot_give_the_reads_of_the_server() -> None:
    data = (golden.FOLDER / "postlogin_rawlog_b/20261122-221437-8440.in").read_bytes()
    assert [chunk.data for chunk in decode(PairDecoder(IN), data, 1)] == golden.texts("postlogin_rawlog_b", "C")


def test_lines_under_one_stamp_are_one_chunk() -> None:
    data = b"1795385217.000000 a\r\n1795385217.000000 b\r\n1795385217.000001 c\r\n1795385217.000001 d"
    assert decode(PairDecoder(IN), data) == [Chunk(T, IN, b"a\r\nb\r\n"), Chunk(T + 1, IN, b"c\r\nd")]


def test_exactly_one_stamp_is_taken_from_a_line() -> None:
    payload = b"1795385217.000009 not mine\r\n"
    assert decode(PairDecoder(IN), encode(PairEncoder(True), [(T, payload)])) == [Chunk(T, IN, payload)]


def test_a_chunk_that_goes_on_with_a_line_has_the_time_of_its_beginning() -> None:
    written = encode(PairEncoder(True, True), [(T, b"a3 "), (T + 1, b"NOOP\r\n"), (T + 2, b"a4\r\n")])
    assert decode(PairDecoder(IN), written) == [
        Chunk(T, IN, b"a3 "),
        Chunk(T, IN, b"NOOP\r\n"),
        Chunk(T + 2, IN, b"a4\r\n"),
    ]


def test_a_file_without_stamps_has_no_times() -> None:
    assert decode(PairDecoder(OUT), b"* OK hello\r\n") == [Chunk(None, OUT, b"* OK hello\r\n")]


def test_an_end_mark_inside_a_read_is_data_unless_a_new_read_follows() -> None:
    data = b"<<<\nx>>>\ny\n>>>\n<<<\nz>>>\n"
    assert [chunk.data for chunk in decode(PairDecoder(IN), data)] == [b"x>>>\ny\n", b"z"]


def test_the_last_read_shows_as_soon_as_its_end_mark_is_there() -> None:
    decoder = PairDecoder(IN, boundaries=True, stamps=False)
    assert joined(decoder.feed(b"<<<\na1 NOOP\r\n>>>\n")) == b"a1 NOOP\r\n"
    assert joined(decoder.feed(b"<<<\na2")) == b""
    assert joined(decoder.feed(b" NOOP\r\n>>>\n")) == b"a2 NOOP\r\n"


def test_a_line_without_a_stamp_is_data_under_the_last_stamp() -> None:
    data = b"1795385217.000000 a\r\nb\r\n1795385217.000001 c\r\n"
    assert decode(PairDecoder(IN), data) == [Chunk(T, IN, b"a\r\nb\r\n"), Chunk(T + 1, IN, b"c\r\n")]


def test_a_torn_stamp_is_data() -> None:
    assert joined(decode(PairDecoder(IN), b"1795385217.000000 a\r\n1795385")) == b"a\r\n1795385"


def test_strict_reading_names_file_line_and_what_was_found() -> None:
    data = b"1795385217.000000 a\r\n" * 11 + b"x\r\n"
    with pytest.raises(FormatError, match=r"^20261122-104500-77\.in: line 12: timestamp expected, got b'x'$"):
        decode(PairDecoder(IN, stamps=True, strict=True, name="20261122-104500-77.in"), data, 7)


def test_strict_reading_counts_the_lines_of_marks() -> None:
    data = b"<<<\n1795385217.000000 a\n>>>\n<<<\n1795385217.000000 b\nx\n>>>\n"
    with pytest.raises(FormatError, match=r"^f\.in: line 6: timestamp expected"):
        decode(PairDecoder(IN, strict=True, name="f.in"), data)


def test_strict_reading_wants_the_first_mark() -> None:
    with pytest.raises(FormatError, match=r"^f\.in: line 1: <<< expected, got b'a'$"):
        decode(PairDecoder(IN, stamps=False, boundaries=True, strict=True, name="f.in"), b"a1 NOOP\r\n")


def test_a_block_without_end_does_not_fill_the_memory() -> None:
    decoder = PairDecoder(IN, stamps=False, boundaries=True)
    chunks = decoder.feed(b"<<<\n")
    for _ in range(BLOCK_LIMIT // 65536 + 1):
        chunks += decoder.feed(b"x" * 65536)
    assert len(joined(chunks)) > BLOCK_LIMIT
    assert len(joined(chunks + decoder.end())) == (BLOCK_LIMIT // 65536 + 1) * 65536


# -- properties ----------------------------------------------------------------------------------------------------

# bytes and lines that can be taken for stamps, marks or line ends
pieces = st.sampled_from(
    [b"\n", b"\r\n", b"<<<\n", b">>>\n", b">", b"<", b"1", b"1795385217.", b"1795385217.000000 ", b" ", b"\0", b"\xff"]
)
reads = st.lists(st.one_of(pieces, st.binary(max_size=20)), min_size=1, max_size=6).map(b"".join)
times = st.integers(0, 3)
chunk_lists = st.lists(st.tuples(times, reads.filter(bool)), max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(times, st.sampled_from([IN, OUT]), reads, st.booleans())), st.booleans(), st.booleans())
def test_pieces_are_what_a_chunk_is(
    chunks: list[tuple[int, Direction, bytes, bool]], stamps: bool, boundaries: bool
) -> None:
    whole, cut = PairEncoder(stamps, boundaries), PairEncoder(stamps, boundaries)
    for at, direction, data, in_pieces in chunks:
        encoded = whole.chunk(T + at, direction, data)
        if in_pieces:
            assert b"".join(cut.pieces(T + at, direction, data)) == encoded
        else:
            assert cut.chunk(T + at, direction, data) == encoded


@settings(max_examples=150, deadline=None)
@given(chunk_lists, st.booleans(), st.booleans(), st.integers(0, 9))
def test_what_was_encoded_is_decoded(
    chunks: list[tuple[int, bytes]], stamps: bool, boundaries: bool, size: int
) -> None:
    chunks = [(T + at, data) for at, data in chunks]
    written = encode(PairEncoder(stamps, boundaries), chunks)
    if boundaries and written.count(b">>>\n<<<\n") != max(0, len(chunks) - 1):
        return  # the payload looks like a boundary: the documented limit of the format
    decoder = PairDecoder(IN, stamps, boundaries, strict=True)
    read = decode(decoder, written, size)
    assert joined(read) == b"".join(data for _, data in chunks)
    if boundaries and b">>>\n" not in joined(read):
        assert [chunk.data for chunk in read] == [data for _, data in chunks]


@settings(max_examples=150, deadline=None)
@given(chunk_lists, st.booleans(), st.integers(0, 9))
def test_a_stamped_file_is_written_again_just_as_it_was(
    chunks: list[tuple[int, bytes]], boundaries: bool, size: int
) -> None:
    written = encode(PairEncoder(True, boundaries), [(T + at, data) for at, data in chunks])
    if boundaries and written.count(b">>>\n<<<\n") != max(0, len(chunks) - 1):
        return
    read = decode(PairDecoder(IN, True, boundaries), written, size)
    if not boundaries or b">>>\n" not in joined(read):
        assert encode(PairEncoder(True, boundaries), [(chunk.at or 0, chunk.data) for chunk in read]) == written


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(pieces, st.binary(max_size=30)), max_size=12).map(b"".join),
    st.sampled_from([None, False, True]),
    st.sampled_from([None, False, True]),
    st.integers(1, 9),
)
def test_garbage_is_read_alike_however_it_is_cut(
    data: bytes, stamps: bool | None, boundaries: bool | None, size: int
) -> None:
    whole = decode(PairDecoder(IN, stamps, boundaries), data)
    assert joined(whole) == joined(decode(PairDecoder(IN, stamps, boundaries), data, size))
    if stamps is False and boundaries is False:
        assert joined(whole) == data
