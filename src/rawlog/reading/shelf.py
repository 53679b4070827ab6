"""What is known of many recordings, kept so that nobody has to read them all again.

Knows: which files make up recordings, and whether they have changed since they were looked at; one database (SQLite) of
the person who asks, in their cache directory. Must not know: what is noted of a recording: whoever asks brings the
function that reads one, and gets back what it gave.

The shelf is a cache. It may be deleted at any time; where it is missing, damaged or of another version it is made anew,
and where it can't be written everything works without it. It holds names and addresses, so it is readable for its owner
alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rawlog.errors import RawlogError
from rawlog.formats.combined import COMBINED_HEAD
from rawlog.formats.native import MAGIC
from rawlog.reading.names import halves_of, parse_name, stem_of
from rawlog.reading.source import unreadable
from rawlog.reading.unseal import has_identities, is_sealed_file

VERSION = 1
"""Of the tables. A shelf of another version is made anew."""

PARALLEL = 400
"""From so many recordings on, reading them in several processes is quicker than starting those takes."""

BATCH = 200
"""Recordings that one process reads before it reports; a shelf loses no more than these when a listing is stopped."""

STEP = 5
"""The same for who reads alone: somebody may be looking on."""

WORKERS_LIMIT = 8
"""More readers than this wait for the disk."""

_SNIFF = 64

Note = Mapping[str, Any]
Read = Callable[[str], Note]
Tell = Callable[[int, int], None]
Fail = Callable[[RawlogError], None]


@dataclass(frozen=True, slots=True)
class Item:
    """One recording, or a file that may be one. ``path`` opens it; ``name`` is the common stem of a pair.

    ``state`` changes when the files do: sizes and times of change. ``sure`` is False where only the content can tell
    whether it is a recording.
    """

    name: str
    path: str
    state: str
    sure: bool


class Shelf:
    """Notes about recordings. ``path`` is the database; without one, nothing is kept, and nothing either while sealed
    recordings can be read.

    ``edition`` is that of the notes: whoever changes what is noted counts it up. A shelf of another one is made anew.
    With ``alone`` no other processes are started to read many recordings.
    """

    def __init__(self, path: Path | None, *, edition: int, alone: bool = False) -> None:
        self._alone = alone
        self._database = _open(None if has_identities() else path, VERSION * 1000 + edition)

    def notes(self, places: Iterable[str], read: Read, *, tell: Tell, fail: Fail) -> Iterator[tuple[str, Note]]:
        """Name and note of each recording at ``places`` (recordings, or directories with them), in any order.

        Names are absolute paths. ``read`` gives the note of the recording at a path. It must be a function of a module,
        for it may be called in another process. ``tell`` hears how many of how many that had to be read are read;
        ``fail`` of what can't be. What has gone from a directory is forgotten.
        """
        for given in places:
            place = str(Path(given).resolve())
            items = {item.name: item for item in items_at(place, fail)}
            known = self._known(place)
            if Path(place).is_dir():
                self._forget(known.keys() - items.keys())
            new: list[Item] = []
            for name, item in items.items():
                state, note = known.get(name, ("", None))
                if state != item.state:
                    new.append(item)
                elif note is not None:
                    yield name, json.loads(note)
            yield from self._read(new, read, tell, fail)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _read(self, items: list[Item], read: Read, tell: Tell, fail: Fail) -> Iterator[tuple[str, Note]]:
        """Reads what is not known yet, and notes it."""
        done = 0
        for batch in _read_all(items, read, alone=self._alone or has_identities()):
            self._keep([(item, note) for item, note, failure in batch if failure is None])
            done += len(batch)
            tell(done, len(items))
            for item, note, failure in batch:
                if failure is not None:
                    fail(RawlogError(failure))
                elif note is not None:
                    yield item.name, json.loads(note)

    # -- the database -----------------------------------------------------------------------------------------------

    def _known(self, place: str) -> dict[str, tuple[str, str | None]]:
        """State and note of what is known at a place and below it."""
        below = os.fsencode(place.rstrip("/")) + b"/"
        with contextlib.suppress(sqlite3.Error):  # damaged since it was opened
            rows = self._database.execute(
                "SELECT name, state, note FROM recordings WHERE name = ? OR (name >= ? AND name < ?)",
                (os.fsencode(_stem(place)), below, below[:-1] + b"0"),  # 0 is what follows /
            )
            return {os.fsdecode(name): (state, note) for name, state, note in rows}
        return {}

    def _forget(self, names: Iterable[str]) -> None:
        _write(self._database, "DELETE FROM recordings WHERE name = ?", ((os.fsencode(name),) for name in names))

    def _keep(self, notes: Iterable[tuple[Item, str | None]]) -> None:
        rows = ((os.fsencode(item.name), item.state, note) for item, note in notes)
        _write(self._database, "INSERT OR REPLACE INTO recordings VALUES (?, ?, ?)", rows)


def default_shelf() -> Path:
    """Where the shelf of this user is: ``rawlog/shelf.sqlite`` in the cache directory."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "rawlog" / "shelf.sqlite"


