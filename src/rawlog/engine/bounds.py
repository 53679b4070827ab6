"""The sizes and times of a relay, whatever its legs are.

Knows: numbers, each with its reason. Must not know: sockets. Two relays keep to them, and who sets them loads neither.
"""

from __future__ import annotations

from typing import NamedTuple

READ_FIRST = 4096
"""Bytes of the first read, and of reads on a quiet leg: room for most commands and answers."""
READ_AFTER_STALL = 16384
"""Bytes per read after the other leg stood still: a slow reader shall not pin large buffers."""
READ_MAX = 131072
"""Largest read: larger ones cost page faults, unless malloc was told to keep its memory (then 256 KiB is better)."""
LONG_STALL = 0.1
"""Seconds after which a stall is a slow reader's, not just a full socket in the middle of bulk."""
LAST_LOOK = 0.05
"""Seconds between two looks at whether the peer's kernel has taken the last bytes; nothing announces that."""


class Limits(NamedTuple):
    """Seconds and sizes of a relay, with the defaults of the house."""

    drain: float = 60.0
    """After one side has ended: seconds in which no byte moves before the other side is given up."""
    stall: float = 300.0
    """Seconds in which a peer takes no byte of what waits for it; Dovecot's output limit is the same."""
    read_max: int = READ_MAX
    """Largest read, and so the largest buffer per direction (bytes)."""


DEFAULT_LIMITS = Limits()
