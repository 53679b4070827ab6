"""The handle of the embedded mail server: starts its process, knows its ports, stops it.

Knows: how the process is started, what it says when it is ready, how it is told to end. Must not know: mail; and it
imports nothing of the extra ``[demo]``, so a program that only may start a demo server pays nothing for it.

The server is a child process because it then can't share a lock, a signal handler or an event loop with what is being
demonstrated or tested. It ends when its standard input is closed, so it never outlives the process that started it.
"""

from __future__ import annotations

import importlib.util
import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from rawlog.errors import RawlogError

USERS: Mapping[str, str] = {"alice@example.com": "wonderland", "bob@example.com": "builder"}
"""Names and passwords of the demo users. They are no secret: the server holds nothing and listens on 127.0.0.1."""

READY_SECONDS = 30.0
"""Longest wait for the server to be ready: half a second is enough on an idle machine, and test machines are not."""

STOP_SECONDS = 5.0
"""Longest wait for the server to end by itself before it is killed."""

NEEDED = {"pymap": "pymap", "sievelib": "sievelib", "aiosmtpd": "aiosmtpd", "trustme": "trustme"}


class DemoServer:
    """A mail server for a demonstration or a test: ``with DemoServer() as server: server.ports["imaps"]``.

    ``ports`` has ``imap`` (with STARTTLS), ``imaps``, ``pop3`` (with STLS), ``pop3s``, ``submission`` (STARTTLS is
    required before AUTH), ``submissions``, ``lmtp`` (with STARTTLS) and ``sieve`` (STARTTLS is required before
    AUTHENTICATE). All are free ports of 127.0.0.1, chosen at each start.

    The certificate is for ``localhost`` and ``127.0.0.1``; whoever trusts ``ca_file`` can verify it. ``cert_file`` and
    ``key_file`` may be used by a second listener, for instance a gateway in front of this server.

    Mail to one of ``users`` lies in memory and is gone when the server stops.
    """

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.users = dict(USERS)
        self.user, self.password = next(iter(USERS.items()))
        self.ports: dict[str, int] = {}
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def directory(self) -> Path:
        """The directory of the running server: its certificates and its log."""
        if self._directory is None:
            raise RawlogError("demo server: it is not running; call start() first")
        return Path(self._directory.name)

    @property
    def ca_file(self) -> Path:
        """PEM file of the authority that signed the server's certificate."""
        return self.directory / "ca.pem"

    @property
    def cert_file(self) -> Path:
        """PEM file of the server's certificate (with its chain)."""
        return self.directory / "cert.pem"

    @property
    def key_file(self) -> Path:
        """PEM file of the private key that belongs to ``cert_file``."""
        return self.directory / "key.pem"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise RawlogError("demo server: it is not running; call start() first")
        return self._process.pid

    def log(self) -> str:
        """What the server wrote to its standard error so far."""
        return (self.directory / "server.log").read_text(errors="replace")

    def start(self) -> None:
        """Start the server and wait until every port listens.

        Raises RawlogError when the extra ``[demo]`` is missing, or when the server does not get ready.
        """
        require_extra()
        self._directory = tempfile.TemporaryDirectory(prefix="rawlog-demo-")
        try:
            self._process = self._spawn()
            self.ports = self._await_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and remove its directory. Does nothing when it is not running."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
        directory, self._directory = self._directory, None
        if directory is not None:
            directory.cleanup()
        self.ports = {}

    def __enter__(self) -> DemoServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self.directory / "server.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "rawlog.demo", str(self.directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                process_group=0,  # a Ctrl-C in the terminal is for the parent, which then closes our standard input
            )

    def _await_ready(self, process: subprocess.Popen[bytes]) -> dict[str, int]:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
        line = process.stdout.readline() if readable else b""
        if not line:
            why = (self.log().strip().splitlines() or [f"nothing heard from it in {READY_SECONDS:.0f} seconds"])[-1]
            raise RawlogError(f"demo server: it did not start: {why}")
        ports: dict[str, int] = json.loads(line)["ports"]
        return ports


def require_extra() -> None:
    """Raise RawlogError, with the command that helps, unless everything of the extra ``[demo]`` is installed."""
    missing = [name for name, module in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise RawlogError(
            f"demo server: {', '.join(missing)} not installed; run: {sys.executable} -m pip install 'rawlog[demo]'"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
