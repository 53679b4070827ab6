"""Takes over the descriptors of a login from our drop-in: see dropin_handover.py for the words.

Knows: what such a message must hold. Must not know: sessions. Whoever the socket's mode lets in may ask, so each
descriptor is looked at: sockets must be sockets, files must be files. All of them were opened by the asking user, so
nothing can be reached through us that this user could not reach.
"""

from __future__ import annotations

import os
import stat
from _socket import SocketType
from collections.abc import Sequence
from typing import NamedTuple

from rawlog.errors import FormatError
from rawlog.events import Direction
from rawlog.recorder.sinks import FileSink
from rawlog.settings.options import RawlogOptions
from rawlog.taps.postlogin_request import unescape


class Adopted(NamedTuple):
    """A login that is to be relayed and recorded here."""

    user: str
    written: RawlogOptions
    client: SocketType
    server: SocketType
    sinks: dict[Direction, FileSink]

    def close(self) -> None:
        """Leaves it to the drop-in."""
        self.client.close()
        self.server.close()
        for sink in self.sinks.values():
            sink.close()


def adopt(message: bytes, fds: Sequence[int]) -> Adopted:
    """What a drop-in hands over. Raises FormatError, or OSError; then all descriptors are still the caller's.

    Otherwise they belong to what is returned.
    """
    words = [unescape(word) for word in message.split(b"\n", 2)[1].split(b"\t")]
    values, paths = words[2::2], words[3::2]
    if values not in (["in"], ["out"], ["in", "out"]) or len(paths) != len(values):
        raise FormatError("post-login socket: a drop-in named no files")
    directions = [Direction(value) for value in values]
    if len(fds) != 2 + len(directions):
        raise FormatError(f"post-login socket: a drop-in sent {len(fds)} descriptors for {2 + len(directions)}")
    kinds = [stat.S_IFMT(os.fstat(fd).st_mode) for fd in fds]
    if kinds != [stat.S_IFSOCK] * 2 + [stat.S_IFREG] * len(directions):
        raise FormatError("post-login socket: a drop-in sent descriptors that are not two sockets and its files")
    client, server = (SocketType(fileno=fd) for fd in fds[:2])
    return Adopted(
        words[0],
        RawlogOptions(boundaries="b" in words[1], stamps="t" in words[1]),
        client,
        server,
        {direction: FileSink(fd, path) for direction, fd, path in zip(directions, fds[2:], paths, strict=True)},
    )
