"""Listening sockets: made, or refused with a sentence that says what to do.

Knows: addresses, unix sockets with their mode and owner. Must not know: who accepts there.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import socket
import stat
from pathlib import Path

from rawlog.errors import RawlogError
from rawlog.settings.backend import Listen

BACKLOG = 4096  # capped by the kernel's somaxconn; a full queue makes clients wait or fail


def bind(where: Listen, *, reuse_port: bool = False) -> socket.socket:
    """A non-blocking listening socket. ``reuse_port``: several may listen there, and the kernel spreads connections.

    Raises RawlogError when that is not possible.
    """
    try:
        sock = _unix(where.unix_path) if where.unix_path is not None else _inet(where, reuse_port)
        sock.listen(BACKLOG)
    except OSError as error:
        raise RawlogError(f"listener {where}: {_why(error)}") from error
    sock.setblocking(False)
    return sock


def bind_unix(path: str, *, mode: int, user: str = "", group: str = "") -> socket.socket:
    """The same for a unix socket with a mode and an owner; empty names leave what the process has."""
    sock = bind(Listen(unix_path=path))
    try:
        dress(path, mode=mode, user=user, group=group)
    except RawlogError:
        close(sock, Listen(unix_path=path))
        raise
    return sock


def dress(path: str, *, mode: int, user: str, group: str) -> None:
    """Give a unix socket its mode and owner. Raises RawlogError when that is not possible."""
    try:
        Path(path).chmod(mode)
        if user or group:
            uid = pwd.getpwnam(user).pw_uid if user else -1
            os.chown(path, uid, grp.getgrnam(group).gr_gid if group else -1)
    except (OSError, KeyError) as error:
        raise RawlogError(
            f"listener unix:{path}: its owner or mode can't be set: {error}; check user and group"
        ) from None


def check_free(where: Listen) -> None:
    """Raises RawlogError when somebody listens at a TCP address: with SO_REUSEPORT two daemons would share it."""
    try:
        _inet(where, reuse_port=False).close()
    except OSError as error:
        raise RawlogError(f"listener {where}: {_why(error)}") from error


def close(sock: socket.socket, where: Listen) -> None:
    """Close a listener, and remove its path."""
    sock.close()
    if where.unix_path is not None:
        with contextlib.suppress(OSError):  # somebody removed it already
            Path(where.unix_path).unlink()


def port_of(sock: socket.socket) -> int | None:
    """The port, which the kernel chose where 0 was asked for; None for a unix socket."""
    return None if sock.family == socket.AF_UNIX else int(sock.getsockname()[1])


def _inet(where: Listen, reuse_port: bool) -> socket.socket:
    found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    sock = socket.socket(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        _remove_dead(path)
        sock.bind(path)
    except OSError:
        sock.close()
        raise
    return sock


def _remove_dead(path: str) -> None:
    """Remove a socket that nobody listens on any more, left behind by a process that was killed."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) == errno.ECONNREFUSED:
            Path(path).unlink()


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use; choose another one, or end what listens there"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "not allowed; ports below 1024 need root, a unix socket a directory that is writable"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; use 127.0.0.1, or one that it has"
    if error.errno == errno.ENOENT:
        return "its directory does not exist; make it, or choose another base_dir"
    return f"{error.strerror or error}; check the address"
