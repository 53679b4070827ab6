"""Recordings written in another format, and their messages as files.

Knows: which encoder makes which files. Must not know: formats' insides, options.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rawlog.dialogue.exchange_messages import messages
from rawlog.errors import RawlogError
from rawlog.events import Direction, Mark, Recording
from rawlog.formats.base import Encoder
from rawlog.formats.combined import CombinedEncoder
from rawlog.formats.dovecot import PairEncoder
from rawlog.formats.native import NativeEncoder
from rawlog.views.output import free_stem, new_file, stem_of, write_all

Copy = Callable[[Recording, Path], list[Path]]


def as_dovecot(recording: Recording, directory: Path) -> list[Path]:
    """``STEM.in`` and ``STEM.out``, with stamps where there are times. Marks are lost."""
    return _encoded(recording, directory, PairEncoder(stamps=recording.timed), [".in", ".out"])


def as_combined(recording: Recording, directory: Path) -> list[Path]:
    """``STEM.log`` with a line for each line of both sides. Without times they are 0. Marks are lost."""
    return _encoded(recording, directory, CombinedEncoder(), [".log"])


def as_native(recording: Recording, directory: Path) -> list[Path]:
    """``STEM.rawlog``, without loss."""
    header = {"name": recording.name, **({"protocol": recording.protocol} if recording.protocol else {})}
    return _encoded(recording, directory, NativeEncoder(header), [".rawlog"])


def as_messages(recording: Recording, directory: Path) -> list[Path]:
    """``STEM-NUMBER-VERB.eml`` for each message that was transferred; ``.part.eml`` where the recording ends in it.

    Raises RawlogError when a message is too large to be kept in memory; those before it are written.
    """
    made = []
    for message in messages(recording):
        name = f"{stem_of(recording.name)}-{message.number:04}-{message.verb.lower()}"
        ending = ".eml" if message.complete else ".part.eml"
        path = directory / (free_stem(directory, name, [ending]) + ending)
        if message.data is None:
            raise RawlogError(f"{recording.name}: message {message.number} is too large to be exported")
        write_all(path, [message.data])
        made.append(path)
    return made


def _encoded(recording: Recording, directory: Path, encoder: Encoder, endings: list[str]) -> list[Path]:
    """The files of one recording: one for both directions, or one for each."""
    stem = free_stem(directory, stem_of(recording.name), endings)
    paths = [directory / f"{stem}{ending}" for ending in endings]
    with ExitStack() as stack:
        files = [stack.enter_context(new_file(path)) for path in paths]
        target = dict(zip(Direction, files if len(files) > 1 else files * 2, strict=True))
        for event in recording.events:
            if isinstance(event, Mark):
                target[Direction.IN].write(encoder.mark(event))
            else:
                target[event.direction].write(encoder.chunk(event.at, event.direction, event.data))
        for direction in Direction:
            target[direction].write(encoder.end(direction))
    return paths
