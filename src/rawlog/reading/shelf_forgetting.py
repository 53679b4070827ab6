"""Takes notes about recordings off a shelf, so that nothing of them stays in its file.

Knows: the shelf's table. Must not know: what is noted. A shelf that is of no use, or can't be changed, is removed as a
whole: it is a cache, and to forget matters more.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path

_BESIDE = ("", "-journal", "-wal", "-shm")


def forget(shelf: Path, gone: Iterable[str], users: Collection[str] = ()) -> None:
    """Forget the recordings with these names (absolute paths), and whatever is noted of users with these names.

    Raises OSError when that can't be.
    """
    if not os.access(shelf, os.F_OK):  # nor where we could not have written it
        return
    try:
        with contextlib.closing(sqlite3.connect(shelf, timeout=5, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = MEMORY")  # what is forgotten is not written anywhere else before
            database.execute("PRAGMA secure_delete = ON")
            database.execute("BEGIN IMMEDIATE")
            database.executemany("DELETE FROM recordings WHERE name = ?", [(os.fsencode(name),) for name in gone])
            for user in users:
                database.execute(_MENTIONING, (json.dumps(user.lower())[1:-1], os.fsencode(user.lower())))
            database.execute("COMMIT")
            database.execute("VACUUM")  # so that no page in the file is only marked as free
    except sqlite3.Error:
        for ending in _BESIDE:
            shelf.with_name(shelf.name + ending).unlink(missing_ok=True)


_MENTIONING = "DELETE FROM recordings WHERE instr(lower(note), ?) OR instr(lower(CAST(name AS TEXT)), CAST(? AS TEXT))"
"""Also what only looks like it: it is noted again when somebody asks."""
