"""Times, durations and sizes as people write them, both ways.

Knows: units and the local time. Must not know: recordings. Everything is in microseconds and bytes.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_MINUTE, _HOUR, _DAY = 60 * _SECOND, 3600 * _SECOND, 86400 * _SECOND


def duration_text(microseconds: int | None) -> str:
    """At most seven characters; empty where it is not known.

    >>> duration_text(600), duration_text(12_300), duration_text(1_204_000), duration_text(3_725_000_000)
    ('600 µs', '12 ms', '1.20 s', '1h02m')
    """
    if microseconds is None:
        return ""
    if microseconds < 1000:
        return f"{microseconds} µs"
    if microseconds < 9_950:
        return f"{microseconds / 1000:.1f} ms"
    if microseconds < 999_500:
        return f"{microseconds / 1000:.0f} ms"
    if microseconds < 9_995_000:
        return f"{microseconds / _SECOND:.2f} s"
    if microseconds < 99_950_000:
        return f"{microseconds / _SECOND:.1f} s"
    if microseconds < _HOUR:
        return f"{microseconds // _MINUTE}m{microseconds % _MINUTE // _SECOND:02}s"
    if microseconds < _DAY:
        return f"{microseconds // _HOUR}h{microseconds % _HOUR // _MINUTE:02}m"
    return f"{microseconds // _DAY}d{microseconds % _DAY // _HOUR:02}h"


def size_text(count: int) -> str:
    """At most five characters: bytes as they are below 10000, else in units of 1000.

    >>> size_text(9999), size_text(12_345), size_text(4_500_000_000)
    ('9999', '12.3k', '4.5G')
    """
    if count < 10_000:
        return str(count)
    number: float = count
    for unit in "kMGTP":
        number /= 1000
        if number < 99.95:
            return f"{number:.1f}{unit}"
        if number < 999.5:
            return f"{number:.0f}{unit}"
    return f"{number:.0f}P"


def moment_text(at: int | None) -> str:
    """Local date and time to the second; empty where it is not known."""
    if at is None:
        return ""
    try:
        local = time.localtime(at // _SECOND)
    except (OverflowError, ValueError, OSError):
        return "?"
    return time.strftime("%Y-%m-%d %H:%M:%S", local) if local.tm_year < 10_000 else "?"


def iso_text(at: int | None) -> str | None:
    """ISO 8601 in UTC with microseconds; None where it is not known, or beyond the year 9999."""
    if at is None:
        return None
    try:
        return f"{_EPOCH + timedelta(microseconds=at):%Y-%m-%dT%H:%M:%S.%fZ}"
    except OverflowError:
        return None
