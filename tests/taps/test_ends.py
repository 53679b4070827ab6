"""Whose connection it is, and whether what is said on it can be heard outside of this machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from rawlog.engine.proxyprotocol import Address, ProxyHeader
from rawlog.taps.ends import Ends, ends_of, introduced, is_loopback, shown

HERE, THERE, PROXY, US = (
    Address("127.0.0.1", 1),
    Address("192.0.2.1", 2),
    Address("10.0.0.1", 3),
    Address("10.0.0.2", 4),
)


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        (Address("127.0.0.1", 993), True),
        (Address("127.8.8.8", 1), True),
        (Address("::1", 993), True),
        (Address("::ffff:127.0.0.1", 993), True),
        (Address("", 0, b"/run/gate"), True),
        (Address("192.0.2.1", 993), False),
        (Address("2001:db8::1", 993), False),
        (Address("::ffff:192.0.2.1", 993), False),
        (None, False),
    ],
)
def test_what_is_loopback(address: Address | None, loopback: bool) -> None:
    assert is_loopback(address) is loopback
    assert Ends(address, None).is_local is loopback


@pytest.mark.parametrize(
    ("client", "proxy", "local"),
    [
        (HERE, Address("127.0.0.1", 9), True),
        (HERE, Address("", 0, b"/run/haproxy"), True),
        (HERE, PROXY, False),  # local over there
        (THERE, HERE, False),
        (HERE, HERE, False),  # the header named nobody
    ],
)
def test_with_a_proxy_the_whole_way_must_be_local(client: Address, proxy: Address, local: bool) -> None:
    assert Ends(client, US, proxy).is_local is local


def test_by_a_header() -> None:
    came = Ends(PROXY, US)
    assert introduced(came, ProxyHeader(THERE, HERE, b"")) == Ends(THERE, HERE, PROXY)
    assert introduced(came, ProxyHeader(None, None, b"")) == Ends(PROXY, US, PROXY)


def test_by_a_socket(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        with client, accepted:
            ends = ends_of(accepted)
            assert ends == Ends(Address(*client.getsockname()), Address(*listener.getsockname()))
            assert shown(ends.client) == f"127.0.0.1:{client.getsockname()[1]}"
        assert ends_of(accepted) == Ends(None, None)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "gate"))
        listener.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "gate"))
            accepted, _ = listener.accept()
            with accepted:
                ends = ends_of(accepted)
    assert ends == Ends(Address(""), Address("", 0, bytes(tmp_path / "gate")))
    assert [shown(ends.client), shown(None)] == ["unix", ""]
    assert ends.is_local


def test_an_ipv6_zone_is_no_part_of_the_address() -> None:
    class Sock:
        def getpeername(self) -> tuple[str, int, int, int]:
            return ("fe80::1%eth0", 5, 0, 2)

        getsockname = getpeername

    assert shown(ends_of(Sock()).client) == "[fe80::1]:5"  # type: ignore[arg-type]
