from __future__ import annotations

import pytest

from rawlog.engine.handshake import Handshake
from rawlog.engine.tunnel import TlsTunnel
from tests.engine.peers import fails, serve, wrap
from tests.engine.stage import Certificates, Ends, Stage


class Side:
    """One side of a handshake, whose raw bytes wait in ``sent``."""

    def __init__(self, stage: Stage, tunnel: TlsTunnel, *, first: bytes = b"", timeout: float = 5.0) -> None:
        self.sent = b""
        self.over: list[str | None] = []
        self.shake = Handshake(stage.loop, tunnel, self._send, self.over.append, first=first, timeout=timeout)

    def _send(self, raw: bytes, plain: int) -> None:
        assert plain == 0
        self.sent += raw

    def take(self) -> bytes:
        raw, self.sent = self.sent, b""
        return raw


def tunnels(certificates: Certificates) -> tuple[TlsTunnel, TlsTunnel]:
    return (
        TlsTunnel(certificates.client(), server_side=False, server_hostname="localhost"),
        TlsTunnel(certificates.server(), server_side=True, server_hostname=None),
    )


def test_comes_to_its_end_on_both_sides(stage: Stage, certificates: Certificates) -> None:
    one, two = tunnels(certificates)
    client = Side(stage, one)
    server = Side(stage, two, first=client.take())
    client.shake.feed(server.take())
    server.shake.feed(client.take())
    assert client.over == server.over == [None]
    stage.pause(0.01)
    assert client.over == server.over == [None]


def test_a_failure_is_told_once_and_later(stage: Stage, certificates: Certificates) -> None:
    server = Side(stage, tunnels(certificates)[1], first=b"GET / HTTP/1.0\r\n\r\n")
    assert server.over == []
    server.shake.feed(b"more of it")
    stage.pause(0.01)
    assert len(server.over) == 1
    assert "plain text" in str(server.over[0])


def test_the_time_limit(stage: Stage, certificates: Certificates) -> None:
    server = Side(stage, tunnels(certificates)[1], timeout=0.01)
    stage.run_until(lambda: bool(server.over))
    assert server.over == ["no TLS handshake within 0.01 s; check that it speaks TLS on this port"]


def test_an_end_in_the_middle(stage: Stage, certificates: Certificates) -> None:
    client = Side(stage, tunnels(certificates)[0])
    client.shake.feed_eof()
    assert "during the TLS handshake" in str(client.over[0])


def test_cancelled_calls_nothing(stage: Stage, certificates: Certificates) -> None:
    server = Side(stage, tunnels(certificates)[1], first=b"plain\r\n", timeout=0.001)
    server.shake.cancel()
    assert [timer for _, _, timer in stage.loop._timers if timer.callback is not None] == []
    stage.pause(0.01)
    assert server.over == []


def test_early_bytes_wait(stage: Stage, certificates: Certificates) -> None:
    server = Side(stage, tunnels(certificates)[1])
    server.shake.hold(b"* OK ")
    server.shake.hold(b"ready\r\n")
    assert server.shake.early == [b"* OK ", b"ready\r\n"]
    assert server.shake.early_size == 12


def test_a_silent_client_has_its_sentence_and_counts_what_waited(
    stage: Stage, certificates: Certificates, ends: Ends
) -> None:
    _, leg, owner = ends
    begin = serve(leg, owner, certificates.server(), timeout=0.02)
    told = fails(stage, leg, owner, lambda: begin() or leg.write(b"* OK\r\n"))
    assert told == "client: no TLS handshake within 0.02 s; check that it speaks TLS on this port"
    assert leg.undelivered == 6


def test_a_context_that_checks_names_needs_one(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    _, leg, owner = ends
    with pytest.raises(ValueError, match="server_hostname"):
        leg.start_tls(certificates.client(), server_side=False, server_hostname=None, on_done=owner.done.append)


def test_a_leg_closed_in_the_handshake_calls_nothing(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    _, leg, owner = ends
    serve(leg, owner, certificates.server(), timeout=0.001)()
    leg.close()
    stage.pause(0.02)
    assert owner.done == []


def test_a_bug_in_on_done_is_reported(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    peer, leg, _ = ends
    leg.start_tls(certificates.server(), server_side=True, server_hostname=None, on_done=lambda error: [][0])
    client = stage.peer(wrap, certificates, peer)
    stage.run_until(lambda: leg.ended)
    assert [type(error) for error in stage.errors] == [IndexError]
    assert "internal error" in leg.end_reason
    client.result()


def test_a_flood_in_the_handshake_is_read_in_small_pieces(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    """A buffer of the TLS layer keeps the largest size it ever had."""
    peer, leg, owner = ends
    serve(leg, owner, certificates.server())()
    sizes: list[int] = []

    class Ear:
        early_size = 0

        def feed(self, raw: bytes) -> None:
            sizes.append(len(raw))

        def cancel(self) -> None:
            pass

    assert leg._handshake is not None
    leg._handshake.cancel()
    leg._handshake = Ear()  # type: ignore[assignment]
    peer.sendall(bytes(60_000))
    stage.run_until(lambda: sum(sizes) == 60_000)
    assert max(sizes) == 4096


def test_who_may_not_begin_is_told_at_the_first_bytes(stage: Stage, certificates: Certificates) -> None:
    one, two = tunnels(certificates)
    asked: list[int] = []

    def admit() -> str:
        asked.append(1)
        return "too many"

    over: list[str | None] = []
    shake = Handshake(stage.loop, two, lambda raw, plain: None, over.append, first=b"", timeout=5.0, admit=admit)
    stage.pause(0.01)
    assert asked == []
    client = Side(stage, one)
    shake.feed(client.take())
    shake.feed(b"more")
    assert over == ["too many"]
    assert asked == [1]


def test_who_may_begin_is_asked_once(stage: Stage, certificates: Certificates) -> None:
    one, two = tunnels(certificates)
    asked: list[str] = []
    server = Side(stage, two)
    server.shake.cancel()
    over: list[str | None] = []

    def admit() -> str:
        asked.append("x")
        return ""

    shake = Handshake(stage.loop, two, server._send, over.append, first=b"", timeout=5.0, admit=admit)
    client = Side(stage, one)
    shake.feed(client.take())
    client.shake.feed(server.take())
    shake.feed(client.take())
    assert over == client.over == [None]
    assert asked == ["x"]
