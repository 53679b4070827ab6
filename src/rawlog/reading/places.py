"""The recordings that paths on a command line mean.

Knows: that a directory means all recordings in it and below, and that a pair is meant once. Must not know: what is done
with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rawlog.errors import RawlogError
from rawlog.reading.directory import recordings_below
from rawlog.reading.names import stem_of


def recordings_at(paths: Iterable[str], *, on_error: Callable[[RawlogError], None] | None = None) -> Iterator[str]:
    """A path for each recording at ``paths``, in that order; those of a directory sorted by their start.

    Nothing is opened but what has no telling name. ``on_error`` is told of directories that can't be read; without it
    the error is raised.
    """
    seen: set[str] = set()
    for given in paths:
        for path in recordings_below(given, on_error=on_error) if Path(given).is_dir() else [given]:
            stem = stem_of(path)
            if stem not in seen:
                seen.add(stem)
                yield path
