"""The errors of the house.

Knows: three words. Each message names the thing, the place and what to do; a command prints it as one line.
Must not know: anything else. Errors of a recording being made never travel as exceptions into a conversation.
"""

from __future__ import annotations


class RawlogError(Exception):
    """Something the person in front of the screen can act on. ``str()`` of it is one complete line."""


class FormatError(RawlogError):
    """A recording is not what its format says. The message begins with the file and the line or offset."""


class ConfigError(RawlogError):
    """A setting, option or configuration file is wrong. The message begins with ``FILE:LINE:`` where there is one."""
