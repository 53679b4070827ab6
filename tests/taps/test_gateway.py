"""Listeners and many conversations: ports, limits, descriptors that run out, the end; and nothing is left behind."""

from __future__ import annotations

import gc
import resource
import socket
import threading
import weakref
from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.settings.backend import Listen, parse_listen
from rawlog.taps import conversation, gateway
from tests.support.backends import FakeServer, ImapScript
from tests.support.certificates import certificates
from tests.support.gateway import RunningGateway, eventually
from tests.support.peer import Peer, dial
from tests.support.places import open_descriptors


def talk(peer: Peer) -> None:
    """A short conversation, up to its end."""
    with peer:
        assert peer.line().startswith(b"* OK ")
        assert peer.command(b"a LOGIN bob secret").startswith(b"a OK ")
        assert peer.command(b"b LOGOUT").endswith(b"b OK bye\r\n")
        assert peer.rest() == b""


def running(fake: FakeServer, directory: Path) -> RunningGateway:
    return RunningGateway(f"imap://127.0.0.1:{fake.port}", directory)


def test_the_port_that_the_kernel_chose_is_told(tmp_path: Path) -> None:
    with FakeServer(ImapScript()) as fake, running(fake, tmp_path) as here:
        for text in ("127.0.0.1:0", "tls:127.0.0.1:0", "[::1]:0"):
            where = here.call(lambda text=text: here.gateway.listen(parse_listen(text)))
            assert where.port
            assert str(where).replace(str(where.port), "0") == text
        assert dial(here.port).line().startswith(b"* OK")


def test_a_unix_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "imap"
    with FakeServer(ImapScript()) as fake, running(fake, tmp_path / "raw") as here:
        where = Listen(unix_path=str(path))
        assert here.call(lambda: here.gateway.listen(where)) == where
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        talk(Peer(sock))
        assert "client=unix" in here.idle().ends()[0]
        here.call(here.gateway.stop_listening)
        assert not path.exists()


def test_a_backend_may_be_a_unix_socket(tmp_path: Path) -> None:
    with FakeServer(ImapScript()) as behind, running(behind, tmp_path / "behind") as first:
        path = tmp_path / "imap"
        first.call(lambda: first.gateway.listen(Listen(unix_path=str(path))))
        with RunningGateway(f"imap+unix:{path}", tmp_path / "raw") as here:
            talk(here.dial())
            assert here.record().out == first.record().out


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with FakeServer(ImapScript()) as fake, running(fake, tmp_path) as here:
        where = Listen("127.0.0.1", here.port)
        with pytest.raises(RawlogError, match=f"listener 127.0.0.1:{here.port}: the address is in use;"):
            here.gateway.listen(where)


def test_many_at_once(tmp_path: Path) -> None:
    with FakeServer(ImapScript()) as fake, running(fake, tmp_path) as here:
        peers = [here.dial() for _ in range(40)]
        for peer in peers:
            assert peer.line().startswith(b"* OK")
        assert here.conversations() == 40
        for number, peer in enumerate(peers):
            peer.command(b"a LOGIN user%d secret" % number)
        for peer in reversed(peers):
            peer.command(b"b LOGOUT")
            peer.close()
        recorded = here.records()
    assert len(recorded) == 40
    assert {record.in_ for record in recorded} == {b"a LOGIN user%d XXXXXX\r\nb LOGOUT\r\n" % n for n in range(40)}


def test_more_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "CONVERSATIONS_LIMIT", 2)
    with FakeServer(ImapScript()) as fake, running(fake, tmp_path) as here:
        first, second = here.dial(), here.dial()
        assert first.line()
        assert second.line()
        with here.dial() as third:
            assert third.rest() == b"* BYE [UNAVAILABLE] There are too many connections at the moment.\r\n"
        assert here.told() == ["more than 2 conversations; a connection is refused"]
        first.close()
        eventually(lambda: here.conversations() == 1)
        talk(here.dial())
        second.close()


def test_when_descriptors_run_out_it_waits_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "REST", 0.05)
    with FakeServer(ImapScript()) as fake, running(fake, tmp_path) as here:
        talk(here.dial())
        here.idle()
        fake.wait()
        waiting = socket.socket()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        fillers = [socket.socket() for _ in range(highest)]  # so that no lower number is free
        highest = max(sock.fileno() for sock in fillers)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        try:
            waiting.connect(("127.0.0.1", here.port))
            eventually(lambda: "connections can't be accepted: Too many open files; trying again" in here.lines)
            turns = here.lines.count("connections can't be accepted: Too many open files; trying again")
            assert turns < 50, "it spins"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for filler in fillers:
                filler.close()
        talk(Peer(waiting))
        talk(here.dial())


