"""One worker process of the daemon: gateways on sockets that the master made, until it is told to end.

Knows: what a worker does between its fork and its end. Must not know: how many there are, who restarts it. It ends
when the master is gone, as soon as its conversations are over.
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
from collections.abc import Callable, Mapping, Sequence

from rawlog.engine.confine import Rules, call_it, close_to_others, confine_or_say, drop_capabilities
from rawlog.engine.loop import READ, Loop
from rawlog.engine.roles import reborn
from rawlog.engine.tally import Share, alone
from rawlog.errors import RawlogError
from rawlog.recorder.confinement import serving
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.keeper import start_keepers
from rawlog.recorder.orders import Keepers
from rawlog.recorder.room import Rooms
from rawlog.settings.configuration import Configuration, Door
from rawlog.settings.model import Settings
from rawlog.taps.admission import Handshakes
from rawlog.taps.build import Prepared, Tools, gateway_for, needs_keepers
from rawlog.taps.collectors import Outstanding
from rawlog.taps.ending import Place, drain, end_on_signals
from rawlog.taps.gateway import CONVERSATIONS_LIMIT, Gateway
from rawlog.taps.logins import Logins, options_of
from rawlog.taps.postlogin_process import make_room, settle_memory
from rawlog.taps.refusals import Refusals

NAME = "rawlog-worker"
"""What ps shows."""


def run_worker(
    configuration: Configuration,
    prepared: Sequence[Prepared],
    sockets: Mapping[Door, Sequence[socket.socket]],
    master_alive: int,
    report: Callable[[str], None],
    share: Share | None = None,
    rooms: Rooms | None = None,
) -> None:
    """Give up root; serve until SIGTERM (drain), SIGINT (end), or until ``master_alive`` says that nobody is there.

    ``share``: where clients are counted together with other workers. ``rooms``: what recordings may take together.
    """
    call_it(NAME)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    make_room(CONVERSATIONS_LIMIT)
    trusted = frozenset((0, os.geteuid()))  # whose mail processes may ask for anybody: ours before we give up root
    plans = [plan for plan in configuration.postlogins() if sockets.get(plan.door)]
    logins = [(plan, options_of(plan, configuration, trusted)) for plan in plans]
    orders = start_keepers() if logins or needs_keepers(prepared) else None
    become(configuration.settings.rawlog_user)
    drop_capabilities()
    close_to_others()
    loop = Loop()
    flusher = Flusher(loop.call_later, now=loop.monotonic)
    outstanding = Outstanding()
    keepers = None if orders is None else Keepers(loop, orders)
    handshakes = Handshakes(loop, _handshakes(configuration.settings))
    refusals = Refusals(loop, report)
    tools = Tools(loop, flusher, keepers, report, outstanding, share or alone(), handshakes, refusals, rooms)
    places: list[Place] = [_gateway(each, configuration, tools, sockets) for each in prepared]
    for plan, options in logins:
        assert keepers is not None
        door = Logins(loop, keepers, plan.name, options, report=report)
        door.adopt(sockets[plan.door])
        places.append(door)
    end_on_signals(loop, places, lambda sentence: None, twice_is_now=False, last=outstanding.wait)

    def orphaned(events: int) -> None:
        loop.unregister(master_alive)
        report("the master process is gone; ending when the conversations are over")
        drain(loop, places, outstanding.wait)

    loop.register(master_alive, orphaned, READ)
    settle_memory()
    confine_or_say(_rules(configuration, prepared), report)
    loop.run()
    flusher.flush()


def _rules(configuration: Configuration, prepared: Sequence[Prepared]) -> Rules:
    """What is left to a worker: files of recordings, and the servers behind it."""
    ends = [end for each in prepared for end in (*each.endpoints, *(each.collector or ()))]
    ports = {int(end.address[1]) for end in ends if end.family != socket.AF_UNIX}
    before = [each.plan.prelogin_directory for each in prepared if each.plan.prelogin_directory]
    rules = serving(configuration, before, ports)
    return reborn(rules) if configuration.settings.rawlog_relay == "unbreakable" else rules


def count_of(settings: Settings) -> int:
    """How many workers there are to be."""
    return settings.rawlog_workers or os.cpu_count() or 1


def _handshakes(settings: Settings) -> int | None:
    """One worker's part of the places: clients are spread by chance, so it is rounded up."""
    limit = settings.rawlog_max_handshakes
    return None if limit is None else -(-limit // count_of(settings))


def _gateway(
    prepared: Prepared, configuration: Configuration, tools: Tools, sockets: Mapping[Door, Sequence[socket.socket]]
) -> Gateway:
    gateway = gateway_for(prepared, configuration, tools)
    for door in prepared.plan.doors:
        for sock in sockets.get(door, ()):
            gateway.adopt(sock, door.listen, haproxy=door.haproxy)
    return gateway


def check_user(user: str) -> None:
    """Raises RawlogError when root can't become ``user`` because there is none. Nobody else becomes anybody."""
    if os.geteuid() == 0:
        _entry(user)


def become(user: str) -> None:
    """Give up root for ``user``, for good. Raises RawlogError when there is no such user, or rights remain."""
    if os.geteuid() != 0 or user == "root":
        return
    entry = _entry(user)
    os.initgroups(user, entry.pw_gid)
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    if entry.pw_uid and 0 in os.getresuid():
        raise RawlogError(f"rawlog_user {user}: root could not be given up")


def _entry(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        advice = f"create it (useradd --system {user}) or name another"
        raise RawlogError(f"rawlog_user {user}: no such user; {advice}") from None