# -- which recordings there are ------------------------------------------------------------------------------------


def items_at(place: str, fail: Fail) -> Iterator[Item]:
    """The recordings at ``place``, a directory or one of their files; also files that may be recordings by content.

    Links are not followed. ``fail`` is told of what can't be looked at.
    """
    if not Path(place).is_dir():
        try:
            yield _item_at(place)
        except OSError as error:
            fail(unreadable(place, error))
        return
    waiting = [place]
    while waiting:
        directory = waiting.pop()
        try:
            with os.scandir(directory) as entries:
                found = list(entries)
        except OSError as error:
            fail(unreadable(directory, error))
            continue
        waiting += [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
        yield from _items(found)


def _item_at(place: str) -> Item:
    """The recording that ``place`` names: a file, or one half or the stem of a pair."""
    files = [path for path in {place, *halves_of(stem_of(place))} if Path(path).is_file()]
    if not files:
        raise FileNotFoundError(place)
    return Item(_stem(place), place, " ".join(_state(Path(path).stat()) for path in sorted(files)), sure=True)


def _items(entries: Iterable[os.DirEntry[str]]) -> Iterator[Item]:
    """The recordings among the files of one directory."""
    pairs: dict[str, list[tuple[str, str]]] = {}
    for entry in entries:
        with contextlib.suppress(OSError):  # gone meanwhile
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                half = parse_name(entry.name)
                name = stem_of(entry.path) if half else entry.path
                pairs.setdefault(name, []).append((entry.path, _state(status)))
    for name, files in pairs.items():
        files.sort()
        yield Item(name, files[0][0], " ".join(state for _, state in files), sure=name != files[0][0])


def _state(status: os.stat_result) -> str:
    return f"{status.st_size}.{status.st_mtime_ns}"


def _stem(path: str) -> str:
    return stem_of(path) if parse_name(path.rpartition("/")[2]) else path


# -- reading them --------------------------------------------------------------------------------------------------

Result = tuple[Item, str | None, str | None]  # the note as JSON, or what went wrong


def _read_all(items: list[Item], read: Read, *, alone: bool) -> Iterator[list[Result]]:
    """What ``read`` gives for each, in batches; many are read in several processes, which know no identities."""
    workers = 1 if alone else min(WORKERS_LIMIT, os.cpu_count() or 1)
    size = STEP if alone else BATCH
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    if len(items) < PARALLEL or workers == 1:
        yield from map(partial(_read_batch, read), batches)
        return
    from concurrent.futures import ProcessPoolExecutor  # here, for few calls need it and each would wait for it

    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(partial(_read_batch, read), batches)


def _read_batch(read: Read, items: list[Item]) -> list[Result]:
    results: list[Result] = []
    for item in items:
        try:
            note = json.dumps(dict(read(item.path))) if item.sure or _is_recording(item.path) else None
            results.append((item, note, None))
        except RawlogError as error:
            results.append((item, None, str(error)))
    return results


def _is_recording(path: str) -> bool:
    """Whether a file with any name holds a recording."""
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(_SNIFF)
    except OSError:
        return False  # not ours to read: with such a name it is hardly a recording
    return head.startswith(MAGIC) or COMBINED_HEAD.match(head) is not None or is_sealed_file(path, head)


# -- the file --------------------------------------------------------------------------------------------------------


def _open(path: Path | None, version: int) -> sqlite3.Connection:
    """The database at ``path``, made anew where it is missing or of no use; in memory where that can't be done."""
    with contextlib.suppress(OSError, sqlite3.Error):
        if path is not None:
            try:
                return _prepared(path, version)
            except sqlite3.OperationalError:  # another process has it, or the disk is full: leave it as it is
                raise
            except sqlite3.DatabaseError:
                path.unlink()
                return _prepared(path, version)
    return _with_table(sqlite3.connect(":memory:", isolation_level=None), version)


def _prepared(path: Path, version: int) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(path, timeout=5, isolation_level=None)
    try:
        (found,) = database.execute("PRAGMA user_version").fetchone()
        if found not in (0, version):
            raise sqlite3.DatabaseError(f"version {found}")
        return _with_table(database, version)
    except sqlite3.Error:
        database.close()
        raise


def _with_table(database: sqlite3.Connection, version: int) -> sqlite3.Connection:
    database.execute("PRAGMA synchronous = OFF")  # it is a cache: a crash may cost it
    database.execute(
        "CREATE TABLE IF NOT EXISTS recordings (name TEXT PRIMARY KEY, state TEXT NOT NULL, note TEXT) WITHOUT ROWID"
    )
    database.execute(f"PRAGMA user_version = {version}")
    return database


def _write(database: sqlite3.Connection, statement: str, rows: Iterable[Sequence[object]]) -> None:
    """One transaction. What can't be kept, because the disk is full or another process writes, is read again later."""
    with contextlib.suppress(sqlite3.Error):
        database.execute("BEGIN IMMEDIATE")
        try:
            database.executemany(statement, rows)
            database.execute("COMMIT")
        except sqlite3.Error:
            database.execute("ROLLBACK")
