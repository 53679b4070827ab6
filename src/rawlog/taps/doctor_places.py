"""The doctor's look at directories: where recordings of a user would go, and who would have to write there.

Knows: the directories that settings name, permissions, free space. Must not know: the network. Permissions are read
from modes and owners, not tried: nothing is written, and access lists beyond the mode are not seen.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rawlog.errors import ConfigError
from rawlog.recorder.directory import NotRecorded, open_directory, resolve
from rawlog.recorder.keeper import DIRECTORY
from rawlog.settings.configuration import Configuration, Door, GatewayPlan
from rawlog.settings.userdb import UserRecord
from rawlog.settings.variables import Template
from rawlog.taps.build import postlogin_options, service_name
from rawlog.taps.collectors import SCHEME
from rawlog.taps.doctor_finding import Finding, fail, ok, warn
from rawlog.taps.target import OF_A_USER

SETTINGS = {
    "lmtp": ("lmtp_rawlog_dir", "lmtp_proxy_rawlog_dir"),
    "submission": ("rawlog_dir", "submission_relay_rawlog_dir", "login_proxy_rawlog_dir"),
}


@dataclass(frozen=True, slots=True)
class Writer:
    """Who would make the files."""

    uid: int
    groups: frozenset[int]


def directories(
    configuration: Configuration, plan: GatewayPlan, user: str | None, record: UserRecord | None
) -> Iterator[Finding]:
    """What there is to say about each directory that one protocol's settings name."""
    settings = plan.settings
    names = SETTINGS.get(plan.protocol, ("rawlog_dir", "login_proxy_rawlog_dir"))
    wanted = {name: getattr(settings, name) for name in names}
    if record is not None and "rawlog_dir" in record.fields and plan.protocol != "lmtp":
        wanted["rawlog_dir"] = record.fields["rawlog_dir"]
        if not wanted["rawlog_dir"]:
            yield warn("rawlog_dir: the user's field in userdb is empty, which switches it off")
    if plan.prelogin_directory is not None:
        wanted["-R"] = plan.prelogin_directory
    asked = {name: text for name, text in wanted.items() if text}
    options = postlogin_options(configuration, plan)
    if not asked and options is None:
        yield warn("no setting asks for a recording; set rawlog_dir, for instance")
    writer = _service_user(settings.rawlog_user)
    if isinstance(writer, Finding):
        yield writer
        return
    values = _values(plan, user, record)
    for name, text in asked.items():
        if not text.startswith(SCHEME):
            yield _directory(name, text, values, user, writer)
    if options is not None:
        yield _home(user, record)


def socket_directory(door: Door) -> Iterator[Finding]:
    """Whether the directory of a unix socket is there."""
    path = door.listen.unix_path
    if path is not None and not Path(path).parent.is_dir():
        yield fail(f"listener unix:{path}: its directory does not exist; make it, or choose another base_dir")


def userdb_files(configuration: Configuration) -> Iterator[Finding]:
    """Whether the workers can read the files of the userdb: they ask it, not the master."""
    writer = _service_user(configuration.settings.rawlog_user)
    for section in configuration.userdbs:
        words = section.args.split()
        if section.driver not in ("passwd-file", "sql") or not words or "%" in words[-1] or isinstance(writer, Finding):
            continue
        file = Path(words[-1])
        try:
            closed = [place for place in reversed(file.parents) if not _allowed(place, writer, stat.S_IXUSR)]
            readable = not closed and _allowed(file, writer, stat.S_IRUSR)
        except OSError as error:
            yield fail(f"userdb: {file}: {error.strerror}; name a file that is there")
            continue
        if not readable and writer.uid:
            yield fail(f"userdb: {file} can't be read by uid {writer.uid}; let this user, the workers', read it")


def obstacle(path: str, writer: Writer, *, follow_last: bool = True) -> str:
    """Why ``writer`` can't make files in the directory ``path``; nothing when nothing is in the way."""
    opened = open_directory(path, follow_last=follow_last)
    if isinstance(opened, NotRecorded):
        return opened.reason
    os.close(opened)
    if writer.uid == 0:
        return ""
    whole = Path(path).resolve()
    for place in reversed(whole.parents):
        if not _allowed(place, writer, stat.S_IXUSR):
            return f"{place} can't be searched by uid {writer.uid}; let this user search (x) it"
    if not _allowed(whole, writer, stat.S_IWUSR | stat.S_IXUSR):
        return f"{path} is not writable by uid {writer.uid}; give this user the directory (chown) or write access"
    return ""


def _directory(name: str, text: str, values: Mapping[str, str], user: str | None, writer: Writer) -> Finding:
    try:
        template = Template(text)
    except ConfigError as error:
        return fail(f"{name}: {error}")
    if user is None and not template.names.isdisjoint(OF_A_USER):
        return warn(f"{name} = {text}: depends on the user; name one (rawlog doctor USER)")
    path = resolve(template, values)
    if isinstance(path, NotRecorded):
        return fail(f"{name}: {path.reason}")
    return _place(name, path, writer, follow_last=True)


def _home(user: str | None, record: UserRecord | None) -> Finding:
    if user is None:
        return warn(f"{DIRECTORY}: depends on the user's home; name a user (rawlog doctor USER)")
    if record is None or not record.home:
        return fail(f"{DIRECTORY}: userdb returns no home for {user}; let it return one (mail_home does not count)")
    if record.uid is None or record.gid is None:
        return fail(f"{DIRECTORY}: userdb returns no uid and gid for {user}; nobody can act as that user")
    if os.geteuid() not in (0, record.uid):
        return warn(f"{DIRECTORY}: can't be looked at as uid {os.geteuid()}; run the doctor as root")
    writer = Writer(record.uid, frozenset((record.gid,)))
    return _place(DIRECTORY, f"{record.home}/{DIRECTORY}", writer, follow_last=False)


def _place(name: str, path: str, writer: Writer, *, follow_last: bool) -> Finding:
    reason = obstacle(path, writer, follow_last=follow_last)
    if reason:
        return fail(f"{name}: {reason}")
    status = os.statvfs(path)
    free, total = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    if free * 10 < total:
        return warn(f"{name}: {path}: only {free >> 20} MiB of {total >> 20} are free; make room before it stops")
    return ok(f"{name}: {path}: uid {writer.uid} can record there")


def _values(plan: GatewayPlan, user: str | None, record: UserRecord | None) -> dict[str, str]:
    """Values for variables; those of a connection are examples."""
    values = {"rip": "127.0.0.1", "lip": "127.0.0.1", "session": "session", "service": service_name(plan), "pid": "1"}
    if record is not None:
        values |= record.fields
    values["user"] = user or ""
    if not values.get("home") and plan.settings.mail_home:
        values["home"] = Template(plan.settings.mail_home).expand(values)
    return values


def _service_user(name: str) -> Writer | Finding:
    """Who a worker is: ``rawlog_user`` when it is started as root, else whoever starts it."""
    if os.geteuid() != 0:
        return Writer(os.geteuid(), frozenset((os.getegid(), *os.getgroups())))
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return fail(f"rawlog_user {name}: no such user; create it (useradd --system {name}) or name another")
    return Writer(entry.pw_uid, frozenset(os.getgrouplist(name, entry.pw_gid)))


def _allowed(path: Path, writer: Writer, right: int) -> bool:
    """Whether the mode gives ``writer`` a right, written as the owner's bits."""
    info = path.stat()
    if info.st_uid == writer.uid:
        return info.st_mode & right == right
    if info.st_gid in writer.groups:
        return info.st_mode & (right >> 3) == right >> 3
    return info.st_mode & (right >> 6) == right >> 6
