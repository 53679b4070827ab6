from __future__ import annotations

import contextlib
import socket
import ssl
import time

import pytest

from rawlog.engine.leg import Leg, LegError
from rawlog.engine.tunnel import TlsTunnel
from rawlog.events import Direction
from tests.engine.peers import client_hello, serve, wrap
from tests.engine.stage import Certificates, Ends, Owner, Stage


def secure(stage: Stage, certificates: Certificates, ends: Ends) -> ssl.SSLSocket:
    """A finished handshake: the leg is the server's side."""
    peer, leg, owner = ends
    leg.start_tls(certificates.server(), server_side=True, server_hostname=None, on_done=owner.done.append)
    client = stage.peer(wrap, certificates, peer)
    stage.run_until(lambda: owner.done == [None])
    tls = client.result()
    assert isinstance(tls, ssl.SSLSocket)
    return tls


# -- plain ------------------------------------------------------------------------------------------------------------


def test_plain_bytes_both_ways_and_the_tap(stage: Stage, ends: Ends) -> None:
    peer, leg, owner = ends
    leg.resume()
    before = time.time_ns() // 1000
    peer.sendall(b"hello")
    stage.run_until(lambda: owner.data == b"hello")
    leg.write(b"world")
    assert peer.recv(100) == b"world"
    ((at, direction, data),) = owner.tapped  # what is read is tapped by the relay, after it was forwarded
    assert (direction, data) == (Direction.OUT, b"world")
    assert before <= at <= time.time_ns() // 1000


def test_a_failing_tap_is_taken_off_and_reported(stage: Stage, ends: Ends) -> None:
    peer, leg, _ = ends
    leg.tap = lambda at, direction, data: [][0]
    leg.write(b"one ")
    leg.write(b"two")
    assert peer.recv(7, socket.MSG_WAITALL) == b"one two"
    assert [type(error) for error in stage.errors] == [IndexError]
    assert leg.tap is None


def test_what_can_t_be_sent_is_counted_and_drained(stage: Stage, ends: Ends) -> None:
    peer, leg, owner = ends
    leg.write(bytes(1 << 24))
    assert 0 < leg.queued == leg.undelivered < 1 << 24
    reading = stage.peer(lambda: sum(len(data) for data in iter(lambda: peer.recv(1 << 20), b"")))
    stage.run_until(lambda: owner.drained == 1)
    assert leg.queued == leg.undelivered == 0
    leg.close()
    assert reading.result() == 1 << 24


def test_the_end_of_each_direction(stage: Stage, ends: Ends) -> None:
    peer, leg, owner = ends
    leg.resume()
    peer.shutdown(socket.SHUT_WR)
    stage.run_until(lambda: leg.ended)
    assert (leg.end_reason, leg.broken, leg.truncated, leg.hard) == ("client closed", None, False, False)
    leg.write(b"still here")
    leg.shutdown_write()
    assert leg.shut
    assert peer.recv(100) == b"still here"
    assert peer.recv(1) == b""
    assert owner.changes == 2


def test_the_end_waits_for_what_is_queued(stage: Stage, ends: Ends) -> None:
    peer, leg, _ = ends
    leg.write(bytes(1 << 24))
    leg.shutdown_write()
    assert not leg.shut
    reading = stage.peer(lambda: sum(len(data) for data in iter(lambda: peer.recv(1 << 20), b"")))
    stage.run_until(lambda: leg.shut)
    assert reading.result() == 1 << 24


def test_a_reset_ends_both_directions(stage: Stage, ends: Ends) -> None:
    peer, leg, _ = ends
    leg.resume()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    stage.run_until(lambda: leg.ended)
    assert leg.hard
    assert leg.end_reason == leg.broken == "client reset the connection"
    leg.write(b"into the void")
    assert leg.undelivered == 13


def test_a_write_to_a_peer_that_left_breaks_only_that_direction(stage: Stage) -> None:
    peer, leg = stage.leg("unix")
    owner = Owner(leg)
    peer.sendall(b"last words")
    peer.close()
    leg.write(b"hello?")
    stage.run_until(lambda: leg.broken is not None)
    assert leg.broken == "client closed"
    assert not leg.ended
    leg.resume()
    stage.run_until(lambda: leg.ended)
    assert owner.data == b"last words"
    assert leg.undelivered == 6


def test_a_reset_that_a_write_meets_first_is_known_as_one(stage: Stage, ends: Ends) -> None:
    peer, leg, owner = ends
    peer.sendall(b"last words")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    stage.pause(0.01)
    leg.write(b"hello?")
    leg.resume()
    stage.run_until(lambda: leg.ended)
    assert owner.data == b"last words"
    assert leg.hard
    assert leg.broken == "client reset the connection"


