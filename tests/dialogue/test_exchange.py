"""Commands and answers of all five protocols, on conversations, on golden recordings, however they were recorded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.dialogue.exchange import Exchange, Pairer, exchanges, pairing_of
from rawlog.errors import ConfigError
from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.reading.opener import open_paths, open_recording
from tests.support import golden
from tests.support.conversation import Conversation, byte_by_byte, conversations
from tests.support.exchanges import paired, short, timed, untimed

IN, OUT = Direction.IN, Direction.OUT
PROTOCOLS = ("imap", "pop3", "smtp", "lmtp", "managesieve")
TALKS = [(protocol, talk) for protocol in PROTOCOLS for talk in conversations(protocol)]


def ids(value: object) -> str:
    return str(value)


def gist(exchanges: list[Exchange]) -> list[tuple[object, ...]]:
    """All of the exchanges but their times."""
    return [(e.number, e.verb, e.tag, e.command, e.status, e.answer, e.replies, e.said, e.heard) for e in exchanges]


@pytest.mark.parametrize(("protocol", "talk"), TALKS, ids=ids)
def test_exchanges_are_blind_to_chunking_and_every_byte_has_one_at_most(protocol: str, talk: Conversation) -> None:
    found = paired(protocol, timed(talk.pieces), talk.client)
    assert gist(paired(protocol, timed(byte_by_byte(talk.pieces)), talk.client)) == gist(found)
    assert sorted(exchange.number for exchange in found) == list(range(1, len(found) + 1))
    for said, sizes in (("said", [e.sent for e in found]), ("heard", [e.received for e in found])):
        spans = sorted(span for exchange in found for span in getattr(exchange, said))
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        assert sum(sizes) == sum(end - start for start, end in spans)


@pytest.mark.parametrize(("protocol", "talk"), TALKS, ids=ids)
def test_what_is_unfinished_is_what_the_end_would_give(protocol: str, talk: Conversation) -> None:
    """Whenever one asks; and who asked gets the same in the end."""
    events = timed(talk.pieces)
    asked, found = Pairer(protocol, talk.client, watch=lambda piece: None), []
    for number, event in enumerate(events):
        found += asked.feed(event)
        pieces: list[object] = []
        unfinished = asked.unfinished(pieces.append)
        assert gist([*found, *unfinished]) == gist(paired(protocol, events[: number + 1], talk.client))
    assert gist([*found, *asked.end()]) == gist(paired(protocol, events, talk.client))


@pytest.mark.parametrize(("protocol", "talk"), [case for case in TALKS if not case[1].extra], ids=ids)
def test_no_secret_is_in_an_exchange(protocol: str, talk: Conversation) -> None:
    allowed = bytes(talk.masked[IN]) + bytes(talk.masked[OUT])
    for exchange in paired(protocol, timed(talk.pieces), talk.client):
        for text in (exchange.command, exchange.answer, *exchange.replies):
            assert text in allowed


# Where client and server do not mean the same, the order without stamps is a guess.
GUESSED = (
    "smuggling",
    "nobody may send",
    "What looks like a literal",
    "stray line",
)
ORDERED = [case for case in TALKS if not (case[1].extra or any(part in case[1].title for part in GUESSED))]


@pytest.mark.parametrize(("protocol", "talk"), ORDERED, ids=ids)
def test_a_pair_without_stamps_gives_the_same_exchanges(protocol: str, talk: Conversation) -> None:
    found = paired(protocol, timed(talk.pieces), talk.client)
    assert sorted(short(untimed(protocol, talk))) == sorted(short(found))


def test_every_format_gives_the_same_exchanges() -> None:
    plain = open_recording(next(golden.FOLDER.glob("postlogin_rawlog_plain/*.in")))
    stamped = open_recording(next(golden.FOLDER.glob("postlogin_rawlog_t/*.in")))
    bounded = open_recording(next(golden.FOLDER.glob("postlogin_rawlog_b/*.in")))
    expected = ["a1 greeting OK", *(f"a{n} NOOP OK" for n in (2, 3, 4, 5)), "a6 APPEND OK", "a7 LOGOUT OK"]
    for recording in (plain, stamped, bounded):
        assert short(exchanges(recording)) == expected
    assert {exchange.latency for exchange in exchanges(plain)} == {None}
    latencies = [exchange.latency for exchange in exchanges(stamped)]
    assert latencies[0] is None
    assert all(latency is not None and 0 < latency < 1_000_000 for latency in latencies[1:])


def test_a_combined_recording() -> None:
    (first, *_) = sorted((golden.FOLDER / "tcp_rawlog").glob("conn*.tcp"))
    found = list(exchanges(open_recording(first)))
    assert found[0].verb == "greeting"
    assert {"NOOP", "APPEND", "IDLE"} <= {exchange.verb for exchange in found}
    assert all(exchange.answered for exchange in found[:-1])


def test_the_client_alone_gives_its_commands() -> None:
    recording = open_recording(next(golden.FOLDER.glob("postlogin_rawlog_fin/*.in")))
    assert short(exchanges(recording)) == ["a2 NOOP", "a3 NOOP", "a4 NOOP", "a5 NOOP", "a6 APPEND", "a7 LOGOUT"]


def test_the_server_alone_gives_its_answers() -> None:
    recording = open_recording(next(golden.FOLDER.glob("postlogin_rawlog_foutt/*.out")))
    found = list(exchanges(recording))
    assert short(found)[:3] == ["a1 greeting OK", "a2 unasked OK", "a3 unasked OK"]
    assert {exchange.latency for exchange in found} == {None}


def test_golden_recordings_pair_without_a_rest() -> None:
    """Behind a login everything a client asked is answered, but for what it did not finish."""
    unfinished = []
    for recording in open_paths([golden.FOLDER]):
        if "prelogin" in recording.name or "/proxy/" in recording.name or recording.protocol is None:
            continue
        if "fin/" in recording.name or recording.name.endswith(".in") or "disk_full" in recording.name:
            continue
        unfinished += [e.command for e in exchanges(recording) if e.is_command and not e.answered]
    assert unfinished.count(b"a3 IDLE") == 1, "hibernated: the answer is in another recording"
    assert [line for line in unfinished if b" " not in line] == [], unfinished
    assert len(unfinished) < 12, unfinished


def test_the_leg_towards_a_remote_server() -> None:
    (recording,) = open_paths([next((golden.FOLDER / "lmtp_proxy_rawlog_dir" / "proxy").glob("*.in"))])
    found = list(exchanges(recording))
    assert found[-2].verb == "BDAT"
    assert found[-2].said[0][1] - found[-2].said[0][0] == found[-2].sent == 239
    assert len(found[-2].replies) == 2
    assert not found[-1].answered


def test_a_recording_of_no_known_protocol_has_none() -> None:
    recording = Recording("test", [Chunk(1, IN, b"\x16\x03\x01")])
    assert pairing_of(recording) is None
    assert list(exchanges(recording)) == []
    with pytest.raises(ConfigError, match="nntp"):
        Pairer("nntp")


def test_the_greeting_is_waited_for_from_the_opening_on() -> None:
    events: list[Event] = [Mark(1000, "opened"), Chunk(251_000, OUT, b"+OK ready\r\n"), Mark(260_000, "tls")]
    (greeting,) = paired("pop3", events)
    assert greeting.latency == 250_000
    assert (greeting.sent, greeting.received, greeting.began) == (0, 11, None)
    assert not greeting.is_command


def long_download(messages: int, size: int) -> Iterator[Chunk]:
    """A client fetches messages, read in pieces of 64 KiB."""
    yield Chunk(0, OUT, b"* PREAUTH ready\r\n")
    for number in range(messages):
        yield Chunk(number, IN, b"a FETCH %d BODY[]\r\n" % (number + 1))
        yield Chunk(number, OUT, b"* %d FETCH (BODY[] {%d}\r\n" % (number + 1, size))
        for start in range(0, size, 65536):
            yield Chunk(number + start, OUT, b"x" * min(65536, size - start))
        yield Chunk(number + size, OUT, b")\r\na OK done\r\n")


def test_memory_does_not_grow_with_a_conversation() -> None:
    tracemalloc.start()
    try:
        pairer = Pairer("imap")
        count = sum(len(pairer.feed(chunk)) for chunk in long_download(4, 4 << 20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 5
    assert peak < 1 << 20


def test_one_side_alone_is_given_out_when_it_grows() -> None:
    pairer = Pairer("imap")
    found = []
    for number in range(40):
        head = b"%d APPEND x {1000000+}\r\n" % number
        found += pairer.feed(Chunk(number, IN, head + b"x" * 1_000_000 + b"\r\n"))
    assert pairer.framer.client.tape.size == 0
    assert short([*found, *pairer.end()]) == [f"{number} APPEND" for number in range(40)]


words = st.sampled_from(
    b"a1 |a2 |* |+ |OK |NO |+OK |-ERR |250 |250-|354 |334 |DATA|AUTH X|IDLE|DONE|RETR 1|BDAT 5 LAST|RCPT TO:<x>"
    b"|STARTTLS|{3}|{9+}|.|AUTHENTICATE PLAIN|NOOP|LIST|FETCH 1|\n|\r\n|\r\n|\r\n|\x16\x03".split(b"|")
)
turns = st.lists(
    st.tuples(st.sampled_from([IN, OUT]), st.lists(st.one_of(words, st.binary(max_size=4)), max_size=9).map(b"".join)),
    max_size=12,
)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(PROTOCOLS), turns)
def test_whatever_is_said_nothing_raises_and_no_byte_is_counted_twice(
    protocol: str, turns: list[tuple[Direction, bytes]]
) -> None:
    events = timed((direction, data) for direction, data in turns if data)
    found = paired(protocol, events)
    for said in ("said", "heard"):
        spans = sorted(span for exchange in found for span in getattr(exchange, said))
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    for exchange in found:
        assert exchange.latency is None or exchange.latency >= 0
        assert exchange.answered == bool(exchange.answer) or not exchange.answered
