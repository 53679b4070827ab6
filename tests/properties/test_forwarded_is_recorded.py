"""Every byte that was forwarded is in the record, however a conversation ends; and none that was not said.

200 conversations, in which each side talks at random and then goes: by a half-close, a close or a reset.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.backends import FakeServer
from tests.support.gateway import Record, RunningGateway
from tests.support.peer import Peer

CONVERSATIONS = 200
GREETING = b"* OK ready\r\n"
LOGIN, LOGGED_IN = b"a LOGIN bob secret\r\n", b"a OK in\r\n"


@dataclass
class Side:
    """What one side does after the login, and what it has sent and received."""

    pieces: list[bytes]
    ending: Callable[[Peer], None]
    pauses: list[float]
    sent: bytes = b""
    received: bytes = b""
    failed: list[BaseException] = field(default_factory=list)

    def talk(self, peer: Peer) -> None:
        """Send everything while receiving everything, then go. In TLS one after the other: two threads are too many."""
        if peer.tls:
            self._send(peer)
            with contextlib.suppress(OSError):
                peer.rest()
            self.received = peer.received
            return
        sender = threading.Thread(target=self._send, args=(peer,))
        sender.start()
        try:
            peer.rest()
        except (OSError, ValueError):  # closed by the sender meanwhile
            pass
        finally:
            sender.join(20)
            self.received = peer.received

    def _send(self, peer: Peer) -> None:
        try:
            for piece, pause in zip(self.pieces, self.pauses, strict=True):
                peer.send(piece)
                self.sent += piece
                if pause:
                    time.sleep(pause)
            self.ending(peer)
        except OSError:
            self.sent += b""  # the other side was quicker
        except Exception as error:
            self.failed.append(error)


def reset(peer: Peer) -> None:
    """Reset, and wake up who reads in another thread."""
    with contextlib.suppress(OSError):
        peer.reset()


def shut_and_close(peer: Peer) -> None:
    """Close while the other may still be talking, which resets when something is unread."""
    peer.shut()
    peer.sock.settimeout(0.01)


ENDINGS = {"half-close": Peer.shut, "close": shut_and_close, "reset": reset}


def side(chance: random.Random, ending: str, *, tls: bool) -> Side:
    sizes = [chance.choice([1, 10, 100, 5000, 5000 if tls else 70_000]) for _ in range(chance.randrange(6))]
    pieces = [chance.randbytes(size) for size in sizes]
    pauses = [chance.choice([0.0, 0.0, 0.002]) for _ in pieces]
    return Side(pieces, ENDINGS[ending], pauses)


def hold(gateway: RunningGateway, client: Side, *, tls: bool) -> None:
    """One conversation, as the client sees it."""
    with gateway.dial_tls() if tls else gateway.dial() as peer:
        assert peer.line() == GREETING
        peer.send(LOGIN)
        assert peer.line() == LOGGED_IN
        client.talk(peer)


def check(record: Record, client: Side, server: Side, *, whole: bool) -> None:
    """The record is what was said, and holds all that arrived."""
    said, answered = LOGIN + b"".join(client.pieces), GREETING + LOGGED_IN + b"".join(server.pieces)
    assert said.startswith(record.in_)
    assert answered.startswith(record.out)
    assert record.in_.startswith(server.received)
    assert record.out.startswith(client.received)
    if whole:
        assert record.in_ == server.received == said
        assert record.out == client.received == answered


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_every_byte_that_arrived_is_recorded(tmp_path: Path, tls: bool) -> None:
    chance = random.Random(20261122)
    talks: list[tuple[Side, Side, bool]] = []
    for _ in range(CONVERSATIONS // 2):
        endings = [chance.choice(list(ENDINGS)) for _ in range(2)]
        talks.append((*(side(chance, ending, tls=tls) for ending in endings), endings == ["half-close"] * 2))
    servers = iter(talks)

    def script(peer: Peer) -> None:
        _, server, _ = next(servers)
        peer.send(GREETING)
        assert peer.line() == LOGIN
        peer.send(LOGGED_IN)
        server.talk(peer)

    fake = FakeServer(script)
    with fake, RunningGateway(f"imap://127.0.0.1:{fake.port}", tmp_path, keep_secrets=True) as gateway:
        for client, _, _ in talks:
            hold(gateway, client, tls=tls)
            fake.wait()
        found = gateway.records()
    assert len(found) == len(talks)
    for record, (client, server, whole) in zip(found, talks, strict=True):
        assert not client.failed
        assert not server.failed
        check(record, client, server, whole=whole)
    assert sum(whole for _, _, whole in talks) > 5


def test_a_reader_that_is_slow_gets_everything_after_the_other_side_closed(tmp_path: Path) -> None:
    text = random.Random(1).randbytes(3_000_000)

    def script(peer: Peer) -> None:
        peer.send(GREETING)
        peer.line()
        peer.send(LOGGED_IN + text)  # and closes at once

    fake = FakeServer(script)
    with fake, RunningGateway(f"imap://127.0.0.1:{fake.port}", tmp_path) as gateway:
        with gateway.dial() as peer:
            peer.send(LOGIN)
            time.sleep(0.2)
            peer.shut()
            assert peer.rest() == GREETING + LOGGED_IN + text
        assert gateway.record().out == peer.received
