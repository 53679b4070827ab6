"""Listening sockets: how they are made, and in what words they are refused."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.settings.backend import Listen, parse_listen
from rawlog.taps.listener import bind, bind_unix, check_free, close, dress, port_of


def test_a_tcp_listener_does_not_block_and_tells_its_port() -> None:
    with bind(parse_listen("127.0.0.1:0")) as sock:
        assert not sock.getblocking()
        port = port_of(sock)
        assert port
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


def test_several_may_share_a_port_where_they_are_told_to() -> None:
    with bind(parse_listen("127.0.0.1:0"), reuse_port=True) as first:
        where = Listen("127.0.0.1", port_of(first))
        with bind(where, reuse_port=True) as second:
            assert port_of(second) == port_of(first)
        with pytest.raises(RawlogError, match="the address is in use; choose another one, or end what listens there"):
            bind(where)


def test_a_port_that_is_shared_is_not_free() -> None:
    with bind(parse_listen("127.0.0.1:0"), reuse_port=True) as sock:
        where = Listen("127.0.0.1", port_of(sock))
        with pytest.raises(RawlogError, match=rf"listener 127\.0\.0\.1:{where.port}: the address is in use"):
            check_free(where)
    check_free(where)


def test_ipv6_and_ipv4_don_t_get_in_each_other_s_way() -> None:
    for _ in range(10):
        with (
            contextlib.suppress(RawlogError),  # another test has that port by IPv4
            bind(parse_listen("[::]:0")) as six,
            bind(Listen("0.0.0.0", port_of(six))) as four,
        ):
            assert port_of(six) == port_of(four)
            return
    pytest.fail("none of ten ports could be had by both")


def test_a_unix_socket_has_a_mode_and_an_owner(tmp_path: Path) -> None:
    path = tmp_path / "gate"
    user = "nobody" if os.geteuid() == 0 else ""
    sock = bind_unix(str(path), mode=0o640, user=user)
    info = path.stat()
    assert stat.S_ISSOCK(info.st_mode)
    assert info.st_mode & 0o777 == 0o640
    assert info.st_uid == (65534 if user else os.geteuid())
    assert port_of(sock) is None
    dress(str(path), mode=0o600, user="", group="")
    assert path.stat().st_mode & 0o777 == 0o600
    close(sock, Listen(unix_path=str(path)))
    assert not path.exists()


def test_an_owner_that_does_not_exist_leaves_no_socket_behind(tmp_path: Path) -> None:
    path = tmp_path / "gate"
    with pytest.raises(RawlogError, match=r"gate: its owner or mode can't be set: .*no-such-user.*; check user and gr"):
        bind_unix(str(path), mode=0o600, user="no-such-user")
    assert not path.exists()


def test_a_dead_socket_is_replaced_a_living_one_is_not(tmp_path: Path) -> None:
    where = Listen(unix_path=str(tmp_path / "gate"))
    bind(where).close()  # as a killed process leaves it
    with bind(where), pytest.raises(RawlogError, match="gate: the address is in use"):
        bind(where)


def test_a_file_in_the_place_of_a_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "gate"
    path.write_text("mine")
    with pytest.raises(RawlogError, match="the address is in use"):
        bind(Listen(unix_path=str(path)))
    assert path.read_text() == "mine"


def test_a_path_that_is_gone_can_be_closed(tmp_path: Path) -> None:
    where = Listen(unix_path=str(tmp_path / "gate"))
    sock = bind(where)
    (tmp_path / "gate").unlink()
    close(sock, where)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("192.0.2.1:1143", "this machine has no such address; use 127.0.0.1, or one that it has"),
        ("no-such-host.invalid:1143", "listener no-such-host.invalid:1143: .*; check the address"),
        ("unix:/no/such/directory/gate", "its directory does not exist; make it, or choose another base_dir"),
    ],
)
def test_what_is_wrong_is_said(where: str, told: str) -> None:
    with pytest.raises(RawlogError, match=told):
        bind(parse_listen(where))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do anything")
def test_what_is_not_allowed_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RawlogError, match="not allowed; ports below 1024 need root, a unix socket a directory that is"):
        bind(Listen(unix_path=str(tmp_path / "gate")))
