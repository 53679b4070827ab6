"""A Dovecot of the tests with the post-login service, and what can be seen of both from outside."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.dovecot import DovecotServer
from tests.support.postlogin import configuration, install, recording_on, wait_until

SERVICE = "@DIRECTORY@/opt/bin/rawlog-service"
ALICE, BOB, CAROL, NOHOME = "alice@example.com", "bob@example.com", "carol@example.com", "nohome@example.com"


@contextmanager
def starting() -> Iterator[Callable[..., DovecotServer]]:
    """Gives what starts a Dovecot with the service: ``start(options, more, service)``; alice is recorded there."""
    with ExitStack() as stack:

        def start(options: str = "-t", more: str = "", service: str = "") -> DovecotServer:
            server = DovecotServer(configuration(f"{SERVICE} {options}", service) + more)
            install(server.directory)
            stack.enter_context(server)
            recording_on(server, ALICE)
            return server

        yield start


def place(server: DovecotServer) -> Path:
    return server.home(ALICE) / "dovecot.rawlog"


def last(server: DovecotServer, saying: bytes) -> tuple[bytes, bytes]:
    """The recording of the last login, when that is in the server's last line. Its files are made after the answer."""

    def look() -> tuple[bytes, bytes] | None:
        logins = re.findall(rf"Login: user=<{ALICE}>.* mpid=(\d+)", server.log())
        found = list(place(server).glob(f"*-{logins[-1]}.out")) if logins else []
        said = found[-1].read_bytes() if found else b""
        if saying not in b"".join(said.splitlines()[-1:]):
            return None
        return found[-1].with_suffix(".in").read_bytes(), said  # what is written first is read last

    pair = wait_until(look)
    assert pair is not None, server.log()
    return pair


def service_pids(server: DovecotServer) -> list[int]:
    """The service processes that Dovecot's master has started."""
    return children(server.pid, "rawlog-service")


def children(pid: int, *name: str) -> list[int]:
    """Processes that ``pid`` has forked, with ``name`` in their command line."""
    asked = subprocess.run(["pgrep", "-P", str(pid), "-f", *(name or (".",))], capture_output=True, text=True)
    return [int(word) for word in asked.stdout.split()]
