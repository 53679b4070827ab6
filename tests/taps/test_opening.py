"""The dialogue with a server that is reached by STARTTLS, on a model of its leg."""

from __future__ import annotations

import pytest

from rawlog.engine.leg import LegError
from rawlog.taps.dialects.imap import Imap
from rawlog.taps.opening import Opening
from tests.support.table import CONTEXT, ModelLeg

BEFORE = b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready\r\n"
OK = b"rawlog1 OK go\r\n"
INSIDE = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nrawlog2 OK done\r\n"
GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n"


class Dialogue:
    """An opening, and what came of it."""

    def __init__(self) -> None:
        self.leg = ModelLeg("backend x")
        self.greetings: list[bytes] = []
        self.failures: list[str] = []
        self.tls = 0
        self.opening = Opening(
            self.leg,  # type: ignore[arg-type]
            Imap().starttls(),
            CONTEXT,
            "mail.example.com",
            on_tls=self.on_tls,
            on_done=self.greetings.append,
            on_failure=self.failures.append,
        )

    def on_tls(self) -> None:
        self.tls += 1

    def up_to_tls(self) -> Dialogue:
        self.opening.feed(BEFORE)
        self.opening.feed(OK)
        assert self.leg.done is not None
        return self


@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_from_the_first_line_to_the_greeting_in_tls(cut: int) -> None:
    dialogue = Dialogue()
    for said in (BEFORE, OK):
        for i in range(0, len(said), cut):
            dialogue.opening.feed(said[i : i + cut])
    assert dialogue.leg.written == b"rawlog1 STARTTLS\r\n<TLS>"
    assert dialogue.leg.hostname == "mail.example.com"
    dialogue.leg.finish_tls()
    assert dialogue.tls == 1
    for i in range(0, len(INSIDE), cut):
        dialogue.opening.feed(INSIDE[i : i + cut])
    assert dialogue.leg.written.endswith(b"<TLS>rawlog2 CAPABILITY\r\n")
    assert dialogue.greetings == [GREETING]
    assert dialogue.failures == []


def test_what_the_server_says_behind_its_greeting_is_not_lost() -> None:
    dialogue = Dialogue().up_to_tls()
    dialogue.leg.finish_tls()
    dialogue.opening.feed(INSIDE + b"* OK by the way\r\n* hal")
    assert dialogue.greetings == [GREETING + b"* OK by the way\r\n* hal"]


@pytest.mark.parametrize("suffix", [b"x", b"rawlog2 OK\r\n", INSIDE, b"\n" * 70000])
def test_what_it_says_behind_its_ok_is_refused(suffix: bytes) -> None:
    dialogue = Dialogue()
    dialogue.opening.feed(BEFORE)
    dialogue.opening.feed(OK + suffix)
    (failure,) = dialogue.failures
    assert failure.startswith(f"it sent {len(suffix)} bytes behind its answer to STARTTLS (response injection)")
    assert dialogue.leg.done is None
    dialogue.opening.feed(INSIDE)
    assert dialogue.greetings == []


def test_a_refusal_ends_it() -> None:
    dialogue = Dialogue()
    dialogue.opening.feed(BEFORE + b"rawlog1 NO never\r\n" + INSIDE)
    assert len(dialogue.failures) == 1
    assert "'rawlog1 NO never'" in dialogue.failures[0]


def test_a_failed_handshake_ends_it() -> None:
    dialogue = Dialogue().up_to_tls()
    dialogue.leg.finish_tls(LegError("backend x: its certificate is bad"))
    assert dialogue.failures == ["backend x: its certificate is bad"]
    assert dialogue.tls == 0


def test_a_line_without_end_ends_it() -> None:
    dialogue = Dialogue()
    dialogue.opening.feed(b"x" * 65537)
    assert dialogue.failures == ["its greeting has a line of more than 65536 bytes; check host and port"]


def test_after_cancel_nothing_is_called() -> None:
    dialogue = Dialogue().up_to_tls()
    dialogue.opening.cancel()
    dialogue.leg.finish_tls()
    dialogue.opening.feed(INSIDE)
    assert not (dialogue.tls or dialogue.greetings or dialogue.failures)
