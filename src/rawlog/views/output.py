"""Files that a command makes of recordings.

Knows: making new files that only their owner can read, and saying in one line why that failed. Must not know: what is
written. Nothing is overwritten: what somebody exported before may be all that is left of a recording.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rawlog.errors import RawlogError
from rawlog.reading.names import stem_of as half_stem

NAME_LIMIT = 200
"""Characters of a file name that come from a recording; file systems take 255 bytes."""


@contextmanager
def new_file(path: str | Path) -> Iterator[BinaryIO]:
    """A new file to write to; ``-`` is standard output. Raises RawlogError when it can't be made or written."""
    try:
        if str(path) == "-":
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _failed(path, error) from None


def new_directory(path: str | Path) -> Path:
    """A directory to put files in, made if it is not there. Raises RawlogError when that can't be done."""
    try:
        Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _failed(path, error) from None
    return Path(path)


def write_all(path: str | Path, pieces: Iterable[bytes]) -> None:
    """Writes ``pieces`` to a new file."""
    with new_file(path) as file:
        for piece in pieces:
            file.write(piece)


def stem_of(name: str) -> str:
    """What a file made of the recording ``name`` is called, without an ending."""
    stem = half_stem(name.rpartition("/")[2]).removesuffix(".age").removesuffix(".rawlog")
    return (stem.replace("\0", "_").replace(" ", "_") or "recording")[:NAME_LIMIT]


def free_stem(directory: Path, stem: str, endings: Iterable[str]) -> str:
    """``stem``, or with ``-2``, ``-3`` behind it: the first for which none of the files is there."""
    endings = list(endings)
    number, candidate = 1, stem
    while any((directory / f"{candidate}{ending}").exists() for ending in endings):
        number += 1
        candidate = f"{stem}-{number}"
    return candidate


def _failed(path: str | Path, error: OSError) -> RawlogError:
    if isinstance(error, FileExistsError):
        return RawlogError(f"{path}: is there already; choose another name or remove it")
    return RawlogError(f"{path}: can't be written: {error.strerror}")
