"""Numbers of users and groups."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from rawlog.errors import RawlogError
from rawlog.settings.ids import gid_of, uid_of


def test_numbers_and_names() -> None:
    own, group = pwd.getpwuid(os.getuid()), grp.getgrgid(os.getgid())
    assert uid_of("5000") == gid_of("5000") == 5000
    assert uid_of(own.pw_name) == own.pw_uid
    assert gid_of(group.gr_name) == group.gr_gid


@pytest.mark.parametrize("value", ["", "nosuchuserhere", "10x", "-1", "4294967296", "a\0b", "²"])
def test_what_is_neither(value: str) -> None:
    for of in (uid_of, gid_of):
        with pytest.raises(RawlogError, match="is no number and no name this system knows"):
            of(value)
