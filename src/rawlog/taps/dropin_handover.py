"""Hands the descriptors of a login to a service that runs already, instead of keeping a process for each login.

Knows: the few words that are exchanged. Must not know: options, directories, relays. Imported at every recorded login,
so it imports nothing but the socket module's core.

The words, on a unix socket: we send ``VERSION TAB rawlog-dropin TAB 1 TAB 0 LF`` and one line of fields (TAB between
them, escaped as in Dovecot's own protocols), and with them the descriptors: the client, our end of the program's
sockets, the files. The service answers ``+``; we send ``+`` back, and from then on the descriptors are its own. Before
that it touches nothing, so whoever of us gives up leaves the other free to go on alone.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Sequence

SOCKET = "/run/rawlog/postlogin"
"""Where a service is looked for unless RAWLOG_SOCKET in the environment says where; empty: nowhere."""
PATIENCE = 1.0
"""Seconds for each step. A service that is slower than that is in trouble, and a process of our own is not."""
VERSION = b"VERSION\trawlog-dropin\t1\t0\n"
_ESCAPES = {"\0": "\1" + "0", "\1": "\1" + "1", "\t": "\1" + "t", "\r": "\1" + "r", "\n": "\1" + "n"}


def hand_over(client: int, ours: int, files: Sequence[tuple[str, int, str]], *, flags: str, user: str) -> bool:
    """Gives the descriptors away; False when nobody wants them, and everything is as before.

    ``files``: direction, descriptor and path of each; ``flags``: ``b`` and ``t``.
    """
    import _socket

    path = os.environ.get("RAWLOG_SOCKET", SOCKET)
    if not path:
        return False
    try:
        with_service = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        with_service.settimeout(PATIENCE)
        with_service.connect(path)
        return _agreed(with_service, request(files, flags, user), [client, ours, *(fd for _, fd, _ in files)])
    except OSError:
        return False


def request(files: Sequence[tuple[str, int, str]], flags: str, user: str) -> bytes:
    """What is asked: version line and fields (user, flags, then direction and path of each file)."""
    fields = [user, flags]
    for direction, _, path in files:
        fields += [direction, path]
    return VERSION + b"\t".join(_escaped(field) for field in fields) + b"\n"


def _escaped(field: str) -> bytes:
    return "".join(_ESCAPES.get(letter, letter) for letter in field).encode(errors="surrogateescape")


def _agreed(service: socket, message: bytes, fds: Sequence[int]) -> bool:
    import _socket

    rights = b"".join(fd.to_bytes(4, sys.byteorder, signed=True) for fd in fds)
    sent = service.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    if sent != len(message):
        return False
    if service.recv(1) != b"+":
        return False
    return service.send(b"+") == 1
