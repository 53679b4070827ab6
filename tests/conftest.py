"""What every test may ask for: mail servers to talk to. And how properties are tried.

A server is started at most once in each test process, when the first test asks for it, and only what it needs is
imported. Helpers that are no fixtures are modules of ``tests.support``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from rawlog.demo import DemoServer
    from tests.support.dovecot import DovecotServer

# The same examples in every run: a change fails when it is made, not on some later day. New ones are looked for when
# RAWLOG_EXAMPLES says how many. No deadline: the machine may be busy.
settings.register_profile("steady", derandomize="RAWLOG_EXAMPLES" not in os.environ, deadline=None)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def demo_server() -> Iterator[DemoServer]:
    """The embedded mail server, shared by the tests of this process: expect other tests' mail in it."""
    from rawlog.demo import DemoServer

    with DemoServer() as server:
        yield server


@pytest.fixture(scope="session")
def dovecot_installed() -> None:
    """Skips the test where no Dovecot can be started, and says why."""
    from tests.support.dovecot import why_missing

    reason = why_missing()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def dovecot(dovecot_installed: None) -> Iterator[DovecotServer]:
    """A real Dovecot, shared by the tests of this process: expect other tests' mail and recordings in it."""
    from tests.support.dovecot import DovecotServer

    with DovecotServer() as server:
        yield server


@pytest.fixture
def dovecot_server(dovecot_installed: None) -> Iterator[Callable[[str], DovecotServer]]:
    """Starts a Dovecot for this test alone: ``dovecot_server(extra_conf)``; see DovecotServer for what may be in it."""
    from tests.support.dovecot import DovecotServer

    with ExitStack() as stack:
        yield lambda extra_conf="": stack.enter_context(DovecotServer(extra_conf))
