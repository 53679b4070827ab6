"""What a forked process must not hold: descriptors of others, which would keep their connections from ending.

Knows: descriptor numbers. Must not know: what any of them is.
"""

from __future__ import annotations

import os
from collections.abc import Collection


def keep_only(wanted: Collection[int]) -> None:
    """Closes every descriptor of this process that is not wanted."""
    begin = 0
    for fd in [*sorted(wanted), os.sysconf("SC_OPEN_MAX")]:
        if begin < fd:  # an empty range would be taken for one without end
            os.closerange(begin, fd)
        begin = fd + 1
