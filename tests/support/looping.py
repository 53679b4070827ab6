"""A loop that runs until something is so, and fails when it never is. Errors of handlers fail the test too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rawlog.engine.loop import Loop

PATIENCE = 10.0


class Turning:
    """``loop``, and what was reported in it (``told``)."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.told: list[str] = []
        self.errors: list[BaseException] = []
        self.loop.on_error = self.errors.append

    def until(self, condition: Callable[[], object]) -> None:
        """Run until ``condition()`` is true; it is looked at after each wake-up, and 100 times a second."""
        over: list[bool] = []
        limit = self.loop.call_later(PATIENCE, lambda: over.append(True))

        def look() -> None:
            if condition() or over or self.errors:
                self.loop.stop()
            else:
                self.loop.call_later(0.01, look)

        look_first = self.loop.call_later(0, look)
        self.loop.run()
        limit.cancel()
        look_first.cancel()
        if self.errors:
            raise self.errors[0]
        assert condition(), f"not within {PATIENCE:g} s"

    def a_while(self, seconds: float = 0.05) -> None:
        """Run for a moment, in which something is not expected to happen."""
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.run()
        if self.errors:
            raise self.errors[0]


@contextmanager
def turning() -> Iterator[Turning]:
    """A loop for one test."""
    made = Turning()
    try:
        yield made
    finally:
        made.loop.close()
