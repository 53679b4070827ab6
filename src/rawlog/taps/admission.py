"""Who may come in, how many at a time, and how long a client may take before its login.

The theory. Everything before the login is a stranger's: it is given little of all that is scarce. Connections are
counted by address and, behind the login, by user and address, over all workers. TLS handshakes are few at a time, from
their first byte on; when all places are taken, the one that takes longest gives its place up, for a good client is
through in a moment and a bad one sits and waits. Networks that are listed are not counted.

Knows: limits, counts, deadlines. Must not know: protocols, what a client is told (the dialects), sockets.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rawlog.engine.leg import HANDSHAKE_TIMEOUT
from rawlog.engine.loop import Loop, Timer
from rawlog.engine.tally import Share, alone
from rawlog.recorder.directory import shown
from rawlog.settings.model import Settings
from rawlog.settings.values import Network
from rawlog.taps.ends import Ends, ip_of
from rawlog.taps.refusals import Refusals

GRACE = 1.0
"""Seconds that a handshake may take even when others wait for its place: two round trips around the earth and more."""
RATE, BURST = 10.0, 20
"""Handshakes of one address a second, and at once, in each worker (security.md 6.2)."""
PENALTY = 60.0
"""Seconds without a handshake for an address that held a place until others had to wait for it."""
RATES_LIMIT = 10_000
"""Addresses of which that is remembered; the one that was silent longest is forgotten."""
IPV6_BITS = 64
"""What one customer gets: all addresses in it are one client's."""

TOO_MANY_HANDSHAKES = "too many TLS handshakes at once; refused (rawlog_max_handshakes)"
TOO_MANY = "There are too many connections from your address"
"""What a client is told whose address has its share."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits; None: none. Times in seconds. ``free``: networks that are not counted."""

    ip_connections: int | None = None
    user_connections: int | None = None
    handshake_timeout: float = HANDSHAKE_TIMEOUT
    login_timeout: float | None = None
    free: Sequence[Network] = ()


def bounds_of(settings: Settings, *, has_login: bool) -> Bounds:
    """The limits that the settings ask for. ``has_login``: the protocol has one."""
    return Bounds(
        ip_connections=settings.rawlog_max_ip_connections,
        user_connections=settings.mail_max_userip_connections if has_login else None,
        handshake_timeout=settings.rawlog_handshake_timeout,
        login_timeout=settings.rawlog_login_timeout if has_login else None,
        free=settings.rawlog_unlimited_networks,
    )


class Handshakes:
    """The places for TLS handshakes of one process. ``limit`` None: any number, and as often as anybody likes."""

    def __init__(self, loop: Loop, limit: int | None) -> None:
        self._loop = loop
        self._limit = limit
        self._rates: dict[str, tuple[float, float]] = {}  # address -> what it had left, and when
        self._under_way: dict[Guest, tuple[float, Callable[[str], None]]] = {}  # the oldest first

    def begin(self, guest: Guest, evict: Callable[[str], None]) -> bool:
        """Take a place; False when there is none. ``evict(sentence)`` takes it away again, when it takes too long."""
        now = self._loop.monotonic()
        if self._limit is not None and not self._in_time(guest.address, now):
            return False
        if not self.has_room():
            return False
        if self._limit is not None and len(self._under_way) >= self._limit:
            self._evict(next(iter(self._under_way)).address, now)
        self._under_way[guest] = (now, evict)
        return True

    def _evict(self, address: str, now: float) -> None:
        """Take all places of an address away; it does not get another one for a while."""
        self._rates[address] = (-PENALTY * RATE, now)
        for guest in [guest for guest in self._under_way if guest.address == address]:
            since, give_up = self._under_way.pop(guest)
            give_up(f"client: its TLS handshake was not done within {now - since:.0f} s, and others waited")

    def has_room(self) -> bool:
        """Whether there is a place, or one that is held too long."""
        if self._limit is None or len(self._under_way) < self._limit:
            return True
        since, _ = next(iter(self._under_way.values()))
        return self._loop.monotonic() - since >= GRACE

    def _in_time(self, address: str, now: float) -> bool:
        """Whether an address has not had too many a moment ago: each costs a millisecond that others wait for."""
        left, since = self._rates.pop(address, (float(BURST), now))
        left = min(float(BURST), left + (now - since) * RATE)
        self._rates[address] = (left - (left >= 1), now)
        if len(self._rates) > RATES_LIMIT:
            del self._rates[next(iter(self._rates))]
        return left >= 1

    def over(self, guest: Guest) -> None:
        """Its handshake is done, or it has none."""
        self._under_way.pop(guest, None)


