"""IMAP: tags, pipelines, untagged data, literals, SASL, IDLE."""

from __future__ import annotations

from rawlog.dialogue.exchange_pairing import OUTSTANDING_LIMIT
from rawlog.events import Chunk, Direction, Event
from rawlog.protocols.framing import LINE_LIMIT
from tests.support.exchanges import STEP, paired, paired_text, short

IN, OUT = Direction.IN, Direction.OUT


def test_a_session() -> None:
    found = paired_text(
        "imap",
        """
        S: * OK ready
        C: a LOGIN alice secret
        S: a OK in
        C: b UID FETCH 1:* (FLAGS)
        S: * 1 FETCH (FLAGS ())
        S: b OK done
        C: c SELECT nowhere
        S: c NO [NONEXISTENT] no such mailbox
        C: d LOGOUT
        S: * BYE see you
        S: d OK
        """,
    )
    assert short(found) == ["greeting OK", "a LOGIN OK", "b UID FETCH OK", "c SELECT NO", "d LOGOUT OK"]
    fetch = found[2]
    assert fetch.command == b"b UID FETCH 1:* (FLAGS)"
    assert fetch.answer == b"b OK done"
    assert (fetch.sent, fetch.received) == (25, 33)
    assert fetch.latency == fetch.first_latency == STEP
    assert [exchange.failed for exchange in found] == [False, False, False, True, False]


def test_answers_out_of_order_find_their_commands_and_their_data() -> None:
    found = paired_text(
        "imap",
        """
        S: * PREAUTH ready
        C: a NOOP
        C: b NOOP
        C: c CAPABILITY
        S: * CAPABILITY IMAP4rev1
        S: c OK first
        S: * 5 EXISTS
        S: a OK then
        S: b OK last
        """,
    )
    assert [(e.tag, e.received) for e in found[1:]] == [("c", 36), ("a", 23), ("b", 11)]


def test_a_literal_is_part_of_its_command_and_the_wait_for_it_is_no_latency() -> None:
    found = paired_text(
        "imap",
        """
        S: * PREAUTH ready
        C: a APPEND saved {12}
        S: + go on
        C| Subject: x
        C:
        S: a OK done
        """,
    )
    append = found[1]
    assert append.command == b"a APPEND saved {12}"
    assert append.sent == 35
    assert append.talking == 2 * STEP
    assert append.latency == append.first_latency == STEP


def test_a_literal_that_is_refused_and_one_that_comes_all_the_same() -> None:
    found = paired_text(
        "imap",
        """
        S: * PREAUTH ready
        C: a APPEND saved {12}
        S: a NO too big
        C: b APPEND saved {12+}
        S: b NO too big
        C| Subject: x
        C:
        C: c NOOP
        S: c OK done
        """,
    )
    assert short(found) == ["greeting PREAUTH", "a APPEND NO", "b APPEND NO", "c NOOP OK"]
    assert found[2].sent == 36


def test_idle_takes_its_time_and_ends_at_once() -> None:
    found = paired_text(
        "imap",
        """
        S: * PREAUTH ready
        C: a IDLE
        S: + idling
        C: DONE
        S: * 4 EXISTS
        S: a OK done
        C: b NOOP
        S: b OK
        """,
    )
    idle = found[1]
    assert (idle.talking, idle.latency) == (2 * STEP, STEP)
    assert (idle.sent, idle.received) == (14, 33)
    assert short(found) == ["greeting PREAUTH", "a IDLE OK", "b NOOP OK"]


def test_news_during_idle_are_no_answer_to_done() -> None:
    events: list[Event] = [
        Chunk(0, OUT, b"* PREAUTH ready\r\n"),
        Chunk(1000, IN, b"a IDLE\r\n"),
        Chunk(2000, OUT, b"+ idling\r\n"),
        Chunk(900_000, OUT, b"* 4 EXISTS\r\n"),
        Chunk(2_000_000, IN, b"DONE\r\n"),
        Chunk(2_005_000, OUT, b"a OK done\r\n"),
    ]
    idle = paired("imap", events)[1]
    assert (idle.first_latency, idle.latency) == (5000, 5000)


def test_a_sasl_dialogue_is_one_exchange() -> None:
    found = paired_text(
        "imap",
        """
        S: * OK ready
        C: a AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: YWxpY2U=
        S: + UGFzc3dvcmQ6
        C: c2VjcmV0
        S: * CAPABILITY IMAP4rev1
        S: a OK in
        C: b NOOP
        S: b OK
        """,
    )
    assert short(found) == ["greeting OK", "a AUTHENTICATE OK", "b NOOP OK"]
    assert found[1].talking == 4 * STEP


def test_what_nobody_asked_for() -> None:
    found = paired_text(
        "imap",
        """
        S: * PREAUTH ready
        S: * 1 FETCH (BODY[] {3}
        S> abc
        S: )
        S: * BYE shutting down
        C: DONE
        C: x
        """,
    )
    assert short(found) == ["greeting PREAUTH", "unasked", "unasked BYE", "DONE", "?"]
    assert found[2].failed
    assert found[1].received == 29


def test_what_is_never_answered_comes_at_the_end_with_its_data() -> None:
    found = paired_text(
        "imap",
        """
        S: * PREAUTH ready
        C: a FETCH 1:9 BODY[]
        C: b NOOP
        S: * 1 FETCH (BODY[] {3}
        S> abc
        S: )
        """,
    )
    assert short(found) == ["greeting PREAUTH", "a FETCH", "b NOOP"]
    assert [exchange.received for exchange in found[1:]] == [29, 0]
    assert found[1].latency is None
    assert found[1].first == found[1].ended


def test_a_command_longer_than_a_line_may_be_is_known_by_its_beginning() -> None:
    line = b"a UID FETCH " + b"1," * LINE_LIMIT + b"2 FLAGS\r\n"
    answer = b"* SEARCH" + b" 1" * LINE_LIMIT + b"\r\na OK done\r\n"
    events: list[Event] = [Chunk(0, OUT, b"* PREAUTH\r\n"), Chunk(1, IN, line), Chunk(2, OUT, answer)]
    found = paired("imap", events)
    assert short(found) == ["greeting PREAUTH", "a UID FETCH OK"]
    assert (found[1].sent, found[1].received) == (len(line), len(answer))
    assert len(found[1].command) <= 1000


def test_commands_that_are_never_answered_do_not_pile_up() -> None:
    lines = b"".join(b"a%d NOOP\r\n" % number for number in range(OUTSTANDING_LIMIT + 5))
    found = paired("imap", [Chunk(0, OUT, b"* PREAUTH\r\n"), Chunk(1, IN, lines), Chunk(2, OUT, b"a9 OK\r\n")])
    assert short(found)[:8] == [
        "greeting PREAUTH",
        "a0 NOOP",
        "a1 NOOP",
        "a2 NOOP",
        "a3 NOOP",
        "a4 NOOP",
        "a9 NOOP OK",
        "a5 NOOP",
    ]
    assert len(found) == OUTSTANDING_LIMIT + 6


def test_a_password_without_a_command_is_not_shown() -> None:
    found = paired_text("imap", "S: * OK ready\nC: LOGIN alice secret\nS: LOGIN BAD what\nC: hunter2 x\nS: * BAD what")
    assert short(found) == ["greeting OK", "? BAD", "?"]
    assert not any(b"secret" in exchange.command or b"hunter2" in exchange.command for exchange in found)
