"""The native format: nothing is lost, and damage costs only what is damaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.errors import FormatError
from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.formats.native import EVENT_LIMIT, NativeDecoder, NativeEncoder

IN, OUT = Direction.IN, Direction.OUT
T = 1795385217427810


def encode(events: Sequence[Event], header: dict[str, str] | None = None) -> bytes:
    encoder = NativeEncoder(header or {})
    written = [
        encoder.chunk(event.at, event.direction, event.data) if isinstance(event, Chunk) else encoder.mark(event)
        for event in events
    ]
    return b"".join([*written, encoder.end(IN), encoder.end(OUT)])


def decode(data: bytes, size: int = 0) -> list[Event]:
    decoder = NativeDecoder(name="a.rawlog")
    pieces = [data] if not size else [data[at : at + size] for at in range(0, len(data), size)]
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.end()


def test_the_format_is_what_its_page_shows() -> None:
    events = [
        Mark(T, "opened", {"server": "imap.example.com:993"}),
        Chunk(T + 3, IN, b"a2 NOOP\r\n"),
        Chunk(None, OUT, b"+"),
        Mark(T + 5, "gap", {"cause": "No space left on device"}),
    ]
    written = encode(events, {"name": "alice", "protocol": "imap"})
    assert written == (
        b'rawlog 1 {"name": "alice", "protocol": "imap"}\n'
        b'1795385217.427810 mark opened {"server": "imap.example.com:993"}\n'
        b"1795385217.427813 in 9\na2 NOOP\r\n\n"
        b"- out 1\n+\n"
        b'\n1795385217.427815 mark gap {"cause": "No space left on device"}\n'
    )
    assert decode(written) == events


def test_the_example_on_the_page_can_be_read() -> None:
    page = (Path(__file__).parents[2] / "docs/formats/native.md").read_bytes()
    example = page.split(b"```\n")[1].replace(b"\n\n", b"\r\n\n")  # the lines of mail protocols end with CR LF
    events = decode(example)
    assert [event.name if isinstance(event, Mark) else event.data for event in events] == [
        "opened",
        b"a2 NOOP\r\n",
        b"a2 OK NOOP completed (0.001 secs).\r\n",
        "closed",
    ]
    assert encode(events, {"name": "alice", "protocol": "imap"}) == example


def test_a_recording_without_events_is_its_first_line() -> None:
    assert encode([], {"name": "Zoë\n"}) == b'rawlog 1 {"name": "Zo\\u00eb\\n"}\n'
    decoder = NativeDecoder()
    assert decoder.feed(encode([], {"name": "Zoë\n"})) + decoder.end() == []
    assert decoder.header == {"name": "Zoë\n"}


def test_an_empty_file_has_no_events() -> None:
    assert decode(b"") == []


def test_both_directions_go_to_one_stream() -> None:
    assert NativeEncoder({}).single


def test_a_long_chunk_is_written_as_several() -> None:
    data = b"x" * (EVENT_LIMIT + 1)
    read = decode(encode([Chunk(T, IN, data)]), 65536)
    assert [event.data for event in read if isinstance(event, Chunk)] == [data[:EVENT_LIMIT], b"x"]


@pytest.mark.parametrize(("name", "written"), [("Tls Start", "xls_tart"), ("", "x"), ("9", "x9"), ("login", "login")])
def test_a_mark_has_a_name_of_one_word(name: str, written: str) -> None:
    (mark,) = decode(encode([Mark(T, name)]))
    assert isinstance(mark, Mark)
    assert len(mark.name.split()) == 1
    assert mark.name == written or " " in name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a1 NOOP\r\n", r"a\.rawlog: line 1: 'rawlog 1' expected, got b'a'"),
        (b"rawlog one {}\n", r"a\.rawlog: line 1: 'rawlog 1' expected"),
        (b"rawlog 2 {}\n", r"a\.rawlog: line 1: format version 2, only version 1 is known here; read it with a newer"),
    ],
)
@pytest.mark.parametrize("size", [0, 1])
def test_another_file_is_refused_with_its_name_and_the_place(data: bytes, message: str, size: int) -> None:
    with pytest.raises(FormatError, match=f"^{message}"):
        decode(data, size)


# -- damage --------------------------------------------------------------------------------------------------------

EVENTS: list[Event] = [
    Chunk(T, IN, b"a2 NOOP\r\n"),
    Mark(T + 1, "login", {"user": "alice"}),
    Chunk(T + 2, OUT, b"a2 OK\r\n"),
]
WHOLE = encode(EVENTS)


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_a_torn_end_costs_only_itself(length: int) -> None:
    events = decode(WHOLE[:length], 5)
    complete = [event for event in events if event in EVENTS]
    assert complete == EVENTS[: len(complete)]
    rest = events[len(complete) :]
    if rest and isinstance(rest[0], Chunk):
        torn, given = EVENTS[len(complete)], rest.pop(0)
        assert isinstance(torn, Chunk)
        assert isinstance(given, Chunk)
        assert torn.data.startswith(given.data)
    assert all(isinstance(event, Mark) and event.name == "gap" for event in rest)
    assert len(rest) <= 1


def test_a_writer_that_failed_goes_on_after_a_gap() -> None:
    encoder = NativeEncoder({})
    torn = encoder.chunk(T, IN, b"a1 LIST (a long line)\r\n")[:-9]
    gap = Mark(T + 5, "gap", {"cause": "No space left on device", "in": "9"})
    data = torn + encoder.mark(gap) + encoder.chunk(T + 6, IN, b"a2 NOOP\r\n")
    for size in (0, 1, 50):
        assert decode(data, size) == [
            Chunk(T, IN, b"a1 LIST (a long"),
            Mark(T, "gap", {"cause": "torn", "missing": "8"}),
            gap,
            Chunk(T + 6, IN, b"a2 NOOP\r\n"),
        ]


def test_what_was_sent_can_not_forge_an_event() -> None:
    forged = b'x\n1795385217.427810 mark login {"user": "root"}\n1795385217.427810 in 3\nabc\n'
    assert decode(encode([Chunk(T, IN, forged)]), 3) == [Chunk(T, IN, forged)]


@pytest.mark.parametrize(
    "junk", [b"junk\n", b"1795385217.4 in 3\n", b"1795385217.427810 in 9999999\n", b"\xff" * 30 + b"\n"]
)
@pytest.mark.parametrize("size", [0, 1])
def test_damage_in_the_middle_is_passed_over_and_marked(junk: bytes, size: int) -> None:
    first, second = encode(EVENTS[:1]), encode(EVENTS[2:]).partition(b"\n")[2]
    events = decode(first + junk + second, size)
    assert [event for event in events if isinstance(event, Chunk)] == [EVENTS[0], EVENTS[2]]
    (gap,) = [event for event in events if isinstance(event, Mark)]
    assert gap.detail["cause"] == "damaged"
    assert len(junk) - 1 <= int(gap.detail["skipped"]) <= len(junk)


def test_a_mark_that_is_no_json_is_passed_over() -> None:
    data = encode(EVENTS[:1]) + b"1795385217.427810 mark login {user}\n" + encode(EVENTS[2:]).partition(b"\n")[2]
    assert [event for event in decode(data) if isinstance(event, Chunk)] == [EVENTS[0], EVENTS[2]]


def test_what_is_no_text_in_a_mark_is_given_as_json() -> None:
    (mark,) = decode(b'rawlog 1 {}\n- mark tls {"bits": 256, "alpn": null}\n')
    assert mark == Mark(None, "tls", {"bits": "256", "alpn": "null"})


# -- properties ----------------------------------------------------------------------------------------------------

ats = st.one_of(st.none(), st.integers(0, 10**18 - 1))
data_parts = st.one_of(st.binary(max_size=30), st.sampled_from([b"\n", b"\n- in 3\nabc\n", b"\n- mark gap {}\n"]))
chunks = st.builds(Chunk, ats, st.sampled_from([IN, OUT]), st.lists(data_parts, min_size=1).map(b"".join).filter(bool))
details = st.dictionaries(st.text(max_size=5), st.text(max_size=10), max_size=3)
marks = st.builds(Mark, ats, st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True), details)
event_lists = st.lists(st.one_of(chunks, marks), max_size=8)


@settings(max_examples=150, deadline=None)
@given(event_lists, details, st.integers(0, 9))
def test_what_was_encoded_is_decoded(events: list[Event], header: dict[str, str], size: int) -> None:
    assert decode(encode(events, header), size) == events


@settings(max_examples=150, deadline=None)
@given(event_lists, st.binary(max_size=40), st.integers(0, 200), st.integers(1, 9))
def test_damage_never_raises(events: list[Event], junk: bytes, at: int, size: int) -> None:
    data = encode(events)
    at = min(len(data), 12 + at)  # behind the first line
    damaged = data[:at] + junk + data[at + len(junk) :]
    assert decode(damaged) is not None
    assert decode(damaged, size) is not None


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 3))
def test_garbage_is_refused_or_passed_over(data: bytes, size: int) -> None:
    assert decode(b"rawlog 1 {}\n" + data, size) is not None
    if not b"rawlog ".startswith(data[:7]):
        with pytest.raises(FormatError):
            decode(data, size)
