"""Gives tests the recordings in tests/golden: what a real Dovecot wrote, and what its client sent and received."""

from __future__ import annotations

import json
import re
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "golden"

_STAMP = re.compile(rb"^[0-9]{10}\.[0-9]{6} ", re.MULTILINE)
_LOGIN = re.compile(r"(\S+ LOGIN|PASS|AUTH\S*) ")


def files(*suffixes: str) -> list[Path]:
    """All captured files with one of the suffixes, in a fixed order."""
    return sorted(path for suffix in suffixes for path in FOLDER.rglob("*" + suffix))


def name(path: Path) -> str:
    """A short name of a captured file, for the report of a test."""
    return str(path.relative_to(FOLDER))


def texts(case: str, kind: str, client: str = "c1", *, after_login: bool = True) -> list[bytes]:
    """What the client of a case sent (kind ``C``, one for each send) or received (``S``), from the login on or all."""
    transcript = json.loads((FOLDER / case / "transcript.json").read_text("utf-8"))
    mine = [(what, text) for _, who, what, text in transcript if who == client]
    if after_login:
        login = next(number for number, (what, text) in enumerate(mine) if what == "C" and _LOGIN.match(text))
        mine = mine[login + 1 :]
    return [text.encode("latin-1") for what, text in mine if what == kind]


def without_stamps(data: bytes) -> bytes:
    """The bytes without the stamps at line starts."""
    return _STAMP.sub(b"", data)


def normal(data: bytes) -> bytes:
    """The bytes with ``TS`` for each stamp."""
    return _STAMP.sub(b"TS ", data)
