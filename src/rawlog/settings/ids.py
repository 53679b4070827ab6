"""Numbers of users and groups, given as a number or as a name of this system.

Knows: the system's user and group tables. Must not know: where a value was written.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable

from rawlog.errors import RawlogError


def uid_of(value: str) -> int:
    """The number of a user. Raises RawlogError when the value is no number and no user of this system."""
    return _number(value, lambda name: pwd.getpwnam(name).pw_uid)


def gid_of(value: str) -> int:
    """The number of a group. Raises RawlogError when the value is no number and no group of this system."""
    return _number(value, lambda name: grp.getgrnam(name).gr_gid)


def _number(value: str, by_name: Callable[[str], int]) -> int:
    if value.isascii() and value.isdigit() and int(value) < 1 << 32:
        return int(value)
    try:
        return by_name(value)
    except (KeyError, ValueError):
        raise RawlogError(f"'{value}' is no number and no name this system knows: correct it in the userdb") from None
