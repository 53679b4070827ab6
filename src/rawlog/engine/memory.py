"""Tells malloc to keep what is freed. A relay takes a large buffer for every read, and frees it a moment later.

Knows: three settings of glibc's malloc. Must not know: who takes the buffers. By default glibc gives a freed block of
128 KiB or more back to the kernel, and gets it again page by page for the next read; that was a third of what a relayed
gigabyte cost, and the reason for small reads. Other C libraries have no such settings, and nothing is changed there.
It is for long-lived processes only, once, before they begin: it keeps up to ``KEPT`` bytes that nobody uses.
"""

from __future__ import annotations

import ctypes

from rawlog.engine.bounds import READ_MAX

READ_MAX_KEPT = 240 << 10
"""Largest read, in bytes, where memory is kept: fifteen TLS records. One for each direction, with what TLS adds, stays
below the 512 KiB that a conversation may hold; 256 KiB would be 2 % faster."""
KEPT = 64 << 20
"""Bytes of free memory at the end of the heap that are not given back."""

_SETTINGS = ((-3, 32 << 20), (-1, KEPT), (-2, 1 << 20))
"""M_MMAP_THRESHOLD (the largest glibc allows), M_TRIM_THRESHOLD, M_TOP_PAD: see mallopt(3)."""


def keep_freed_memory() -> int:
    """Set it; gives the largest read that pays now, in bytes: for ``Limits.read_max``."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return READ_MAX
    return READ_MAX_KEPT if all(mallopt(*setting) for setting in _SETTINGS) else READ_MAX