def test_a_bug_of_the_owner_ends_this_leg_and_is_reported(stage: Stage, ends: Ends) -> None:
    peer, leg, owner = ends
    leg.on_data = lambda data: [][0]
    leg.resume()
    peer.sendall(b"x")
    stage.run_until(lambda: leg.ended)
    assert "internal error" in leg.end_reason
    assert owner.changes == 1
    assert [type(error) for error in stage.errors] == [IndexError]


def test_after_close_nothing_is_called(stage: Stage, ends: Ends) -> None:
    peer, leg, owner = ends
    leg.resume()
    peer.sendall(b"x")
    leg.close()
    leg.close()
    leg.abort()
    leg.resume()
    leg.write(b"y")
    leg.shutdown_write()
    stage.pause(0.01)
    assert (owner.data, owner.changes, owner.drained, owner.tapped, leg.undelivered) == (b"", 0, 0, [], 0)


def test_a_refused_connection_is_an_end_with_a_sentence(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    sock = socket.socket()
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        sock.connect(address)
    leg = Leg(stage.loop, sock, "server")
    leg.resume()
    stage.run_until(lambda: leg.ended)
    assert leg.end_reason == (
        "server: connection refused, nothing listens there; start that server or correct the address"
    )
    leg.close()


# -- TLS --------------------------------------------------------------------------------------------------------------


def test_tls_in_the_middle_of_a_stream(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    peer, leg, owner = ends
    leg.resume()
    peer.sendall(b"a STARTTLS\r\n")
    stage.run_until(lambda: owner.data == b"a STARTTLS\r\n")
    leg.write(b"a OK\r\n")
    assert peer.recv(100) == b"a OK\r\n"
    tls = secure(stage, certificates, ends)
    tls.sendall(b"b LOGIN\r\n")
    stage.run_until(lambda: owner.data.endswith(b"b LOGIN\r\n"))
    leg.write(b"b OK\r\n")
    assert tls.recv(100) == b"b OK\r\n"
    assert leg.tls is not None
    assert (leg.tls.version, leg.tls.sni) == ("TLSv1.3", "localhost")
    assert [data for _, _, data in owner.tapped] == [b"a OK\r\n", b"b OK\r\n"]


def test_tls_as_the_client(stage: Stage, certificates: Certificates) -> None:
    peer, leg = stage.leg(name="server")
    owner = Owner(leg)
    leg.resume()
    leg.start_tls(certificates.client(), server_side=False, server_hostname="localhost", on_done=owner.done.append)
    server = stage.peer(lambda: certificates.server().wrap_socket(peer, server_side=True))
    stage.run_until(lambda: owner.done == [None])
    server.result().sendall(b"* OK\r\n")
    stage.run_until(lambda: owner.data == b"* OK\r\n")


def test_plain_text_before_tls_never_crosses(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    """Earlier data, injected commands and the ClientHello come in one segment; the owner begins TLS after its line.

    What stood behind the line in that read is the owner's to refuse; it is not given to the TLS layer, nor read again.
    """
    peer, leg, owner = ends

    def got(data: bytes) -> None:
        owner.data += data
        leg.start_tls(certificates.server(), server_side=True, server_hostname=None, on_done=owner.done.append)

    leg.on_data = got
    leg.resume()
    peer.sendall(b"a STARTTLS\r\nb INJECTED\r\n" + client_hello(certificates))
    stage.run_until(lambda: bool(owner.data))
    first = owner.data
    peer.sendall(b"c INJECTED TOO\r\n")
    stage.run_until(lambda: bool(owner.done))
    assert isinstance(owner.done[0], LegError)
    assert owner.data == first


def test_a_client_hello_behind_a_plain_header_is_fed_to_tls(
    stage: Stage, certificates: Certificates, ends: Ends
) -> None:
    """As behind a PROXY header: the owner gives the rest of its read to the TLS layer, which goes on from there."""
    peer, leg, owner = ends
    tunnel = TlsTunnel(certificates.client(), server_side=False, server_hostname="localhost")

    def got(data: bytes) -> None:
        header, _, rest = data.partition(b"\r\n")
        owner.data += header
        leg.on_data = owner._got
        leg.start_tls(
            certificates.server(), server_side=True, server_hostname=None, on_done=owner.done.append, early=rest
        )

    def play() -> bytes:
        tunnel.handshake(b"")
        peer.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + tunnel.take())
        while tunnel.handshaking:
            tunnel.handshake(peer.recv(65536))
            peer.sendall(tunnel.take())
        peer.sendall(tunnel.write(b"a NOOP\r\n"))
        while not (plain := tunnel.feed(peer.recv(65536))):
            pass
        return plain

    leg.on_data = got
    leg.resume()
    playing = stage.peer(play)
    stage.run_until(lambda: owner.data.endswith(b"a NOOP\r\n"))
    leg.write(b"a OK\r\n")
    assert playing.result() == b"a OK\r\n"
    assert owner.done == [None]


def test_bytes_written_too_early_wait_for_tls(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    peer, leg, owner = ends
    leg.start_tls(certificates.server(), server_side=True, server_hostname=None, on_done=owner.done.append)
    leg.write(b"* OK ready\r\n")
    assert leg.queued == leg.undelivered == 12
    leg.shutdown_write()
    assert not leg.shut

    def play() -> bytes:
        with wrap(certificates, peer) as tls:
            return b"".join(iter(lambda: tls.recv(100), b""))

    playing = stage.peer(play)
    stage.run_until(lambda: leg.shut)
    assert leg.queued == 0
    assert playing.result() == b"* OK ready\r\n"
    assert owner.drained == 1


def test_a_paused_leg_shakes_hands_and_keeps_what_comes_with_it(
    stage: Stage, certificates: Certificates, ends: Ends
) -> None:
    """The first command may come in the segment that ends the handshake; the socket will not announce it again."""
    peer, leg, owner = ends

    def play() -> None:
        tunnel = TlsTunnel(certificates.client(), server_side=False, server_hostname="localhost")
        tunnel.handshake(b"")
        peer.sendall(tunnel.take())
        while tunnel.handshaking:
            tunnel.handshake(peer.recv(65536))
        peer.sendall(tunnel.take() + tunnel.write(b"a NOOP\r\n"))

    leg.start_tls(certificates.server(), server_side=True, server_hostname=None, on_done=owner.done.append)
    stage.peer(play)
    stage.run_until(lambda: owner.done == [None])
    stage.pause(0.01)
    assert owner.data == b""
    leg.resume()
    stage.run_until(lambda: owner.data == b"a NOOP\r\n")


def test_close_notify_each_way(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    _, leg, owner = ends
    leg.resume()
    tls = secure(stage, certificates, ends)
    leg.write(b"bye")
    leg.shutdown_write()
    assert leg.shut

    def play() -> bytes:
        got = b"".join(iter(lambda: tls.recv(100), b""))
        tls.sendall(b"and you")  # after the other side's close_notify
        return got

    assert stage.peer(play).result() == b"bye"
    stage.run_until(lambda: owner.data == b"and you")
    closing = stage.peer(tls.unwrap)
    stage.run_until(lambda: leg.ended)
    assert (leg.end_reason, leg.truncated, leg.hard, leg.broken) == ("client closed", False, False, None)
    closing.result()


def test_an_end_without_close_notify_is_told(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    _, leg, owner = ends
    leg.resume()
    tls = secure(stage, certificates, ends)
    leg.write(b"x")
    assert tls.recv(1) == b"x"  # and the session tickets: closing with unread bytes would be a reset
    tls.sendall(b"half a mess")
    tls.close()
    stage.run_until(lambda: leg.ended)
    assert owner.data == b"half a mess"
    assert leg.truncated
    assert leg.end_reason == "client closed without a TLS close_notify"


def test_a_cut_stream_is_passed_on_as_cut(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    _, leg, _ = ends
    tls = secure(stage, certificates, ends)
    leg.shutdown_write(cut=True)
    with pytest.raises(ssl.SSLEOFError):
        tls.recv(100)


def test_garbage_in_the_tls_stream_is_a_hard_end(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    _, leg, _ = ends
    leg.resume()
    tls = secure(stage, certificates, ends)
    raw = socket.socket(fileno=tls.detach())
    raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    stage.run_until(lambda: leg.ended)
    assert leg.hard
    assert leg.end_reason.startswith("client: TLS error:")
    raw.close()


def test_session_tickets_go_out(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    """They are bytes of the TLS layer's own, left behind by the end of the handshake."""
    tls = secure(stage, certificates, ends)
    ends[1].write(b"x")
    assert tls.recv(1) == b"x"
    assert tls.session is not None
    assert tls.session.has_ticket


class Chatty:
    """A tunnel that always has an answer of its own."""

    failure = None
    ended = pending = False

    def feed(self, raw: bytes) -> bytes:
        return b""

    def take(self) -> bytes:
        return bytes(100_000)


def test_a_flood_of_requests_to_the_tls_layer_is_ended(stage: Stage, ends: Ends) -> None:
    """Key updates are answered without a write of ours, so no back-pressure stops them."""
    peer, leg, _ = ends
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    leg._tunnel = Chatty()  # type: ignore[assignment]
    leg.resume()
    while not leg.ended:
        peer.sendall(b"key update, please")
        stage.pause(0.001)
    assert leg.end_reason == "client: asks for TLS answers without reading them"
    assert leg.queued == 0


def test_tls_twice_is_a_mistake_of_the_caller(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    secure(stage, certificates, ends)
    with pytest.raises(RuntimeError, match="client: TLS is active already"):
        serve(ends[1], ends[2], certificates.server())()
