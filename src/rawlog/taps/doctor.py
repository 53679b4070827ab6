"""Why is nothing recorded? Walks the way that a recording takes and says what is right and what is not.

Knows: the order of the way: configuration, TLS, listeners, backend, user, directories. Must not know: how each of them
is looked at (doctor_network.py, doctor_places.py). It changes nothing and records nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from rawlog.engine.confine import NETWORK_VERSION, landlock_version
from rawlog.errors import RawlogError
from rawlog.settings.configuration import Configuration
from rawlog.settings.userdb import UserRecord
from rawlog.taps.doctor_finding import Finding, fail, ok, warn
from rawlog.taps.doctor_network import backend, certificate, collector, listener
from rawlog.taps.doctor_places import directories, socket_directory, userdb_files


def examine(configuration: Configuration, user: str | None) -> Iterator[Finding]:
    """What there is to say, in the order of the way, about one user or (None) about all that needs no user."""
    for warning in configuration.warnings:
        yield warn(warning)
    plans = configuration.gateways()
    if not plans:
        yield fail(f"{configuration.file}: no gateway; set rawlog_backend in protocol imap {{ }} or another")
    yield from userdb_files(configuration)
    record = None
    if user is not None:
        found = _user(configuration, user)
        yield from found[1]
        record = found[0]
    for plan in plans:
        name = plan.protocol
        yield from (finding.about(name) for finding in certificate(plan))
        for door in plan.doors:
            yield from (finding.about(name) for finding in (*socket_directory(door), listener(door)))
        yield backend(plan).about(name)
        yield from (finding.about(name) for finding in collector(plan))
        yield from (finding.about(name) for finding in directories(configuration, plan, user, record))
    yield confinement(landlock_version())


def confinement(version: int) -> Finding:
    """Whether the kernel keeps our processes to their work; ``version`` is that of its Landlock, 0 for none."""
    if not version:
        return warn(
            "this kernel has no Landlock, so a process that is taken over is not kept to its work; boot with it"
        )
    if version < NETWORK_VERSION:
        return warn(
            f"this kernel's Landlock {version} keeps processes to their files, not to their connections; Linux 6.7"
        )
    return ok(f"this kernel's Landlock {version} keeps each process to its files and connections")


def _user(configuration: Configuration, user: str) -> tuple[UserRecord | None, list[Finding]]:
    """Who the user is, and what is wrong with that."""
    userdb = configuration.userdb()
    if not userdb.configured:
        return None, [warn(f"user {user}: there is no userdb {{ }}, so home, uid and gid are not known")]
    try:
        record = userdb.lookup(user)
    except RawlogError as error:
        return None, [fail(f"user {user}: {error}")]
    if record is None:
        return None, [fail(f"user {user}: no userdb knows this user; see rawlog user -u {user}")]
    who = f"user {record.user}: uid {record.uid}, gid {record.gid}, home {record.home or 'none'}"
    return record, [ok(who) if record.home else warn(f"{who}; nothing can be recorded in a home")]
