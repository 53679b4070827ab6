"""Places on the disk that another user may have prepared. For tests that act as two users, which takes root."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534
STRANGER = 65533
OPEN = Path("/proc/self/fd")


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """Runs the block with another effective uid. Skips the test when this process is not root."""
    if os.geteuid() != 0:
        pytest.skip("acting as another user takes root")
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def ids_given_back() -> Iterator[None]:
    """Runs a block that may leave this process with other effective ids and groups, and takes its own again."""
    groups = os.getgroups()
    try:
        yield
    finally:
        os.setresuid(-1, os.getuid(), -1)
        os.setresgid(-1, os.getgid(), -1)
        if os.getgroups() != groups:
            os.setgroups(groups)


@contextmanager
def shared_directory() -> Iterator[Path]:
    """A directory that every user can reach (pytest's own are closed to others); its mode is 0755."""
    place = Path(tempfile.mkdtemp(prefix="rawlog-"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(list(OPEN.iterdir())) if OPEN.exists() else 0
