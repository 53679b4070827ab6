"""``rawlog_smtp_bare_lf``: a message whose lines end otherwise than with CRLF is refused, however its bytes arrive.

The endings below are those by which one server takes for the end of a message what another one does not (CVE-2023-51764
and its class): behind them the message goes on with commands of its own.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.backends import FakeServer
from tests.support.gateway import RunningGateway
from tests.support.peer import Peer
from tests.support.table import Table

ENDINGS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\n",
    b"\n.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r\r\n.\r\r\n",
    b"\r\n.\r\r\n",
    b"\n\n.\r\n",
    b"\r\n.\r\0\n",
]
SMUGGLED = b"MAIL FROM:<admin@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nSubject: forged\r\n\r\nx\r\n.\r\n"
REFUSED = b"521 5.5.2 A line must end with CRLF.\r\n"
GOOD = [
    b"Subject: x\r\n\r\nhello\r\n.\r\n",
    b".\r\n",
    b"..dot\r\n.\r\n",
    b"\r\n\r\n.\r\n",
    b"8-bit \xff\xfe and \0 too\r\n.\r\n",
    b"x" * 70 + b"\r\n.. \r\n.\r\n",
]
KINDS = [("smtp", b"EHLO"), ("lmtp", b"LHLO")]


def in_data(protocol: str, hello: bytes, **policy: object) -> Table:
    """A conversation whose DATA was answered with 354; what was said so far is taken."""
    here = Table(protocol, **policy)
    here.server_says(b"220 hi\r\n")
    for line, answer in ((hello + b" me", b"250 me"), (b"MAIL FROM:<a@b>", b"250 ok"), (b"RCPT TO:<c@d>", b"250 ok")):
        here.client_says(line + b"\r\n")
        here.server_says(answer + b"\r\n")
    here.client_says(b"DATA\r\n")
    here.server_says(b"354 go\r\n")
    here.took("client")
    here.took("server")
    return here


def say(here: Table, data: bytes, cuts: tuple[int, ...]) -> None:
    for start, end in itertools.pairwise((0, *cuts, len(data))):
        if data[start:end] and not here.finished:
            here.client_says(data[start:end])


@pytest.mark.parametrize(("protocol", "hello"), KINDS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_behind_a_doubtful_end_reaches_nobody(protocol: str, hello: bytes, ending: bytes) -> None:
    head = b"Subject: x\r\n\r\nhello"
    said = head + ending + SMUGGLED
    for cut in range(len(head) - 2, len(head) + len(ending) + 4):
        here = in_data(protocol, hello)
        say(here, said, (cut,))
        assert b"admin@example.com" not in here.took("server")
        assert here.took("client") == REFUSED
        assert here.finished == (
            "the client sent a message with a line ending that is not CRLF; refused (rawlog_smtp_bare_lf)"
        )


@pytest.mark.parametrize("ending", ENDINGS)
def test_also_byte_by_byte(ending: bytes) -> None:
    here = in_data("smtp", b"EHLO")
    said = b"hello" + ending + SMUGGLED
    say(here, said, tuple(range(1, len(said))))
    assert b"admin" not in here.took("server")
    assert here.took("client") == REFUSED


@pytest.mark.parametrize("message", GOOD)
def test_a_message_as_it_should_be_passes_in_any_pieces(message: bytes) -> None:
    pairs = itertools.combinations(range(len(message) + 1), 2) if len(message) < 40 else [(a, a + 3) for a in range(70)]
    for cuts in pairs:
        here = in_data("smtp", b"EHLO")
        say(here, message, cuts)
        assert here.took("server") == message
        assert not here.finished
        here.server_says(b"250 queued\r\n")
        here.client_says(b"QUIT\r\n")
        assert here.took("server") == b"QUIT\r\n"


@pytest.mark.parametrize("ending", ENDINGS)
def test_where_the_operator_lets_them_pass_they_are_not_changed(ending: bytes) -> None:
    said = b"hello" + ending + b"more\r\n.\r\n"
    for cut in range(len(said)):
        here = in_data("smtp", b"EHLO", refuse_bare_lf=False)
        say(here, said, (cut,))
        assert here.took("server") == said
        assert not here.finished


@settings(max_examples=300, deadline=None)
@given(
    lines=st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b"")), max_size=6),
    bare=st.sampled_from([b"\n", b"\r"]),
    where=st.integers(0, 5),
    cuts=st.lists(st.integers(0, 80), max_size=4),
)
def test_any_bare_line_ending_is_found(lines: list[bytes], bare: bytes, where: int, cuts: list[int]) -> None:
    stuffed = [b"." + line if line.startswith(b".") else line for line in lines]
    good = b"".join(line + b"\r\n" for line in stuffed) + b".\r\n"
    here = in_data("smtp", b"EHLO")
    say(here, good, tuple(sorted(cut for cut in cuts if cut < len(good))))
    assert not here.finished
    stuffed.insert(min(where, len(stuffed)), b"x" + bare + b"y")
    bad = b"".join(line + b"\r\n" for line in stuffed) + b".\r\n"
    here = in_data("smtp", b"EHLO")
    say(here, bad, tuple(sorted(cut for cut in cuts if cut < len(bad))))
    assert here.took("client") == REFUSED


def test_commands_are_not_looked_at() -> None:
    here = Table("smtp")
    here.server_says(b"220 hi\r\n")
    here.client_says(b"NOOP\n")
    assert here.took("server") == b"NOOP\n"


@pytest.mark.parametrize("early", [b"554 no\r\n", b"250 queued\r\n"])
def test_an_answer_in_the_middle_of_a_message_ends_it(early: bytes) -> None:
    here = in_data("smtp", b"EHLO")
    here.client_says(b"Subject: x\r\n")
    here.server_says(early)
    assert here.took("client") == early
    assert here.finished.startswith("the server answered in the middle of a message; ended")


# -- by the wire ------------------------------------------------------------------------------------------------------


def server(peer: Peer) -> None:
    peer.send(b"220 hi\r\n")
    while line := peer.line():
        peer.send(b"354 go\r\n" if line[:4] == b"DATA" else b"250 ok\r\n")
        if line[:4] == b"DATA":
            peer.until(b"\r\n.\r\n")
            peer.send(b"250 queued\r\n")


@pytest.mark.parametrize("refuse", [True, False])
@pytest.mark.parametrize("ending", ENDINGS[:3])
def test_end_to_end(tmp_path: Path, ending: bytes, refuse: bool) -> None:
    with (
        FakeServer(server) as fake,
        RunningGateway(
            f"smtp://127.0.0.1:{fake.port}", tmp_path, change=lambda words: words.update(refuse_bare_lf=refuse)
        ) as gateway,
        gateway.dial() as peer,
    ):
        peer.line()
        for line in (b"HELO me\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n", b"DATA\r\n"):
            peer.send(line)
            assert peer.line()[:1] in b"23"
        peer.send(b"hello" + ending)
        peer.send(b"MAIL FROM:<admin@example.com>\r\n.\r\n")
        if refuse:
            assert peer.rest() == REFUSED
            fake.wait()
            assert b"admin" not in fake.peers[0].received
            assert gateway.idle().told()[0].endswith("refused (rawlog_smtp_bare_lf)")
        else:
            assert peer.line() == b"250 queued\r\n"
            assert b"hello" + ending + b"MAIL FROM:<admin" in fake.peers[0].received
