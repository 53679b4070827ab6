"""What was recorded of one user: which recordings are theirs, and which others mention them.

Knows: three ways to tell: the directory is that user's, the conversation logged in as that user, a mark says so. Must
not know: how files are removed (``stock.py``), what the report looks like.

A recording of a delivery (LMTP) or of somebody else's mail can mention a user and is not theirs. It is found, so that a
person can decide about it, by the bytes of the name; what is encoded (base64) or masked is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from rawlog.dialogue.exchange_pieces import who_is_client
from rawlog.errors import ConfigError, RawlogError
from rawlog.events import Chunk, Mark, Recording
from rawlog.protocols.registry import FRAMERS, framer_for
from rawlog.reading.opener import open_recording
from rawlog.recorder.stock import Fail, Lying, lying_at
from rawlog.settings.configuration import Configuration
from rawlog.settings.variables import safe_component

PIECE = 1 << 20
"""Bytes of a file that are searched at once."""

_USER_VARIABLES = ("user", "home", "uid", "gid")


def names_of(user: str, configuration: Configuration | None) -> frozenset[str]:
    """The names by which a user logs in, in lower case: as given, and as userdb knows it.

    Raises ConfigError when there is none: no name would fit every recording.
    """
    if not user.strip():
        raise ConfigError("the name of the user is empty; give the name at login")
    names = {user}
    if configuration is not None:
        names.add(configuration.userdb().ready(user))
    return frozenset(name.lower() for name in names if name)


def variables_of(user: str, configuration: Configuration) -> list[dict[str, str]]:
    """The variables of directories for a user, under each name. Raises RawlogError when a userdb can't be asked."""
    userdb = configuration.userdb()
    made = []
    for name in dict.fromkeys((user, userdb.ready(user) or user)):
        record = userdb.lookup(name) if userdb.configured else None
        values = {"user": name, "home": (record and record.home) or ""}
        if record is not None:
            values |= {"uid": str(record.uid or ""), "gid": str(record.gid or "")}
        made.append({key: values[key] for key in _USER_VARIABLES if key in values})
    return made


def is_in_own_directory(item: Lying, names: Iterable[str], own: Iterable[str]) -> bool:
    """Whether a recording lies in a directory of that user: one of ``own``, or one that is named like them.

    Of what is above the directory that was named, nothing counts.
    """
    folders = {safe_component(name.encode("utf-8", "surrogateescape")).lower() for name in names}
    return item.directory in own or any(folder.lower() in folders for folder in (Path(item.top).name, *item.folders))


def users_of(path: str) -> Iterator[str]:
    """Who logged in, in lower case, as the recording at ``path`` says. Raises RawlogError when it can't be read."""
    recording = open_recording(path)
    yield from _logins(recording) if recording.protocol in FRAMERS else _marked(recording)


def _logins(recording: Recording) -> Iterator[str]:
    client, events = who_is_client(recording.events)
    framer = framer_for(recording.protocol or "", client=client, hold_limit=None)
    last: str | None = None
    for event in events:
        if isinstance(event, Mark):
            yield from _user_of(event)
            continue
        framer.feed(event.direction, event.data)
        if framer.user and framer.user != last:
            last = framer.user
            yield last.lower()
    for direction in (client, client.other):
        framer.end(direction)
    if framer.user and framer.user != last:
        yield framer.user.lower()


def _marked(recording: Recording) -> Iterator[str]:
    for event in recording.events:
        if not isinstance(event, Chunk):
            yield from _user_of(event)


def _user_of(mark: Mark) -> Iterator[str]:
    if user := mark.detail.get("user"):
        yield user.lower()


def is_of(item: Lying, names: frozenset[str], fail: Fail) -> bool:
    """Whether somebody of these names logged in; ``fail`` is told of what can't be read."""
    try:
        return any(user in names for user in users_of(str(Path(item.directory, item.files[0][0]))))
    except RawlogError as error:
        fail(error)
        return False


def mentions(item: Lying, names: frozenset[str]) -> bool:
    """Whether the bytes of a recording, or its name, hold one of the names as a word, whatever the case."""
    words = b"|".join(re.escape(name.encode("utf-8", "surrogateescape")) for name in sorted(names))
    pattern = re.compile(rb"(?<![A-Za-z0-9])(?:" + words + rb")(?![A-Za-z0-9])", re.IGNORECASE)
    return any(_holds(Path(item.directory, name), pattern) for name, _ in item.files)


def _holds(path: Path, pattern: re.Pattern[bytes]) -> bool:
    rest = b""
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                if pattern.search(rest + piece):
                    return True
                rest = piece[-256:]  # a name is shorter
    except OSError:
        return False  # gone meanwhile, or told already by who read it
    return False


def all_at(places: Iterable[tuple[str, bool]], fail: Fail) -> dict[str, Lying]:
    """The recordings at these places, by path; True with a place means: not below it, for it is one of a recorder's."""
    return {item.path: item for place, only in places for item in lying_at(place, fail, below=not only)}
