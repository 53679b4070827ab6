"""Who listens where, and what a new configuration takes over from the old one."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.settings.backend import Listen
from rawlog.settings.configuration import Door
from rawlog.taps import sockets as module
from rawlog.taps.sockets import Sockets, place_of
from tests.support.dovecot import free_ports


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def tcp(port: int, *, tls: bool = False) -> Door:
    return Door(Listen("127.0.0.1", port, tls=tls))


def free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def test_a_socket_for_each_worker(port: int, opened: ExitStack, tmp_path: Path) -> None:
    unix = Door(Listen(unix_path=str(tmp_path / "gate")))
    made = opened.enter_context(closing(Sockets([tcp(port), unix], 3)))
    shares = [made.share(slot) for slot in range(3)]
    assert len({id(sock) for share in shares for sock in share[tcp(port)]}) == 3
    assert len({id(sock) for share in shares for sock in share[unix]}) == 1
    assert made.describe() == [
        f"listening on 127.0.0.1:{port} with 3 sockets",
        f"listening on unix:{tmp_path}/gate",
    ]


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 2)])
def test_a_reload_keeps_every_queue(port: int, opened: ExitStack, before: int, after: int) -> None:
    old = Sockets([tcp(port)], before)
    clients = [opened.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(8)]
    new = opened.enter_context(closing(Sockets([tcp(port)], after, old)))
    old.close(successor=new)
    found = 0
    for slot in range(after):
        (door,) = new.doors
        for sock in new.share(slot)[door]:
            while True:
                try:
                    opened.enter_context(sock.accept()[0])
                    found += 1
                except BlockingIOError:
                    break
    assert found == len(clients)


def test_a_place_is_kept_whatever_is_spoken_there(port: int, opened: ExitStack) -> None:
    old = Sockets([tcp(port)], 1)
    new = opened.enter_context(closing(Sockets([tcp(port, tls=True)], 1, old)))
    old.close(successor=new)
    assert new.share(0)[tcp(port, tls=True)] == old.share(0)[tcp(port)]
    assert place_of(tcp(port)) == place_of(tcp(port, tls=True))


def test_what_is_given_up_is_free(opened: ExitStack) -> None:
    first, second = free_ports(2)
    old = Sockets([tcp(first), tcp(second)], 2)
    new = opened.enter_context(closing(Sockets([tcp(second)], 2, old)))
    old.close(successor=new)
    assert free(first)
    assert not free(second)


def test_when_one_place_is_taken_none_is(opened: ExitStack, tmp_path: Path) -> None:
    first, second = free_ports(2)
    opened.enter_context(socket.create_server(("127.0.0.1", second)))
    with pytest.raises(RawlogError, match=f"listener 127.0.0.1:{second}: the address is in use"):
        Sockets([tcp(first), Door(Listen(unix_path=str(tmp_path / "gate"))), tcp(second)], 2)
    assert free(first)
    assert list(tmp_path.iterdir()) == []


def test_what_is_optional_may_be_missing(opened: ExitStack, port: int, tmp_path: Path) -> None:
    wanted, lost = tmp_path / "gate", tmp_path / "no" / "gate"
    optional = [Door(Listen(unix_path=str(path))) for path in (lost, wanted)]
    made = opened.enter_context(closing(Sockets([tcp(port)], 1, optional=optional)))
    assert list(made.share(0)) == [tcp(port), optional[1]]
    assert made.describe()[-1].startswith(f"not listening: listener unix:{lost}: its directory does not exist;")


def test_when_a_new_place_is_taken_the_old_ones_stay(opened: ExitStack) -> None:
    first, second = free_ports(2)
    old = opened.enter_context(closing(Sockets([tcp(first)], 1)))
    opened.enter_context(socket.create_server(("127.0.0.1", second)))
    with pytest.raises(RawlogError):
        Sockets([tcp(first), tcp(second)], 2, old)
    opened.enter_context(socket.create_connection(("127.0.0.1", first)))
    old.share(0)[tcp(first)][0].accept()[0].close()


def test_a_worker_lets_go_of_what_is_not_its_own(opened: ExitStack) -> None:
    first, second = free_ports(2)
    made = opened.enter_context(closing(Sockets([tcp(first), tcp(second)], 2)))
    mine = made.share(1)
    made.close_all_but(mine)
    assert all(sock.fileno() >= 0 for socks in mine.values() for sock in socks)
    assert all(sock.fileno() < 0 for socks in made.share(0).values() for sock in socks)


@pytest.mark.parametrize(("host", "code"), [("::", errno.EAFNOSUPPORT), ("::", errno.EADDRNOTAVAIL)])
def test_without_ipv6_the_default_listener_is_left_out(
    port: int, opened: ExitStack, monkeypatch: pytest.MonkeyPatch, host: str, code: int
) -> None:
    without_ipv6(monkeypatch, code)
    made = opened.enter_context(closing(Sockets([tcp(port), Door(Listen(host, port))], 1)))
    assert made.doors == [tcp(port)]
    assert list(made.share(0)) == [tcp(port)]
    assert made.describe()[1] == f"not listening on [::]:{port}: this system has no IPv6"


def test_without_ipv6_a_listener_that_names_an_address_is_an_error(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    without_ipv6(monkeypatch, errno.EADDRNOTAVAIL)
    with pytest.raises(RawlogError):
        Sockets([Door(Listen("2001:db8::1", port))], 1)


def without_ipv6(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    before = module.check_free

    def check_free(where: Listen) -> None:
        if ":" in (where.host or ""):
            raise RawlogError("no") from OSError(code, "no")
        before(where)

    monkeypatch.setattr(module, "check_free", check_free)
