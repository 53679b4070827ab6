"""Durations and sizes as people write them: ``500ms``, ``1.5s``, ``2h``; ``10k``, ``4M``.

Knows: the units. Must not know: what is measured.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)[ ]?([a-zA-Z]*)")
_TIMES = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_SIZES = {"": 1, "b": 1, "k": 1_000, "kb": 1_000, "m": 1_000_000, "mb": 1_000_000, "g": 10**9, "gb": 10**9}


def duration(text: str) -> int | None:
    """Microseconds; None when it is no duration. A number without a unit is seconds.

    >>> duration('500ms'), duration('1.5'), duration('fast')
    (500000, 1500000, None)
    """
    return _scaled(text, {**_TIMES, "": _TIMES["s"]})


def size(text: str) -> int | None:
    """Bytes; None when it is no size. ``k`` is 1000.

    >>> size('10k'), size('4 MB'), size('7')
    (10000, 4000000, 7)
    """
    return _scaled(text, _SIZES)


def _scaled(text: str, units: dict[str, int]) -> int | None:
    found = _NUMBER.fullmatch(text.strip())
    scale = units.get(found[2].lower()) if found else None
    return None if found is None or scale is None else round(float(found[1]) * scale)
