"""What the processes of ``rawlog serve`` and ``tap`` may still do once they have begun their work, from the settings.

Knows: where recordings go and users are looked up. Must not know: how the kernel is told (engine/confine.py), what a
process does. Each list is as short as its work allows.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Collection, Iterator
from pathlib import Path

from rawlog.engine.confine import CREATE, MAKE_DIR, READ, READ_DIR, REMOVE_FILE, Rules
from rawlog.engine.roles import homes, runtime
from rawlog.recorder.roots import templates
from rawlog.settings.configuration import Configuration
from rawlog.settings.variables import Template

_AUTHORITIES = ("/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/ssl/certs", "/etc/pki")
_FIXED = re.compile(r"(?:[^%]|%%)*")

Files = Iterator[tuple[str, int]]


def serving(configuration: Configuration, directories: Collection[str], ports: Collection[int]) -> Rules:
    """For a worker: it makes files below the directories of recordings, and connects to the servers behind it.

    ``directories``: more of them, besides those of the settings. ``ports``: those of the servers.
    """
    makes = [*_places(configuration), *map(_fixed, directories)]
    by_users = any(section.driver in ("passwd-file", "sql") for section in configuration.userdbs)
    if by_users or any("rawlog_dir=" in section.args for section in configuration.userdbs):
        makes += homes()  # a field rawlog_dir of the user database can name any directory
    files = [*runtime(), *_authorities(configuration), *_userdbs(configuration)]
    databases = any(section.driver == "sql" for section in configuration.userdbs)
    return Rules([*files, *((path, CREATE | READ_DIR) for path in makes)], connect=None if databases else ports)


def tapping(directory: Template, ports: Collection[int], sockets: Collection[str]) -> Rules:
    """For ``rawlog tap``: it makes directories and files below ``directory``, and removes its own unix ``sockets``."""
    makes = homes() if directory.text.startswith("%h") else [_fixed(directory.text)]
    files = [*runtime(), *((path, READ) for path in authorities())]
    files += [(path, CREATE | READ_DIR | MAKE_DIR) for path in makes]
    return Rules([*files, *((str(Path(path).parent), REMOVE_FILE) for path in sockets)], connect=ports)


def housekeeping(configuration: Configuration) -> Rules:
    """For the housekeeper: it lists and removes recordings. It makes none, and speaks with nobody."""
    rights = READ | REMOVE_FILE  # to read: the system is asked by a descriptor whether somebody writes a file
    return Rules([*runtime(), *((path, rights) for path in _places(configuration))])


def _places(configuration: Configuration) -> Iterator[str]:
    """The directories beneath which the settings let recordings be made, as far as they are fixed."""
    for template in templates(configuration):
        if template.text.startswith(("%h", "%{home}")):
            yield from homes()
        else:
            yield _fixed(template.text)


def _fixed(text: str) -> str:
    """The directory that stays the same while those of users, or the last one, come and go."""
    match = _FIXED.match(text)
    assert match is not None
    path = match[0].replace("%%", "%")
    if match[0] == text:
        path = path.rstrip("/")
        if path.count("/") == 1:
            return path  # it is in /, beneath which is everything
    here = Path(path.rpartition("/")[0] or "/")
    return str(next(place for place in (here, *here.parents) if place.is_dir()))


def _authorities(configuration: Configuration) -> Files:
    """Certificates of authorities in directories, which are read when a server shows one of theirs."""
    given = {settings.ssl_client_ca_dir for settings in configuration.protocols.values()} - {""}
    yield from ((path, READ) for path in (*authorities(), *sorted(given)))


def authorities() -> list[str]:
    """Where the system keeps certificates of authorities."""
    default = ssl.get_default_verify_paths()
    return sorted({*_AUTHORITIES, default.openssl_capath, default.openssl_cafile})


def _userdbs(configuration: Configuration) -> Files:
    for section in configuration.userdbs:
        if section.driver == "sql":  # what the database's own library needs is not known here
            yield "/", READ
        elif section.driver == "passwd-file" and section.args.split():
            yield _fixed(section.args.split()[-1]), READ
