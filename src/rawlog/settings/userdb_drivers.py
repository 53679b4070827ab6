"""Sources of users that need nothing but this machine: passwd, passwd-file, static.

Knows: the lines of a passwd-file and the args of each driver, as Dovecot 2.3 reads them.
Must not know: what a section adds to the answer, or who asks.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from rawlog.errors import ConfigError, RawlogError
from rawlog.settings.ids import gid_of, uid_of
from rawlog.settings.usertext import Fields, UserText

#: Largest passwd-file that is read; 100,000 users with long lines take 10 MB.
MAX_FILE = 64 * 1024 * 1024


def passwd(user: str) -> dict[str, str] | None:
    """The system's users: /etc/passwd, and what else nsswitch.conf names."""
    try:
        entry = pwd.getpwnam(user)
    except (KeyError, ValueError):
        return None
    return {
        "system_groups_user": user,
        "uid": str(entry.pw_uid),
        "gid": str(entry.pw_gid),
        "home": entry.pw_dir,
    }


class Static:
    """The same for everybody: ``args = uid=vmail gid=vmail home=/home/%u``. Any name is a user."""

    def __init__(self, args: str) -> None:
        self._fields = Fields(args)
        self._fields.pop("allow_all_users")

    def __call__(self, user: str) -> dict[str, str] | None:
        return self._fields.expand(user)


class PasswdFile:
    """A file of lines ``user:password:uid:gid:gecos:home:shell:extra``; ``userdb_*`` in extra are fields too.

    ``args = [scheme=NAME] [username_format=%u] PATH``; the path may hold ``%d``. The file is read again when it has
    changed.
    """

    def __init__(self, args: str) -> None:
        words = args.split()
        name = "%u"
        while words and words[0].partition("=")[0] in ("scheme", "username_format", "blocking"):
            key, _, value = words.pop(0).partition("=")
            name = value if key == "username_format" else name
        if len(words) != 1 or not words[0].startswith("/"):
            raise ConfigError("args: give the absolute path of the file, as in args = username_format=%u /etc/users")
        self._name = UserText(name)
        self._path = UserText(words[0])
        self._read: dict[str, tuple[tuple[int, int, int], dict[str, str]]] = {}

    def __call__(self, user: str) -> dict[str, str] | None:
        path = self._path.expand(user)
        line = self._lines(path).get(self._name.expand(user, plain=True))
        return None if line is None else _fields(line, user)

    def _lines(self, path: str) -> dict[str, str]:
        """The lines of the file by user; the first line of a user counts."""
        try:
            status = Path(path).stat()
            state = (status.st_mtime_ns, status.st_size, status.st_ino)
            if path not in self._read or self._read[path][0] != state:
                self._read[path] = (state, _by_user(_text(path)))
        except FileNotFoundError:
            if not self._path.fixed:
                return {}
            raise RawlogError(f"userdb passwd-file {path}: no such file: create it, or correct args") from None
        except OSError as error:
            raise RawlogError(f"userdb passwd-file {path}: {error.strerror}: make it readable for this user") from None
        return self._read[path][1]


def _text(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(fd, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        text = file.read(MAX_FILE + 1)
    if len(text) > MAX_FILE:
        raise RawlogError(f"userdb passwd-file {path}: larger than {MAX_FILE} bytes: use driver = sql")
    return text


def _by_user(text: str) -> dict[str, str]:
    lines: dict[str, str] = {}
    for line in text.split("\n"):
        user = line.partition(":")[0]
        if user and not user.startswith("#"):
            lines.setdefault(user, line.rstrip("\r"))
    return lines


def _fields(line: str, user: str) -> dict[str, str] | None:
    """The fields of a line; None where Dovecot leaves it out: only a password, uid or gid root's or of nobody."""
    if line.count(":") < 3:
        return None
    parts = [*line.split(":", 7), *[""] * 7][:8]
    found = {name: parts[at] for name, at in (("uid", 2), ("gid", 3), ("home", 5)) if parts[at]}
    try:
        numbers = [uid_of(found["uid"])] if "uid" in found else []
        numbers += [gid_of(found["gid"])] if "gid" in found else []
    except RawlogError:
        return None
    if 0 in numbers:
        return None
    extra = (word.partition("=") for word in parts[7].split(" ") if word.startswith("userdb_"))
    return found | {name.removeprefix("userdb_"): _expanded(value, user) for name, _, value in extra}


def _expanded(value: str, user: str) -> str:
    """The value for the user; one that holds no usable variable stays as it is: it is data, not configuration."""
    try:
        return UserText(value).expand(user)
    except ConfigError:
        return value
