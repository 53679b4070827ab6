"""Copies of recordings in the form of the originals: a pair stays a pair, with stamps and boundaries where it had them.

Knows: which form the files of a recording have, and how to make new files of that form, never over others. Must not
know: what was changed in the copy, and why.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rawlog.errors import RawlogError
from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.formats.base import Encoder
from rawlog.formats.combined import COMBINED_HEAD, CombinedEncoder
from rawlog.formats.dovecot import PairDecoder, PairEncoder
from rawlog.formats.native import MAGIC, NativeDecoder, NativeEncoder
from rawlog.reading.names import halves_of
from rawlog.reading.source import HEAD_SIZE, Source

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Form:
    """How a recording is written down. ``kind`` is ``pair``, ``combined`` or ``native``.

    ``halves``: of a pair, stamps and boundaries of each half that there is. A half with a name of its own has the
    ``ending`` of that name: none. ``header`` is the native format's.
    """

    kind: str
    halves: Mapping[Direction, tuple[bool, bool]]
    header: Mapping[str, str]
    endings: Mapping[Direction, str]


def form_of(recording: Recording) -> Form:
    """The form of a recording as ``reading.opener`` opened it. Raises RawlogError when its files can't be read."""
    if Path(recording.name).exists():
        return _form_of_file(recording)
    halves = {}
    for direction in Direction:
        for path in halves_of(recording.name, direction):
            if Path(path).exists():
                halves[direction] = _half(Source(path), direction)
    if not halves:
        raise RawlogError(f"{recording.name}: has no name to keep; save it to a file and name that")
    return Form("pair", halves, {}, {direction: f".{direction.value}" for direction in halves})


def _form_of_file(recording: Recording) -> Form:
    """The form of a recording in one file: native, combined, or one half of a pair."""
    source = Source(recording.name)
    if source.head.startswith(MAGIC) or not source.head:
        decoder = NativeDecoder(name=source.name)
        decoder.feed(source.head)
        return Form("native" if source.head else "empty", {}, decoder.header, {})
    if COMBINED_HEAD.match(source.head):
        return Form("combined", {}, {}, {})
    direction = next((e.direction for e in recording.events if isinstance(e, Chunk)), Direction.IN)
    return Form("pair", {direction: _half(source, direction)}, {}, {direction: ""})


def _half(source: Source, direction: Direction) -> tuple[bool, bool]:
    """Whether one half has stamps, and boundaries."""
    decoder = PairDecoder(direction)
    decoder.feed(source.head)
    if len(source.head) < HEAD_SIZE:
        decoder.end()
    return bool(decoder.stamps), bool(decoder.boundaries)


def with_header(form: Form, header: Mapping[str, str]) -> Form:
    """The form with another first line of the native format."""
    return replace(form, header=header)


def write_copy(recording: Recording, form: Form, directory: str, name: str) -> list[str]:
    """Writes a recording into new files, mode 0600: ``directory`` must exist, ``name`` has no ending for a pair.

    Gives their paths. What exists is never written to. Raises RawlogError, and then leaves no file.
    """
    endings = form.endings or {Direction.IN: ""}
    paths = {direction: str(Path(directory, name + ending)) for direction, ending in endings.items()}
    files: dict[Direction, int] = {}
    try:
        for direction, path in paths.items():
            files[direction] = _make(path)
        for direction, data in _encoded(recording.events, form):
            _write(files[direction], data)
    except BaseException:
        for direction in files:
            with contextlib.suppress(OSError):
                Path(paths[direction]).unlink()
        raise
    finally:
        for fd in files.values():
            os.close(fd)
    return list(paths.values())


def _make(path: str) -> int:
    try:
        fd = os.open(path, _NEW_FILE, 0o600)
        os.fchmod(fd, 0o600)
    except FileExistsError:
        raise RawlogError(f"{path}: exists already and is not written over; choose another directory") from None
    except OSError as error:
        raise RawlogError(f"{path}: can't be made: {error.strerror}") from None
    return fd


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        raise RawlogError(f"the copy can't be written: {error.strerror}; make room and start again") from None


def _encoded(events: Iterable[Event], form: Form) -> Iterator[tuple[Direction, bytes]]:
    """The bytes for each file, which is named by its direction; the only file is IN's."""
    if form.kind == "empty":
        return
    encoders: dict[Direction, Encoder]
    if form.kind == "pair":
        encoders = {direction: PairEncoder(*half) for direction, half in form.halves.items()}
    else:
        one = CombinedEncoder() if form.kind == "combined" else NativeEncoder(form.header)
        encoders = dict.fromkeys(Direction, one)
    for event in events:
        direction = Direction.IN if isinstance(event, Mark) else event.direction
        if encoder := encoders.get(direction):
            data = encoder.mark(event) if isinstance(event, Mark) else encoder.chunk(event.at, direction, event.data)
            yield (direction if form.kind == "pair" else Direction.IN), data
    for direction, encoder in encoders.items():
        yield (direction if form.kind == "pair" else Direction.IN), encoder.end(direction)
