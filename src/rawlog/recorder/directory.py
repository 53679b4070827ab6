"""The directory is the switch: finds it, safely, or says in one sentence why nothing is recorded.

Knows: how to walk to a directory without being led astray by links of other users. Must not know: file names, formats,
conversations. The answer is a value, never an exception: a directory that is missing is the normal case.

Which links are followed. Dovecot follows any (``rawlog_dir``) or refuses the last one (``dovecot.rawlog`` of the
``rawlog`` program). Here a symbolic link is followed when root or the process's own user made it, wherever it stands
in the path; a link of anybody else could lead the recording into a directory of their choice, so it is refused,
whatever ``fs.protected_symlinks`` says. The last component of a ``dovecot.rawlog`` path must be a directory itself, as
in Dovecot. Each component is opened relative to the one before and asked for its owner by its descriptor: swapping
things while we walk changes nothing. Owner and mode of the directory are the operator's affair: files in it are made
new, 0600.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from rawlog.errors import ConfigError

if TYPE_CHECKING:
    from rawlog.settings.variables import Template  # who makes one has loaded it; the keepers don't

LINKS_LIMIT = 40
"""Links in one path: the kernel's own limit, so that a circle ends."""

_PATH_ONLY: int | None = getattr(os, "O_PATH", None)  # Linux; it asks for no right to read the directory
_COMPONENT = os.O_NOFOLLOW | os.O_CLOEXEC | (_PATH_ONLY or 0)


class NotRecorded(NamedTuple):
    """Why a conversation is not recorded, as one sentence that names the path and says what to do.

    ``expected`` is True when nobody asked for a recording (no such directory, no home): a matter for ``doctor`` and
    debug logs. False means that somebody wanted one and something is in the way. ``denied``: the system said that
    this user may not make the files.
    """

    reason: str
    expected: bool = False
    denied: bool = False

    def __str__(self) -> str:
        return self.reason


def shown(path: str) -> str:
    """A path as it may stand in a message: anything a terminal could act on is escaped."""
    return path if path.isprintable() else ascii(path)[1:-1]


def resolve(template: Template, values: Mapping[str, str | bytes]) -> str | NotRecorded:
    """The path for these values, or the reason when there is none: the user has no home, or a useless one."""
    try:
        return template.expand(values)
    except ConfigError as error:
        return NotRecorded(str(error), expected=not values.get("home"))


def open_directory(path: str, *, follow_last: bool = True) -> int | NotRecorded:
    """A descriptor of the directory, for making files relative to it; the caller closes it.

    ``follow_last`` False: the last component must not be a link at all.
    """
    if not path.startswith("/"):
        return NotRecorded(f"{shown(path)}: not an absolute path; give one that begins with /")
    try:
        if _PATH_ONLY is None:
            os.lstat(path)
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow_last else os.O_NOFOLLOW))
        here = _without_links(path)
        return _walk(path, follow_last) if here is None else here
    except _RefusedError as refused:
        return NotRecorded(refused.args[0])
    except (OSError, ValueError) as error:
        return _why(path, error)


class _RefusedError(Exception):
    """A component that is not trusted, with the sentence to show."""


def _without_links(path: str) -> int | None:
    """The directory, where no link is on the way to it: two calls instead of three for each component.

    The kernel knows where a descriptor is. A directory that is at this very path, and not only reached by it, is the
    one that a walk past all links comes to. None: there may be a link, which has to be looked at. Raises
    FileNotFoundError, the usual answer for a user who is not recorded.
    """
    try:
        found = os.open(path, _COMPONENT | os.O_DIRECTORY)
    except FileNotFoundError:
        raise
    except OSError:
        return None
    try:
        if os.readlink(f"/proc/self/fd/{found}") == path:  # noqa: PTH115 - at every login
            return found
    except OSError:  # no /proc
        pass
    os.close(found)
    return None


def _walk(path: str, follow_last: bool) -> int:
    """Opens one component after the other. Raises OSError or _RefusedError."""
    todo = _parts(path)
    links = 0
    here = os.open("/", _COMPONENT)
    try:
        while todo:
            found = os.open(todo.pop(), _COMPONENT, dir_fd=here)
            if stat.S_ISLNK(os.fstat(found).st_mode):
                if not todo and not follow_last:
                    os.close(found)
                    raise _RefusedError(f"{shown(path)} is a symbolic link; it must be a directory itself")
                target = _read_link(found, path)
                links += 1
                if links > LINKS_LIMIT:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                todo += _parts(target)
                if not target.startswith("/"):
                    continue
                found = os.open("/", _COMPONENT)
            os.close(here)
            here = found
        if not stat.S_ISDIR(os.fstat(here).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except BaseException:
        os.close(here)
        raise
    return here


def _parts(path: str) -> list[str]:
    """The components, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _read_link(link: int, path: str) -> str:
    """Where a link leads, if its maker may be trusted. Closes the descriptor of the link."""
    try:
        owner = os.fstat(link).st_uid
        if owner not in (0, os.geteuid()):
            raise _RefusedError(
                f"{shown(path)}: a symbolic link in it belongs to uid {owner}; "
                "put a directory there, or let root make the link"
            )
        return os.readlink("", dir_fd=link)
    finally:
        os.close(link)


def _why(path: str, error: OSError | ValueError) -> NotRecorded:
    """The sentence for what the system answered on the way to the directory."""
    where, user = shown(path), os.geteuid()
    code = error.errno if isinstance(error, OSError) else errno.EINVAL
    if code == errno.ENOENT:
        return NotRecorded(f"{where}: no such directory; make it (mkdir) to record", expected=True)
    if code == errno.ENOTDIR:
        return NotRecorded(f"{where} is not a directory; put a directory there")
    if code == errno.EACCES:
        return NotRecorded(f"{where} can't be reached by uid {user}; let this user search (x) the directories above it")
    return NotRecorded(f"{where} can't be opened: {os.strerror(code or errno.EIO)}")
