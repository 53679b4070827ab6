"""What tests with real servers share: ``rawlog serve`` in front of the Dovecot of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.dovecot import DovecotServer
    from tests.support.serving import Serving


@pytest.fixture
def serve(dovecot: DovecotServer) -> Iterator[Callable[..., Serving]]:
    """A gateway in front of Dovecot that is not started yet: ``with serve(more) as gateway``; see Serving."""
    from tests.support.serving import Serving

    with ExitStack() as stack:

        def make(more: str = "", **words: object) -> Serving:
            gateway = Serving(dovecot, more, **words)  # type: ignore[arg-type]
            stack.callback(gateway.stop)
            return gateway

        yield make
