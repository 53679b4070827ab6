"""Something with a loop, in a process of its own, for tests that play everybody around it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from rawlog.engine.loop import Loop


class Running:
    """``serve(loop, report)`` is called in the process, which then runs the loop until :meth:`stop`.

    What it keeps alive is what ``serve`` returned. Reports end up in the file ``reports``, errors of handlers too.
    """

    def __init__(self, serve: Callable[[Loop, Callable[[str], None]], object], reports: Path) -> None:
        self._reports = reports
        reports.touch()
        ready, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(serve, tell)
        os.close(tell)
        assert os.read(ready, 1) == b"+", self.told()
        os.close(ready)

    def _run(self, serve: Callable[[Loop, Callable[[str], None]], object], tell: int) -> None:
        try:
            signal.alarm(120)
            loop = Loop()
            loop.on_error = lambda error: self._report(f"error: {error!r}")
            served = serve(loop, self._report)
            loop.add_signal(signal.SIGTERM, loop.stop)
            os.write(tell, b"+")
            loop.run()
            del served
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(0)

    def _report(self, sentence: str) -> None:
        with self._reports.open("a") as file:
            file.write(sentence + "\n")

    def told(self) -> list[str]:
        """What was reported so far."""
        return self._reports.read_text().splitlines()

    def stop(self) -> None:
        """End it."""
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
            self.pid = 0
