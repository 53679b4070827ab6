"""The daemon's listening sockets: one for each worker and address, kept over reloads, so that no connection is refused.

Knows: which sockets a configuration needs, which of the old ones serve on, which worker accepts on which. Must not
know: processes, signals, what is accepted. Sockets belong to a place, not to a setting: who only changes the protocol,
TLS or the mode of a listener keeps its queue.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from rawlog.errors import RawlogError
from rawlog.settings.backend import Listen
from rawlog.settings.configuration import Door
from rawlog.taps.listener import bind, bind_unix, check_free, close, dress

Shares = dict[Door, list[socket.socket]]

_NO_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class Sockets:
    """``count`` sockets for each TCP address of the doors, one for each unix path. Raises RawlogError.

    The kernel spreads connections over the sockets of one address (SO_REUSEPORT). Those of ``old`` at the same place
    serve on, also when there are more than ``count``. ``::``, which is among the defaults, is left out where the system
    has no IPv6; ``optional`` doors wherever they can't be had.
    """

    def __init__(
        self, doors: Iterable[Door], count: int, old: Sockets | None = None, *, optional: Iterable[Door] = ()
    ) -> None:
        self.doors: list[Door] = []
        self._left_out: list[str] = []
        self._count = count
        self._made: dict[Listen, list[socket.socket]] = {}
        self._fresh: list[tuple[Listen, socket.socket]] = []
        try:
            for door in doors:
                self._open(door, old)
            for door in optional:
                self._try(door, old)
        except RawlogError:
            for place, sock in self._fresh:
                close(sock, place)
            raise

    def _try(self, door: Door, old: Sockets | None) -> None:
        try:
            self._open(door, old)
        except RawlogError as error:
            self._left_out.append(f"not listening: {error}")

    def _open(self, door: Door, old: Sockets | None) -> None:
        place = place_of(door)
        known = list(old._made.get(place, ())) if old is not None else []
        try:
            while len(known) < (1 if place.unix_path is not None else self._count):
                known.append(_bound(door, first=not known))
                self._fresh.append((place, known[-1]))
        except RawlogError as error:
            if place.host != "::" or getattr(error.__cause__, "errno", None) not in _NO_FAMILY:
                raise
            self._left_out.append(f"not listening on {door.listen}: this system has no IPv6")
            return
        if place.unix_path is not None:
            dress(place.unix_path, mode=door.mode, user=door.user, group=door.group)
        self.doors.append(door)
        self._made[place] = known

    def share(self, slot: int) -> Shares:
        """What the worker in ``slot`` accepts on; a unix socket is shared by all."""
        made = {door: self._made[place_of(door)] for door in self.doors}
        return {door: socks if door.listen.unix_path else socks[slot :: self._count] for door, socks in made.items()}

    def close_all_but(self, kept: Shares) -> None:
        """In a worker: let go of the sockets of others, so that a place can be given up while this worker lives on."""
        mine = {id(sock) for socks in kept.values() for sock in socks}
        for socks in self._made.values():
            for sock in socks:
                if id(sock) not in mine:
                    sock.close()

    def close(self, *, successor: Sockets | None = None) -> None:
        """Close them, but for those that serve on with ``successor``; remove the paths of unix sockets."""
        for place, socks in self._made.items():
            for sock in socks:
                if successor is None or sock not in successor._made.get(place, ()):
                    close(sock, place)

    def describe(self) -> list[str]:
        """A sentence about each door, for the log."""
        counts = [len(self._made[place_of(door)]) for door in self.doors]
        more = [f" with {count} sockets" if count > 1 else "" for count in counts]
        told = [f"listening on {door.listen}{text}" for door, text in zip(self.doors, more, strict=True)]
        return told + self._left_out


def place_of(door: Door) -> Listen:
    """Where it is, whatever is spoken there."""
    return Listen(door.listen.host, door.listen.port, door.listen.unix_path)


def _bound(door: Door, *, first: bool) -> socket.socket:
    listen = door.listen
    if listen.unix_path is not None:
        return bind_unix(listen.unix_path, mode=door.mode, user=door.user, group=door.group)
    if first:
        check_free(listen)
    return bind(listen, reuse_port=True)
