"""The names of the package: they load when they are used, and ``import rawlog`` loads nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import rawlog


@pytest.mark.parametrize("name", rawlog.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(rawlog, name) is not None
    assert name in dir(rawlog)


def test_a_name_that_is_none() -> None:
    with pytest.raises(AttributeError, match="module 'rawlog' has no attribute 'nothing'"):
        _ = rawlog.nothing


def test_the_package_alone_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import rawlog; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert set(done.stdout.split()) <= {"rawlog", "__future__"}
