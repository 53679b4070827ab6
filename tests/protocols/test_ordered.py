"""What is common to the protocols whose answers carry no tag: the queue, its limit, and what waits."""

from __future__ import annotations

import pytest

from rawlog.dialogue.redact import Masker
from rawlog.events import Chunk, Direction
from rawlog.protocols.framing import HOLD_LIMIT, LINE_LIMIT, Framer, Kind
from rawlog.protocols.managesieve import ManageSieveFramer
from rawlog.protocols.ordered import OUTSTANDING_LIMIT
from rawlog.protocols.pop3 import Pop3Framer
from rawlog.protocols.smtp import SmtpFramer

LOGGED_IN = {
    Pop3Framer: b"+OK Logged in.\r\n",
    SmtpFramer: b"235 2.7.0 Logged in.\r\n",
    ManageSieveFramer: b'OK "Logged in."\r\n',
}
READY = {Pop3Framer: b"+OK ready\r\n", SmtpFramer: b"220 ready\r\n", ManageSieveFramer: b'OK "ready"\r\n'}
AUTH = {
    Pop3Framer: b"AUTH LOGIN\r\n",
    SmtpFramer: b"AUTH LOGIN\r\n",
    ManageSieveFramer: b'AUTHENTICATE "LOGIN"\r\n',
}
CHALLENGE = {Pop3Framer: b"+ ", SmtpFramer: b"334 ", ManageSieveFramer: b'"'}
ALL = sorted(READY, key=lambda make: make.protocol)


def masked(make: type[Framer], *pieces: tuple[Direction, bytes]) -> dict[Direction, bytes]:
    """What the masker has given after the pieces, without an end."""
    masker = Masker(make())
    events = [event for direction, data in pieces for event in masker.chunk(0, direction, data)]
    chunks = [event for event in events if isinstance(event, Chunk)]
    return {d: b"".join(chunk.data for chunk in chunks if chunk.direction is d) for d in Direction}


def test_more_commands_than_are_remembered_wait() -> None:
    count = 3 * OUTSTANDING_LIMIT
    framer = Pop3Framer(hold_limit=None)
    framer.feed(Direction.IN, b"LIST 1\r\n" * count + b"LIST\r\n")
    framer.feed(Direction.OUT, b"+OK ready\r\n")
    assert framer.unanswered() == OUTSTANDING_LIMIT
    answers = framer.feed(Direction.OUT, b"+OK\r\n" * count + b"+OK\r\n1 2\r\n.\r\n")
    assert answers[-1].kind is Kind.BLOCK
    assert framer.unanswered() == 0
    assert sum(fragment.direction is Direction.IN for fragment in answers) == 2 * OUTSTANDING_LIMIT + 1


def test_answers_without_commands_are_passed_over() -> None:
    framer = Pop3Framer()
    framer.feed(Direction.OUT, b"+OK ready\r\n-ERR idle for too long\r\n+OK\r\n")
    assert framer.unanswered() == 0
    framer.feed(Direction.IN, b"CAPA\r\n")
    assert framer.feed(Direction.OUT, b"+OK\r\n.\r\n")[-1].kind is Kind.BLOCK


@pytest.mark.parametrize("make", ALL)
def test_what_is_held_too_long_is_secret(make: type[Framer]) -> None:
    rest = b"c2VjcmV0\r\n" * (HOLD_LIMIT // 10 + 1)
    out = masked(make, (Direction.OUT, READY[make]), (Direction.IN, AUTH[make] + rest), (Direction.IN, b"more"))
    assert out[Direction.IN] == AUTH[make] + rest.replace(b"c2VjcmV0", b"XXXXXXXX") + b"XXXX"


@pytest.mark.parametrize("make", ALL)
def test_nothing_of_a_response_is_given_before_its_meaning_is_known(make: type[Framer]) -> None:
    out = masked(make, (Direction.OUT, READY[make]), (Direction.IN, AUTH[make] + b"c2Vj"), (Direction.IN, b"cmV0\r\n"))
    assert out[Direction.IN] == AUTH[make]


@pytest.mark.parametrize("make", ALL)
def test_an_unfinished_command_waits_before_the_login_only(make: type[Framer]) -> None:
    command = (Direction.IN, b"NOOP nothi")
    assert masked(make, (Direction.OUT, READY[make]), command)[Direction.IN] == b""
    assert masked(make, (Direction.OUT, LOGGED_IN[make]), command)[Direction.IN] == command[1]


@pytest.mark.parametrize("make", ALL)
def test_an_unfinished_login_waits_also_behind_one(make: type[Framer]) -> None:
    command = AUTH[make].split()[0] + b' "X" secr'
    assert masked(make, (Direction.OUT, LOGGED_IN[make]), (Direction.IN, command))[Direction.IN] == b""


@pytest.mark.parametrize("make", ALL)
def test_an_unfinished_challenge_waits(make: type[Framer]) -> None:
    out = masked(
        make, (Direction.OUT, READY[make]), (Direction.IN, AUTH[make]), (Direction.OUT, CHALLENGE[make] + b"ab")
    )
    assert out[Direction.OUT] == READY[make]


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("length", [LINE_LIMIT - 10, LINE_LIMIT, LINE_LIMIT + 1, 3 * LINE_LIMIT])
def test_a_challenge_and_a_response_of_any_length(make: type[Framer], length: int) -> None:
    quote = b'"' if make is ManageSieveFramer else b""
    payload = b"QUJD" * (length // 4)
    challenge, response = CHALLENGE[make] + payload + quote + b"\r\n", quote + payload + quote + b"\r\n"
    steps = [(Direction.OUT, READY[make]), (Direction.IN, AUTH[make]), (Direction.OUT, challenge)]
    out = masked(make, *steps, (Direction.IN, response), (Direction.OUT, READY[make]), (Direction.IN, b"NOOP\r\n"))
    assert b"QUJD" not in out[Direction.OUT] + out[Direction.IN]
    assert len(out[Direction.OUT]) == len(READY[make]) * 2 + len(challenge)
    assert out[Direction.IN].startswith(AUTH[make])
    assert out[Direction.IN].endswith(b"\r\nNOOP\r\n")
