"""What fuzzing begins with: the conversations and golden recordings of the other tests, as inputs.

Knows: where they are, and their form as inputs (shape.py). Must not know: targets.
"""

from __future__ import annotations

import re
from functools import cache

from rawlog.events import Direction
from tests.fuzz.shape import data_of
from tests.support.conversation import conversations
from tests.support.golden import FOLDER, files

PROTOCOLS = ("imap", "pop3", "smtp", "lmtp", "managesieve")

_WORD = re.compile(rb"[A-Za-z][A-Za-z0-9.+-]{1,19}|[^A-Za-z0-9\s]{1,3}")
_WORDS = 400


@cache
def talks(protocol: str) -> tuple[bytes, ...]:
    """The conversations of a protocol; of LMTP also those of SMTP, whose commands it shares."""
    folders = ("lmtp", "smtp") if protocol == "lmtp" else (protocol,)
    return tuple(data_of(talk.pieces) for folder in folders for talk in conversations(folder) if not _is_away(talk))


def _is_away(talk: object) -> bool:
    return getattr(talk, "client", Direction.IN) is not Direction.IN


@cache
def words(*texts: bytes) -> tuple[bytes, ...]:
    """The words of some inputs, each once: a dictionary."""
    found = dict.fromkeys(word for text in texts for word in _WORD.findall(text))
    return tuple(found)[:_WORDS]


@cache
def recorded(*suffixes: str) -> tuple[bytes, ...]:
    """The golden files with one of the suffixes, each content once."""
    return tuple(dict.fromkeys(path.read_bytes()[:4096] for path in files(*suffixes)))


@cache
def names() -> tuple[bytes, ...]:
    """The names of golden files."""
    return tuple(dict.fromkeys(path.name.encode() for path in FOLDER.rglob("*") if path.is_file()))
