"""Descriptors that travel: those a forked process must not hold, and those that come with a message.

Knows: descriptor numbers, SCM_RIGHTS. Must not know: what any of them is. A descriptor that stays open where nobody
knows of it keeps a connection from ending; so each one that comes in is closed on exec, each one too many at once.
"""

from __future__ import annotations

import _socket
import os
import struct
from collections.abc import Collection, Sequence

_CLOEXEC: int = getattr(_socket, "MSG_CMSG_CLOEXEC", 0)
_SOCKET, _RIGHTS = _socket.SOL_SOCKET, _socket.SCM_RIGHTS
_SIZE = struct.calcsize("i")


def keep_only(wanted: Collection[int]) -> None:
    """Closes every descriptor of this process that is not wanted."""
    begin = 0
    for fd in [*sorted(wanted), os.sysconf("SC_OPEN_MAX")]:
        if begin < fd:  # an empty range would be taken for one without end
            os.closerange(begin, fd)
        begin = fd + 1


def send(sock: _socket.socket, data: bytes, fds: Sequence[int], flags: int = 0) -> int:
    """Sends ``data``, with descriptors; how many bytes went. Raises OSError."""
    return sock.sendmsg([data], [(_SOCKET, _RIGHTS, struct.pack(f"{len(fds)}i", *fds))], flags)


def receive(sock: _socket.socket, size: int, count: int, flags: int = 0) -> tuple[bytes, list[int], bool]:
    """One message of up to ``size`` bytes with up to ``count`` descriptors; and whether some got lost: they were more,
    or this process may open no more. Raises OSError.

    (``socket.recv_fds`` of Python 3.11 drops its flags, so that what it receives stays open on exec.)
    """
    data, ancillary, seen, _ = sock.recvmsg(size, _socket.CMSG_SPACE(count * _SIZE), _CLOEXEC | flags)
    fds: list[int] = []
    for level, kind, content in ancillary:
        if level == _SOCKET and kind == _RIGHTS:
            fds += struct.unpack_from(f"{len(content) // _SIZE}i", content)
    lost = bool(seen & _socket.MSG_CTRUNC) or len(fds) > count
    while len(fds) > count:  # room for alignment may let one more in
        os.close(fds.pop())
    return data, fds, lost
