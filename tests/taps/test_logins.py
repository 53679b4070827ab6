"""Post-login sockets served by the daemon itself: asked as a mail process asks, drained, shared, and not had."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.dropin import package_for_root
from tests.support.fakeserving import fake_serving, talk
from tests.support.gateway import eventually
from tests.support.peer import SECONDS, Peer
from tests.support.places import shared_directory
from tests.support.serving import Serving

SERVICE = """
service postlogin {
  executable = script-login -d rawlog @OPTIONS@
  unix_listener postlogin {
  }
}
"""


@contextmanager
def serving(more: str = "", options: str = "") -> Iterator[Serving]:
    with fake_serving(SERVICE.replace("@OPTIONS@", options) + more) as gateway:
        yield gateway


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with the directory that switches recording on; its owner may enter it."""
    with shared_directory() as place:
        home = place / "alice"
        (home / "dovecot.rawlog").mkdir(parents=True)
        for path in (home, home / "dovecot.rawlog"):
            os.chown(path, *owner())
        yield home


def owner() -> tuple[int, int]:
    """Uid and gid of the user: another than the workers', where that is possible."""
    if os.geteuid() == 0:
        entry = pwd.getpwnam("daemon")
        return entry.pw_uid, entry.pw_gid
    return os.geteuid(), os.getegid()


def log_in(gateway: Serving, home: Path, more: str = "") -> tuple[Peer, Peer]:
    """As a mail process does after a login: gives the user's end, and the end that the mail process goes on with."""
    user, theirs = socket.socketpair()
    uid, gid = owner()
    request = f"VERSION\tscript-login\t1\t0\n127.0.0.1\t127.0.0.1\talice\tuid={uid}\tgid={gid}\thome={home}{more}\n"
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(SECONDS)
        asked.connect(str(gateway.directory / "run" / "postlogin"))
        socket.send_fds(asked, [request.encode()], [theirs.fileno()])
        answer, fds, _, _ = socket.recv_fds(asked, 4096, 1)
    assert answer.startswith(b"alice\t")
    if not fds:  # keep what you have
        return Peer(user), Peer(theirs)
    theirs.close()
    return Peer(user), Peer(socket.socket(fileno=fds[0]))


def exchange(user: Peer, server: Peer) -> None:
    server.send(b"a OK in\r\n")
    assert user.line() == b"a OK in\r\n"
    user.send(b"b NOOP\r\n")
    assert server.line() == b"b NOOP\r\n"


def test_who_has_the_directory_is_recorded_there(home: Path) -> None:
    with serving(options="-t") as gateway:
        user, server = log_in(gateway, home)
        exchange(user, server)
        user.close()
        assert server.rest() == b""
        server.close()
        found = eventually(lambda: [p for p in (home / "dovecot.rawlog").glob("*.in") if p.stat().st_size])
        assert found[0].read_bytes().endswith(b" b NOOP\r\n")
        assert (found[0].stat().st_uid, found[0].stat().st_gid) == owner()
        talk(gateway)  # the gateway serves beside it


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up rights")
@pytest.mark.parametrize("relay", ["fast", "unbreakable"])
def test_it_is_enough_that_root_can_read_the_package(
    home: Path, relay: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers give up root, and may be asked for what is seldom needed long after that."""
    monkeypatch.setenv("PYTHONPATH", package_for_root(tmp_path))
    with serving(f"rawlog_relay = {relay}\n", options="-t") as gateway:
        other = gateway.place("other")
        user, server = log_in(gateway, home, f"\trawlog_postlogin_dir={other}")
        exchange(user, server)
        user.close()
        server.close()
        eventually(lambda: [p for p in other.glob("*.in") if p.read_bytes().endswith(b" b NOOP\r\n")])
        talk(gateway)


def test_who_has_none_is_recorded_in_rawlog_dir(home: Path) -> None:
    shutil.rmtree(home / "dovecot.rawlog")
    with serving() as gateway:
        user, server = log_in(gateway, home)
        exchange(user, server)
        user.close()
        server.close()
        found = eventually(lambda: [p for p in (gateway.directory / "raw").glob("*.in") if p.stat().st_size])
        assert found[0].read_bytes() == b"b NOOP\r\n"


def test_who_has_none_keeps_the_own_descriptor(home: Path) -> None:
    shutil.rmtree(home / "dovecot.rawlog")
    with serving("rawlog_dir =\n") as gateway:
        user, server = log_in(gateway, home)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(SECONDS) == 0
        exchange(user, server)
        for peer in (user, server):
            peer.close()


def test_a_drain_waits_for_recorded_conversations_and_a_reload_keeps_them(home: Path) -> None:
    with serving() as gateway:
        user, server = log_in(gateway, home)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.await_log("reload: the new configuration is in force")
        exchange(user, server)
        gateway.process.send_signal(signal.SIGTERM)
        eventually(lambda: not (gateway.directory / "run" / "postlogin").exists())
        exchange(user, server)
        assert gateway.process.poll() is None
        for peer in (user, server):
            peer.close()
        assert gateway.process.wait(SECONDS) == 0
    (found,) = (home / "dovecot.rawlog").glob("*.in")
    assert found.read_bytes() == b"b NOOP\r\n" * 2


def test_an_end_now_ends_them(home: Path) -> None:
    with serving() as gateway:
        user, server = log_in(gateway, home)
        exchange(user, server)
        gateway.process.send_signal(signal.SIGINT)
        assert server.rest() == b""
        assert gateway.process.wait(SECONDS) == 0
        for peer in (user, server):
            peer.close()
    (found,) = (home / "dovecot.rawlog").glob("*.in")
    assert found.read_bytes() == b"b NOOP\r\n"


def test_it_is_enough_to_have_a_post_login_socket(home: Path) -> None:
    more = "protocols = pop3\n"
    with serving(more) as gateway:
        for peer in log_in(gateway, home):
            peer.close()


def test_where_somebody_else_has_the_socket_the_gateway_serves_all_the_same() -> None:
    with fake_serving(SERVICE.replace("@OPTIONS@", ""), start=False) as gateway:
        (gateway.directory / "run").mkdir()
        with socket.socket(socket.AF_UNIX) as dovecot:
            dovecot.bind(str(gateway.directory / "run" / "postlogin"))
            dovecot.listen()
            gateway.start()
            talk(gateway)
            assert "not listening: listener unix:" in gateway.log()
            assert "run/postlogin: the address is in use" in gateway.log()
            gateway.process.send_signal(signal.SIGTERM)
            assert gateway.process.wait(SECONDS) == 0
        assert (gateway.directory / "run" / "postlogin").exists()