class Admission:
    """The door of one gateway. ``share`` is where this process counts, ``handshakes`` its places for all gateways."""

    def __init__(
        self,
        loop: Loop,
        bounds: Bounds,
        refusals: Refusals,
        *,
        protocol: str = "",
        share: Share | None = None,
        handshakes: Handshakes | None = None,
    ) -> None:
        self.loop = loop
        self.bounds = bounds
        self.refusals = refusals
        self.protocol = protocol
        self.share = share or alone()
        self.handshakes = handshakes or Handshakes(loop, None)

    def enter(self, ends: Ends) -> Guest | None:
        """A client that came; None: it is refused, and the operator told."""
        guest = Guest(self, _counted(ends, self.bounds.free))
        limit = self.bounds.ip_connections
        if guest.count(guest.address, limit):
            return guest
        guest.leave()
        self.refusals.tell(
            "rawlog_max_ip_connections", f"{guest.address} has {limit} connections; refused (rawlog_max_ip_connections)"
        )
        return None


class Guest:
    """One client, as long as its conversation lasts. ``address`` is empty where it is not counted."""

    def __init__(self, door: Admission, address: str) -> None:
        self.address = address
        self._door = door
        self._keys: list[bytes] = []  # counted for it
        self._timer: Timer | None = None

    @property
    def handshake_timeout(self) -> float:
        """Seconds for a TLS handshake."""
        return self._door.bounds.handshake_timeout

    def count(self, name: str, limit: int | None) -> bool:
        """Count it under a name; False when there are more than ``limit`` then."""
        if limit is None or not self.address:
            return True
        key, share = name.encode(errors="surrogateescape"), self._door.share
        share.add(key, 1)
        self._keys.append(key)
        return share.total(key) <= limit

    def await_login(self, late: Callable[[str], None]) -> None:
        """Call ``late(sentence)`` unless it has logged in, or left, in time."""
        limit = self._door.bounds.login_timeout
        if limit is not None:
            self._timer = self._door.loop.call_later(
                limit, lambda: late(f"the client did not log in within {limit:g} s (rawlog_login_timeout)")
            )

    def logged_in(self, user: str | None) -> str:
        """It has logged in. A sentence when that user has too many connections from its address already."""
        self._cancel()
        limit = self._door.bounds.user_connections
        if user is None or self.count(f"{self._door.protocol} {self.address} {user.lower()}", limit):
            return ""
        sentence = f"{shown(user)} has {limit} connections from {self.address}; refused (mail_max_userip_connections)"
        self._door.refusals.tell("mail_max_userip_connections", sentence)
        return sentence

    def may_begin_handshake(self) -> bool:
        """Whether there is a place for a TLS handshake at the moment."""
        if not self.address or self._door.handshakes.has_room():
            return True
        self._tell_too_many()
        return False

    def begin_handshake(self, evict: Callable[[str], None]) -> str:
        """Take a place for a TLS handshake, or say why not. ``evict(sentence)``: its place is taken away."""
        if not self.address or self._door.handshakes.begin(self, evict):
            return ""
        self._tell_too_many()
        return TOO_MANY_HANDSHAKES

    def _tell_too_many(self) -> None:
        self._door.refusals.tell("rawlog_max_handshakes", f"{self.address}: {TOO_MANY_HANDSHAKES}")

    def end_handshake(self) -> None:
        """Its handshake is over."""
        self._door.handshakes.over(self)

    def leave(self) -> None:
        """Its conversation is over."""
        self._cancel()
        self.end_handshake()
        for key in self._keys:
            self._door.share.add(key, -1)
        self._keys.clear()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _counted(ends: Ends, free: Sequence[Network]) -> str:
    """The address that counts for a client; empty where none does."""
    ip = ip_of(ends.client)
    if ip is None or any(ip.version == network.version and ip in network for network in free):
        return ""
    if ip.version == 4:
        return str(ip)
    return str(ipaddress.IPv6Network((ip, IPV6_BITS), strict=False))
