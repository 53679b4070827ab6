"""What strangers may take: each limit in each protocol, told in its words, and nobody else notices."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rawlog.engine.proxyprotocol import Address
from rawlog.engine.tally import Tally
from rawlog.settings.model import DEFAULTS, Settings
from rawlog.settings.values import parse_networks
from rawlog.taps import admission
from rawlog.taps.admission import Admission, Bounds, Guest, Handshakes, bounds_of
from rawlog.taps.ends import Ends
from rawlog.taps.refusals import Refusals
from tests.support.backends import FakeServer
from tests.support.certificates import certificates
from tests.support.gateway import RunningGateway, eventually
from tests.support.peer import Peer, dial
from tests.support.table import ModelLoop
from tests.support.tongues import IMAP, LMTP, TONGUES, WITH_LOGIN, Tongue

OTHER = "127.0.0.2"
FIRST_BYTES = b"\x16\x03\x01"  # a TLS handshake begins so, and nothing follows
ALL = pytest.mark.parametrize("tongue", TONGUES, ids=lambda tongue: tongue.scheme)
EACH_LOGIN = pytest.mark.parametrize("tongue", WITH_LOGIN, ids=lambda tongue: tongue.scheme)


@contextmanager
def running(
    tongue: Tongue, directory: Path, bounds: Bounds, *, handshakes: int | None = None
) -> Iterator[RunningGateway]:
    url = f"{tongue.scheme}://127.0.0.1:"
    with (
        FakeServer(tongue) as fake,
        RunningGateway(url + str(fake.port), directory, bounds=bounds, handshakes=handshakes) as here,
    ):
        yield here


def works(tongue: Tongue, peer: Peer) -> None:
    """A good client gets what it came for."""
    assert tongue.greet(peer)
    assert tongue.log_in(peer).startswith(tongue.welcome)


def refusal(peer: Peer, tongue: Tongue) -> str:
    """What a refused client is told, up to the end of the connection."""
    text = peer.rest()
    assert text.startswith(tongue.refused), text
    assert text.count(b"\r\n") == 1
    return text.decode()


# -- connections of an address ----------------------------------------------------------------------------------------


@ALL
def test_an_address_has_its_share_of_connections(tongue: Tongue, tmp_path: Path) -> None:
    with running(tongue, tmp_path, Bounds(ip_connections=2)) as here:
        first, second = here.dial(), here.dial()
        works(tongue, first)
        works(tongue, second)
        for _ in range(3):
            assert "too many connections from your address" in refusal(here.dial(), tongue)
        other = dial(here.port, source=OTHER)
        works(tongue, other)
        assert here.told() == ["127.0.0.1 has 2 connections; refused (rawlog_max_ip_connections)"]
        assert here.refusals.counts == {"rawlog_max_ip_connections": 3}
        second.close()
        eventually(lambda: here.conversations() == 2)
        third = here.dial()
        works(tongue, third)
        for peer in (first, third, other):
            peer.close()


def test_with_tls_from_the_start_it_is_closed_before_the_handshake(tmp_path: Path) -> None:
    with running(IMAP, tmp_path, Bounds(ip_connections=1)) as here:
        first = here.dial_tls()
        works(IMAP, first)
        assert dial(here.tls_port).rest() == b""
        works(IMAP, dial(here.tls_port, certificates().client(), source=OTHER))


def test_networks_that_are_listed_are_not_counted(tmp_path: Path) -> None:
    with running(IMAP, tmp_path, Bounds(ip_connections=1, free=parse_networks("127.0.0.1"))) as here:
        several = [*(here.dial() for _ in range(3)), dial(here.port, source=OTHER)]
        for peer in several:
            works(IMAP, peer)
        refusal(dial(here.port, source=OTHER), IMAP)


# -- connections of a user --------------------------------------------------------------------------------------------


@EACH_LOGIN
def test_a_user_has_few_connections_from_one_address(tongue: Tongue, tmp_path: Path) -> None:
    with running(tongue, tmp_path, Bounds(user_connections=1)) as here:
        first, second = here.dial(), here.dial()
        works(tongue, first)
        tongue.greet(second)
        answer = tongue.log_in(second)
        assert answer.startswith(tongue.refused)
        assert b"too many connections" in answer
        assert second.rest() == b""
        eventually(lambda: here.conversations() == 1)
        assert "bob has 1 connections from 127.0.0.1; refused (mail_max_userip_connections)" in here.told()
        assert here.refusals.counts == {"mail_max_userip_connections": 1}
        other = dial(here.port, source=OTHER)
        works(tongue, other)
        first.close()
        eventually(lambda: here.conversations() == 1)
        works(tongue, here.dial())


def test_users_are_counted_apart_whatever_the_case(tmp_path: Path) -> None:
    with running(IMAP, tmp_path, Bounds(user_connections=1)) as here:
        first = here.dial()
        works(IMAP, first)
        carol, bob = here.dial(), here.dial()
        for peer in (carol, bob):
            IMAP.greet(peer)
        assert carol.command(b"a LOGIN carol secret").startswith(b"a OK")
        assert bob.command(b"a LOGIN BOB secret").startswith(b"* BYE")
        first.close()


# -- TLS handshakes ---------------------------------------------------------------------------------------------------


@ALL
def test_too_many_handshakes_are_refused_in_clear(
    tongue: Tongue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "GRACE", 1000.0)
    with running(tongue, tmp_path, Bounds(), handshakes=1) as here:
        there = here.dial()
        works(tongue, there)
        slow, late = here.dial(), here.dial()
        for peer in (slow, late):
            tongue.greet(peer)
        slow.send(tongue.starttls)
        assert slow.line().startswith(tongue.go)
        slow.send(FIRST_BYTES)
        eventually(lambda: not here.call(here.admission.handshakes.has_room))
        late.send(tongue.starttls)
        assert late.rest().startswith(tongue.refused)
        line = "127.0.0.1: too many TLS handshakes at once; refused (rawlog_max_handshakes)"
        assert here.told()[0] == line
        assert here.refusals.counts == {"rawlog_max_handshakes": 1}
        there.send(b"x NOOP\r\n")
        works(tongue, here.dial())


def test_too_many_handshakes_at_the_first_byte_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "GRACE", 1000.0)
    with running(IMAP, tmp_path, Bounds(), handshakes=1) as here:
        slow, silent, late = (dial(here.tls_port) for _ in range(3))
        slow.send(FIRST_BYTES)
        eventually(lambda: not here.call(here.admission.handshakes.has_room))
        late.send(FIRST_BYTES)
        assert late.rest() == b""
        eventually(lambda: here.conversations() == 2)
        assert here.lines == ["127.0.0.1: too many TLS handshakes at once; refused (rawlog_max_handshakes)"]
        silent.close()
        slow.close()
        eventually(lambda: here.conversations() == 0)
        works(IMAP, here.dial_tls())
        works(IMAP, here.dial_tls())


def test_a_slow_handshake_gives_its_place_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "GRACE", 0.0)
    with running(IMAP, tmp_path, Bounds(), handshakes=2) as here:
        slow = [dial(here.tls_port) for _ in range(2)]
        for count, peer in enumerate(slow, 1):
            peer.send(FIRST_BYTES)
            eventually(lambda count=count: here.call(lambda: len(here.admission.handshakes._under_way)) == count)  # type: ignore[misc]
        works(IMAP, here.dial_tls())
        assert slow[0].rest() == b""
        assert "its TLS handshake was not done" in here.ends()[0]


@ALL
def test_a_handshake_has_its_time(tongue: Tongue, tmp_path: Path) -> None:
    with running(tongue, tmp_path, Bounds(handshake_timeout=0.05)) as here:
        there = here.dial()
        works(tongue, there)
        slow = [dial(here.tls_port), here.dial()]
        tongue.greet(slow[1])
        slow[1].send(tongue.starttls)
        assert slow[1].line().startswith(tongue.go)
        for peer in slow:
            assert peer.rest() == b""
        eventually(lambda: here.conversations() == 1)
        assert all("handshake" in line for line in here.ends())


def test_silence_takes_no_place_and_no_connection_to_the_server(tmp_path: Path) -> None:
    with running(IMAP, tmp_path, Bounds(), handshakes=1) as here:
        silent = [dial(here.tls_port) for _ in range(10)]
        eventually(lambda: here.conversations() == 10)
        assert all(conversation._relay is None for conversation in here.call(lambda: list(here.gateway._conversations)))
        works(IMAP, here.dial_tls())
        assert here.refusals.counts == {}
        for peer in silent:
            peer.close()


# -- the login --------------------------------------------------------------------------------------------------------


@EACH_LOGIN
@pytest.mark.parametrize("tls", [False, True])
def test_a_login_has_its_time(tongue: Tongue, tls: bool, tmp_path: Path) -> None:
    with running(tongue, tmp_path, Bounds(login_timeout=1.0)) as here:
        there = here.dial()
        works(tongue, there)
        late = here.dial_tls() if tls else here.dial()
        tongue.greet(late)
        assert "no login in time" in refusal(late, tongue)
        eventually(lambda: here.conversations() == 1)
        assert "the client did not log in within 1 s (rawlog_login_timeout)" in here.told()[0]


def test_a_login_in_the_middle_of_a_handshake_has_its_time_too(tmp_path: Path) -> None:
    with running(IMAP, tmp_path, Bounds(login_timeout=0.2)) as here:
        late = here.dial()
        IMAP.greet(late)
        late.send(IMAP.starttls)
        assert late.line().startswith(IMAP.go)
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            assert late.rest() == b"never"


def test_who_delivers_needs_no_login(tmp_path: Path) -> None:
    with running(LMTP, tmp_path, bounds_of(Settings(rawlog_login_timeout=1), has_login=False)) as here:
        peer = here.dial()
        LMTP.greet(peer)
        peer.send(b"NOOP\r\n")
        assert peer.line() == b"250 2.0.0 yes\r\n"
        assert here.admission.bounds.login_timeout is None


# -- without sockets --------------------------------------------------------------------------------------------------


def door(bounds: Bounds, whole: Tally, told: list[str]) -> Admission:
    loop = ModelLoop()
    refusals = Refusals(loop, told.append)  # type: ignore[arg-type]
    return Admission(loop, bounds, refusals, protocol="imap", share=whole.take())  # type: ignore[arg-type]


def ends(host: str) -> Ends:
    return Ends(Address(host, 1234), Address("192.0.2.9", 143))


def test_workers_count_together() -> None:
    told: list[str] = []
    whole = Tally(2)
    one, two = (door(Bounds(ip_connections=2, user_connections=1), whole, told) for _ in range(2))
    first, second = one.enter(ends("192.0.2.1")), two.enter(ends("::ffff:192.0.2.1"))
    assert first is not None
    assert second is not None
    assert one.enter(ends("192.0.2.1")) is None
    assert first.logged_in("bob") == ""
    assert second.logged_in("Bob") == "Bob has 1 connections from 192.0.2.1; refused (mail_max_userip_connections)"
    assert second.logged_in(None) == ""
    for guest in (first, second):
        guest.leave()
        guest.leave()
    assert one.enter(ends("192.0.2.1")) is not None
    assert len(told) == 2


def test_an_ipv6_network_is_one_client() -> None:
    here = door(Bounds(ip_connections=1), Tally(1), told := [])
    assert here.enter(ends("2001:db8::1")) is not None
    assert here.enter(ends("2001:db8::ffff:1")) is None
    assert here.enter(ends("2001:db8:0:1::1")) is not None
    assert told == ["2001:db8::/64 has 1 connections; refused (rawlog_max_ip_connections)"]


def test_a_unix_socket_has_no_address() -> None:
    here = door(Bounds(ip_connections=0, user_connections=0), Tally(1), [])
    guest = here.enter(Ends(Address("", 0, b""), None))
    assert guest is not None
    assert guest.logged_in("bob") == ""
    assert guest.may_begin_handshake()
    assert guest.begin_handshake(lambda sentence: None) == ""


def test_a_name_that_a_terminal_would_act_on_is_escaped() -> None:
    here = door(Bounds(user_connections=0), Tally(1), [])
    guest = here.enter(ends("192.0.2.1"))
    assert guest is not None
    assert "\\x1b[2J" in guest.logged_in("\x1b[2J")


def test_the_oldest_handshake_is_ended_but_no_young_one() -> None:
    loop = ModelLoop()
    places = Handshakes(loop, 2)  # type: ignore[arg-type]
    here = door(Bounds(), Tally(1), [])
    guests = [Guest(here, f"192.0.2.{number}") for number in range(4)]
    ended: list[str] = []
    assert places.begin(guests[0], ended.append)
    loop.advance(0.6)
    assert places.begin(guests[1], ended.append)
    assert not places.begin(guests[2], ended.append)
    loop.advance(0.6)
    assert places.begin(guests[2], ended.append)
    assert ended == ["client: its TLS handshake was not done within 1 s, and others waited"]
    assert not places.begin(guests[3], ended.append)
    places.over(guests[1])
    assert places.begin(guests[3], ended.append)


def test_who_held_a_place_too_long_loses_all_and_waits() -> None:
    loop = ModelLoop()
    places = Handshakes(loop, 3)  # type: ignore[arg-type]
    here = door(Bounds(), Tally(1), [])
    ended: list[str] = []
    bad, other = [Guest(here, "192.0.2.1") for _ in range(3)], Guest(here, "192.0.2.2")
    for guest in bad:
        assert places.begin(guest, ended.append)
    loop.advance(admission.GRACE)
    assert places.begin(other, ended.append)
    assert len(ended) == 3
    assert not places.begin(bad[0], ended.append)
    loop.advance(admission.PENALTY)
    assert not places.begin(bad[0], ended.append)
    loop.advance(1)
    assert places.begin(bad[0], ended.append)


def test_an_address_has_few_handshakes_in_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "RATES_LIMIT", 2)
    loop = ModelLoop()
    places = Handshakes(loop, 1000)  # type: ignore[arg-type]
    here = door(Bounds(), Tally(1), [])

    def taken(address: str, count: int) -> int:
        return sum(places.begin(Guest(here, address), print) for _ in range(count))

    assert taken("192.0.2.1", 100) == admission.BURST
    assert taken("192.0.2.2", 5) == 5
    loop.advance(0.5)
    assert taken("192.0.2.1", 100) == admission.RATE / 2
    loop.advance(1000)
    assert taken("192.0.2.1", 100) == admission.BURST
    assert taken("192.0.2.2", 1) == taken("192.0.2.3", 1) == 1
    assert len(places._rates) == 2
    assert Handshakes(loop, None).begin(Guest(here, "192.0.2.1"), print)  # type: ignore[arg-type]


def test_the_limits_of_the_settings() -> None:
    assert bounds_of(DEFAULTS, has_login=True) == Bounds(50, 10, 10, 60, parse_networks("127.0.0.0/8 ::1/128"))
    free = Settings(rawlog_max_ip_connections=None, mail_max_userip_connections=None, rawlog_login_timeout=None)
    assert bounds_of(free, has_login=True) == Bounds(free=DEFAULTS.rawlog_unlimited_networks)
    assert bounds_of(DEFAULTS, has_login=False) == Bounds(50, None, 10, None, DEFAULTS.rawlog_unlimited_networks)
