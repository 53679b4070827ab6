"""The first steps of a child of Dovecot's master: is it one, and how does it speak to Dovecot's log.

Knows: the environment of such a child, and the form of a line in the log. Must not know: anything else; it is loaded
before the keepers are forked, and what is loaded then they carry along.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping


def is_child_of_master(environment: Mapping[str, str]) -> bool:
    """Whether Dovecot's master has started this process."""
    return "DOVECOT_CHILD_PROCESS" in environment and "GENERATION" in environment


def say(sentence: str) -> None:
    """One line to standard error; as a warning where Dovecot's log reads it, which calls all other lines errors.

    In its log protocol a line begins with 0x01, the level (1 debug, 2 info, 3 warning, 4 error) and the pid.
    """
    level = f"\1\3{os.getpid()} " if "LOG_SERVICE" in os.environ else ""
    with contextlib.suppress(OSError):  # nobody listens
        os.write(2, f"{level}{sentence}\n".encode(errors="backslashreplace"))