def test_stopping_while_it_waits_for_descriptors(tmp_path: Path) -> None:
    with FakeServer(ImapScript()) as fake, running(fake, tmp_path) as here:
        here.call(lambda: here.gateway._rest(OSError(24, "Too many open files")))
        here.call(here.gateway.stop_listening)
        here.call(here.gateway._wake)
        with pytest.raises(ConnectionRefusedError):
            here.dial()


def test_draining_lets_conversations_end(tmp_path: Path) -> None:
    drained = threading.Event()
    with FakeServer(ImapScript()) as fake, running(fake, tmp_path) as here:
        with here.dial() as peer:
            assert peer.line()
            here.call(lambda: here.gateway.drain(drained.set))
            with pytest.raises(ConnectionRefusedError):
                here.dial()
            assert peer.command(b"a LOGIN bob secret").startswith(b"a OK")
            assert not drained.is_set()
            assert peer.command(b"b LOGOUT")
        assert drained.wait(10)


def test_draining_an_idle_gateway_is_done_at_once(tmp_path: Path) -> None:
    done: list[bool] = []
    with FakeServer(ImapScript()) as fake, running(fake, tmp_path) as here:
        here.call(lambda: here.gateway.drain(lambda: done.append(True)))
        assert done == [True]


def test_aborting_ends_all_of_them_in_every_state(tmp_path: Path) -> None:
    hold = threading.Event()

    def script(peer: Peer) -> None:
        hold.wait(10)
        ImapScript()(peer)

    with FakeServer(script) as fake, running(fake, tmp_path) as here:
        hold.set()
        talking = here.dial()
        assert talking.line()
        hold.clear()
        greeting, shaking = here.dial(), dial(here.tls_port)
        eventually(lambda: here.conversations() == 3)
        here.call(lambda: here.gateway.abort("enough"))
        here.idle()
        hold.set()
        for peer in (talking, greeting, shaking):
            assert peer.rest() == b""
            peer.close()
        assert [line.partition(" end=")[2] for line in here.ends()] == ["enough"] * 3


# -- nothing is left behind ----------------------------------------------------------------------------------------


def left_early(here: RunningGateway) -> None:
    here.dial().reset()


def left_in_the_handshake(here: RunningGateway) -> None:
    with dial(here.tls_port) as peer:
        peer.send(b"\x16\x03\x01")


def injected(here: RunningGateway) -> None:
    with here.dial() as peer:
        peer.line()
        peer.send(b"a STARTTLS\r\nb NOOP\r\n")
        peer.rest()


def by_starttls(here: RunningGateway) -> None:
    with here.dial() as peer:
        peer.line()
        peer.command(b"a STARTTLS")
        peer.start_tls(certificates().client())
        peer.command(b"b LOGOUT")


def whole(here: RunningGateway) -> None:
    talk(here.dial_tls())


VISITS = (whole, by_starttls, left_early, left_in_the_handshake, injected)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[object]]:
    """All conversations of this test, as weak references."""
    references: list[weakref.ref[object]] = []
    begin = conversation.Conversation.__init__

    def init(self: object, *words: object, **more: object) -> None:
        references.append(weakref.ref(self))
        begin(self, *words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(conversation.Conversation, "__init__", init)
    return references


def test_no_descriptor_and_no_object_is_left(tmp_path: Path, made: list[weakref.ref[object]]) -> None:
    fake = FakeServer(ImapScript(context=certificates().server()))
    gc.disable()  # all must go away without it
    try:
        with fake, RunningGateway(f"imap+starttls://localhost:{fake.port}", tmp_path, template="%u") as here:
            for number in range(20):
                for visit in VISITS:
                    visit(here)
                fake.wait()
                here.idle()
                if number == 0:
                    open_at_first = open_descriptors()
            eventually(lambda: open_descriptors() <= open_at_first + 3)  # not one for each of a hundred conversations
            assert len(made) == 100
            eventually(lambda: all(reference() is None for reference in made))
    finally:
        gc.enable()


def test_nothing_is_left_where_there_is_no_server(
    tmp_path: Path, made: list[weakref.ref[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "FAREWELL", 0.05)
    with RunningGateway("imap+unix:/nowhere/at/all", tmp_path) as here:
        before = open_descriptors()
        for dialled in (here.dial, here.dial_tls, here.dial):
            with dialled() as peer:
                assert peer.rest().startswith(b"* BYE")
        here.idle()
        eventually(lambda: open_descriptors() <= before)
        eventually(lambda: all(reference() is None for reference in made))
