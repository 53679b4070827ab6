"""Nothing that came before TLS counts as if it had come in through it: five protocols, both legs, every cut.

CVE-2011-0411 and its class; CVE-2021-38371 and its class for the server's side.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.backends import FakeServer
from tests.support.gateway import RunningGateway
from tests.support.peer import Peer
from tests.support.table import Table


@dataclass(frozen=True)
class Words:
    """What a protocol says around STARTTLS."""

    protocol: str
    greeting: bytes
    noop: bytes
    done: bytes  # the answer to it
    starttls: bytes
    accepted: bytes  # how the gateway's answer begins
    injected: bytes
    refused: bytes  # how the gateway says good-bye
    opening: tuple[bytes, ...]  # what a server says up to its answer to STARTTLS


IMAP = Words(
    "imap",
    b"* OK ready\r\n",
    b"a NOOP\r\n",
    b"a OK done\r\n",
    b"s STARTTLS\r\n",
    b"s OK ",
    b"b LOGIN bob secret\r\n",
    b"* BYE ",
    (b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", b"rawlog1 OK go\r\n"),
)
POP3 = Words(
    "pop3",
    b"+OK ready\r\n",
    b"NOOP\r\n",
    b"+OK done\r\n",
    b"STLS\r\n",
    b"+OK ",
    b"USER bob\r\nPASS secret\r\n",
    b"-ERR ",
    (b"+OK ready\r\n", b"+OK go\r\n"),
)
SMTP = Words(
    "smtp",
    b"220 ready\r\n",
    b"NOOP\r\n",
    b"250 done\r\n",
    b"STARTTLS\r\n",
    b"220 ",
    b"EHLO evil\r\nMAIL FROM:<evil@example.com>\r\n",
    b"421 ",
    (b"220 ready\r\n", b"250-me\r\n250 STARTTLS\r\n", b"220 go\r\n"),
)
LMTP = Words(
    "lmtp", SMTP.greeting, SMTP.noop, SMTP.done, SMTP.starttls, SMTP.accepted, b"LHLO evil\r\n", b"421 ", SMTP.opening
)
SIEVE = Words(
    "managesieve",
    b'"IMPLEMENTATION" "x"\r\n"SASL" "PLAIN"\r\nOK "ready"\r\n',
    b"NOOP\r\n",
    b'OK "done"\r\n',
    b"STARTTLS\r\n",
    b"OK ",
    b'AUTHENTICATE "PLAIN" "AGJvYgBzZWNyZXQ="\r\n',
    b"BYE ",
    (b'"IMPLEMENTATION" "x"\r\n"STARTTLS"\r\nOK\r\n', b'OK "go"\r\n'),
)
ALL = (IMAP, POP3, SMTP, LMTP, SIEVE)
SCHEMES = {"managesieve": "sieve"}

each_protocol = pytest.mark.parametrize("words", ALL, ids=lambda words: words.protocol)


def cuts(whole: bytes, least: int) -> Iterator[list[bytes]]:
    """``whole`` in one piece, and in two and three pieces of which the last begins at ``least`` or later."""
    yield [whole]
    for end in range(1, len(whole)):
        yield [whole[:end], whole[end:]]
    for first, second in itertools.combinations(range(1, len(whole)), 2):
        if second > least:
            yield [whole[:first], whole[first:second], whole[second:]]


# -- the client's leg ----------------------------------------------------------------------------------------------


@each_protocol
def test_commands_in_one_segment_with_starttls_never_reach_the_server(words: Words) -> None:
    for size in range(1, len(words.injected) + 1):
        for before, answer in ((b"", b""), (words.noop, words.done), (words.noop * 2, words.done * 2)):
            table = Table(words.protocol)
            table.server_says(words.greeting)
            table.client_says(before + words.starttls + words.injected[:size])
            if answer:
                table.server_says(answer)
            assert table.took("server") == before
            assert table.took("client").splitlines()[-1].startswith(words.refused)
            assert table.told == [
                f"the client sent {size} bytes behind STARTTLS before TLS was on (command injection); refused"
            ]
            assert table.finished
            assert not table.tls


@each_protocol
def test_nor_when_starttls_itself_comes_in_pieces(words: Words) -> None:
    for pieces in cuts(words.starttls + words.injected[:8], len(words.starttls)):
        table = Table(words.protocol)
        table.server_says(words.greeting)
        for piece in pieces:
            # From the moment TLS has begun a real leg gives all bytes to the TLS layer, which refuses them.
            if table.client.done is None:
                table.client_says(piece)
        assert table.took("server") == b""
        assert table.finished or table.client.done is not None
        assert not table.tls


@each_protocol
def test_nor_when_it_is_sent_before_the_greeting(words: Words) -> None:
    table = Table(words.protocol)
    table.client_says(words.starttls + words.injected)
    table.server_says(words.greeting)
    assert table.took("server") == b""
    assert "command injection" in table.finished


@each_protocol
def test_nor_in_a_flood(words: Words) -> None:
    table = Table(words.protocol)
    table.server_says(words.greeting)
    flood = words.injected * (1024 * 1024 // len(words.injected))
    table.client_says(words.starttls + flood)
    assert table.took("server") == b""
    assert f"sent {len(flood)} bytes" in table.finished


@each_protocol
@pytest.mark.parametrize("where", [0, 1, 5, 1000])
@pytest.mark.parametrize("late", [False, True])
def test_on_a_real_socket_the_tls_layer_refuses_the_rest(tmp_path: Path, words: Words, where: int, late: bool) -> None:
    def script(peer: Peer) -> None:
        peer.send(words.greeting)
        peer.rest()

    scheme = SCHEMES.get(words.protocol, words.protocol)
    server = FakeServer(script)
    with server, RunningGateway(f"{scheme}://127.0.0.1:{server.port}", tmp_path, keep_secrets=True) as gateway:
        with gateway.dial() as peer:
            peer.until(b"ready" if words is not SIEVE else b"OK")
            peer.line()
            peer.send(words.starttls + words.injected[:where])
            if late and not where:
                assert peer.line().startswith(words.accepted)
            peer.send(words.injected[where:] * 20)
            said = peer.rest()
        assert words.done not in said
        (end,) = gateway.idle().ends()
        assert " tls=- " in end
        assert "refused" in end or "sends plain text where TLS is expected" in end
        assert len(gateway.told()) == 1
    assert server.peers[0].received == b""


# -- the server's leg ----------------------------------------------------------------------------------------------


@each_protocol
def test_answers_behind_the_servers_ok_are_refused(words: Words) -> None:
    for suffix in (b"x", b"\r\n", words.done, words.greeting * 3, words.done * 10_000):
        table = Table(words.protocol, backend_tls="starttls")
        table.client_says(words.injected)
        for said in words.opening[:-1]:
            table.server_says(said)
        table.server_says(words.opening[-1] + suffix)
        assert b"<TLS>" not in table.took("server")
        assert table.took("client").startswith(words.refused)
        assert f"it sent {len(suffix)} bytes behind its answer to STARTTLS (response injection)" in table.finished


@each_protocol
def test_also_when_they_come_in_pieces(words: Words) -> None:
    for pieces in cuts(words.opening[-1] + b"x" * 6, len(words.opening[-1])):
        table = Table(words.protocol, backend_tls="starttls")
        for said in words.opening[:-1]:
            table.server_says(said)
        for piece in pieces:
            if table.server.done is None:
                table.server_says(piece)
        assert words.injected not in table.took("server")
        assert table.finished or table.server.done is not None


@each_protocol
def test_no_byte_of_the_client_leaves_before_tls(words: Words) -> None:
    for count in range(len(words.opening) + 1):
        table = Table(words.protocol, backend_tls="starttls")
        table.client_says(words.injected)
        for said in words.opening[:count]:
            table.server_says(said)
        sent = table.took("server")
        assert b"secret" not in sent
        assert b"evil" not in sent


@each_protocol
@pytest.mark.parametrize("answer", [b"NO no\r\n", b"BAD what\r\n", b"-ERR no\r\n", b"454 no\r\n", b"\x16\x03\x01\r\n"])
@pytest.mark.parametrize("step", [0, 1, -1])
def test_a_server_that_answers_otherwise_gets_nothing(words: Words, answer: bytes, step: int) -> None:
    table = Table(words.protocol, backend_tls="starttls")
    table.client_says(words.injected)
    for said in words.opening[:step]:
        table.server_says(said)
    table.server_says(answer)
    table.server_says(words.done * 3)
    assert table.took("client").startswith(words.refused)
    assert table.finished.startswith("backend x: ")
    assert b"secret" not in table.took("server")


@each_protocol
def test_on_a_real_socket_the_tls_layer_refuses_plain_text_behind_the_ok(tmp_path: Path, words: Words) -> None:
    def script(peer: Peer) -> None:
        for number, said in enumerate(words.opening):
            peer.send(said)
            if number + 1 < len(words.opening):
                peer.line()
        peer.exactly(5)  # TLS has begun
        peer.send(words.done * 5)
        peer.rest()

    scheme = SCHEMES.get(words.protocol, words.protocol)
    server = FakeServer(script)
    with server, RunningGateway(f"{scheme}+starttls://localhost:{server.port}", tmp_path) as gateway:
        with gateway.dial() as peer:
            peer.send(words.injected)
            assert peer.rest().startswith(words.refused)
        (told,) = gateway.idle().told()
    assert "answers in plain text where TLS is expected" in told
    assert b"secret" not in server.peers[0].received
    assert b"evil" not in server.peers[0].received
