"""Targets: the files of recordings, read and written. Knows: formats. Must not know: where inputs come from."""

from __future__ import annotations

import itertools
import tempfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from rawlog.dialogue.inflate import BOMB_FREE, BOMB_RATIO, STEP, InflateError, Inflater, ResumableInflater
from rawlog.errors import FormatError
from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.formats.age import file_key
from rawlog.formats.base import Decoder, Encoder
from rawlog.formats.combined import CombinedDecoder, CombinedEncoder
from rawlog.formats.dovecot import PairDecoder, PairEncoder
from rawlog.formats.native import NativeDecoder, NativeEncoder
from rawlog.protocols.guess import guess_protocol
from rawlog.reading.names import parse_name
from tests.fuzz.shape import events_of, parts_of, pieces_of
from tests.support.sealing import KEY, sealed_sink, unsealed

_MAYBE = (None, True, False)


def _decoded(decoder: Decoder, parts: Iterable[bytes]) -> list[Event]:
    return [event for part in parts for event in decoder.feed(part)] + list(decoder.end())


def _text(events: Iterable[Event], direction: Direction | None = None) -> bytes:
    return b"".join(e.data for e in events if isinstance(e, Chunk) and direction in (None, e.direction))


def _same_however_cut(make: Callable[[], Decoder], parts: list[bytes]) -> None:
    """The same text comes out, whatever the pieces, with the same times at the same places."""
    expected = _decoded(make(), parts)
    whole = b"".join(parts)
    for others in ([whole], [whole[at : at + 3] for at in range(0, len(whole), 3)]):
        other = _decoded(make(), others)
        assert [_text(other, d) for d in Direction] == [_text(expected, d) for d in Direction]


def dovecot_decoder(data: bytes) -> None:
    """Any bytes are a recording; only strict reading refuses them, by FormatError with its place."""
    parts = parts_of(data)
    for stamps, boundaries in itertools.product(_MAYBE, _MAYBE):
        _same_however_cut(lambda s=stamps, b=boundaries: PairDecoder(Direction.IN, s, b), parts)  # type: ignore[misc]
        try:
            _decoded(PairDecoder(Direction.IN, stamps, boundaries, strict=True, name="f"), parts)
        except FormatError as error:
            assert str(error).startswith("f: line ")
    plain = _decoded(PairDecoder(Direction.IN, False, False), parts)
    assert _text(plain) == b"".join(parts)


def dovecot_encoder(data: bytes) -> None:
    """What was written with stamps or without is read back byte for byte; with boundaries what can't be mistaken is."""
    pieces = pieces_of(data)
    for stamps, boundaries in itertools.product((True, False), (True, False)):
        written = _encoded(PairEncoder(stamps, boundaries), events_of(pieces))
        for direction in Direction:
            said = b"".join(part for where, part in pieces if where is direction)
            if boundaries and (b">>>\n" in said or b"<<<\n" in said or said.startswith(b"<<<")):
                continue
            read = _decoded(PairDecoder(direction, stamps, boundaries), [written[direction]])
            assert _text(read) == said
            if stamps and said:
                assert all(event.at is not None for event in read)


def _encoded(encoder: Encoder, events: Iterable[Event]) -> dict[Direction, bytes]:
    made = dict.fromkeys(Direction, b"")
    for event in events:
        if isinstance(event, Chunk):
            made[Direction.IN if encoder.single else event.direction] += encoder.chunk(
                event.at, event.direction, event.data
            )
        else:
            made[Direction.IN] += encoder.mark(event)
    for direction in Direction:
        made[Direction.IN if encoder.single else direction] += encoder.end(direction)
    return made


def combined(data: bytes) -> None:
    """Any bytes can be read; what was written is read back, but for heads that a long line imitates."""
    parts = parts_of(data)
    _same_however_cut(CombinedDecoder, parts)
    try:
        _decoded(CombinedDecoder(strict=True, name="f"), parts)
    except FormatError as error:
        assert str(error).startswith("f: line ")
    pieces = pieces_of(data)
    written = _encoded(CombinedEncoder(), events_of(pieces))[Direction.IN]
    read = _decoded(CombinedDecoder(strict=True), [written])
    for direction in Direction:
        assert _text(read, direction) == b"".join(part for where, part in pieces if where is direction)


def native(data: bytes) -> None:
    """Damage costs what is damaged and never raises behind the first line; what was written is read back."""
    parts = parts_of(data)
    for head in ([], [b'rawlog 1 {"a": "b"}\n']):
        try:
            _same_however_cut(NativeDecoder, head + parts)
        except FormatError as error:
            assert not head
            assert ": line 1: " in str(error)
    pieces = pieces_of(data)
    marks: list[Event] = [Mark(None, "gap", {"cause": repr(part)}) for _, part in pieces]
    events = [event for pair in zip(events_of(pieces), marks, strict=True) for event in pair]
    written = _encoded(NativeEncoder({"name": repr(data)}), events)[Direction.IN]
    decoder = NativeDecoder()
    assert _decoded(decoder, [written[:9], written[9:]]) == events
    torn = _decoded(NativeDecoder(), [written[: len(written) * 2 // 3]])
    if any(b" mark gap {" in part for part in parts):
        return  # the format's one limit: see docs/formats/native.md
    assert all(_text(events, d).startswith(_text(torn, d)) for d in Direction)


def inflate(data: bytes) -> None:
    """Any bytes end in InflateError or in bounded steps, the same for the inflater that can be killed."""
    parts = parts_of(data)
    packer = zlib.compressobj(wbits=-15)
    packed = [packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH) for part in parts]
    assert _inflated(Inflater(), packed) == (b"".join(parts), False)
    for stream in (parts, [*packed[:1], *parts], [b"".join(packed)[:-7], *parts]):
        assert _inflated(Inflater(), stream) == _inflated(ResumableInflater(), stream)


def _inflated(inflater: Inflater, parts: list[bytes]) -> tuple[bytes, bool]:
    made, taken = b"", 0
    for part in parts:
        taken += len(part)
        try:
            for piece in inflater.inflate(part):
                assert len(piece) <= STEP
                made += piece
                assert len(made) <= max(BOMB_FREE, BOMB_RATIO * taken) + STEP
        except InflateError:
            return made, True
    return made, False


def names(data: bytes) -> None:
    """A name is one of a recording, whose parts give it back, or it is none."""
    text = data.decode("utf-8", "surrogateescape")
    name = parse_name(text)
    if name is not None:
        assert text == f"{name.stem}.{name.direction.value}"
        assert name.order == (name.started, name.pid, name.number)
    first_in, _, first_out = data.partition(b"\xfe")
    guess_protocol(first_in, first_out)


def sealed_file(data: bytes) -> None:
    """Whatever stands where chunks and pieces should be, or in a header, nothing raises and nothing forged is given."""
    file_key(data, [KEY])
    for whole in (_SEALED[:200] + data, data.join((_SEALED[:-40], _SEALED[-40:])), _SEALED + data):
        try:
            text, why = unsealed(whole)
        except AssertionError:  # its header gives no key
            continue
        assert _SEALED_TEXT.startswith(text)
        assert why or whole == _SEALED


def _sealed(text: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sealed")
        sink = sealed_sink(path)
        sink.write(text)
        sink.close()
        return path.read_bytes()


_SEALED_TEXT = b"a NOOP\r\n" * 9000
_SEALED = _sealed(_SEALED_TEXT)
