"""What the end of a connection takes with it: bytes that the peer's kernel does not have yet, and resets.

Knows: stream sockets, TCP's and unix. Must not know: who closes, and when. It is a file of its own because a close
that loses nothing is asked about in more than one place.
"""

from __future__ import annotations

import _socket
import fcntl
import sys
import termios

_LINGER_NOT = (1).to_bytes(4, sys.byteorder) + bytes(4)
"""struct linger: on, for 0 seconds."""
_TCP_CLOSE = 7
"""State of a TCP connection that is dead (linux/tcp_states.h); its count of unacknowledged bytes then means nothing."""
_TCP_FAMILIES = (_socket.AF_INET, _socket.AF_INET6)


def is_tcp(sock: _socket.socket) -> bool:
    """Whether it is a TCP socket: only there a close can lose what was sent."""
    return sock.family in _TCP_FAMILIES


def unacked_tcp(sock: _socket.socket) -> int:
    """Bytes the kernel has accepted on a TCP socket and the peer's kernel has not.

    0 where they can't get there any more, or the system can't say.
    """
    if not hasattr(_socket, "TCP_INFO"):
        return 0
    try:
        if sock.getsockopt(_socket.IPPROTO_TCP, _socket.TCP_INFO, 1)[0] == _TCP_CLOSE:
            return 0
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except OSError:
        return 0
    return int.from_bytes(answer, sys.byteorder)


def reset_on_close(sock: _socket.socket) -> None:
    """Let the next close be a reset, so that the peer does not take what it has for the whole. Raises OSError."""
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _LINGER_NOT)
