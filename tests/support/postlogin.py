"""Rawlog behind the login of a real Dovecot: installed where mail users can run it, and clients that talk there."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.dovecot import MAIL_UID, DovecotServer

T = TypeVar("T")

SOURCE = Path(__file__).parents[2] / "src" / "rawlog"
SERVICE = """\
#!{python} -I
import sys
sys.path.insert(0, "{site}")
from rawlog.cli.service import main
sys.exit(main())
"""
PATIENCE = 10.0
"""Seconds for anything that is waited for: far more than it takes, little enough for a test that fails."""


def python_for_mail_users() -> str:
    """An interpreter that the mail users of the tests can run; skips the test where there is none."""
    found = (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin"))
    for candidate in filter(None, found):
        if os.geteuid() != 0:
            return candidate
        ask = [candidate, "-I", "-S", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        try:
            if subprocess.run(ask, user=MAIL_UID, group=MAIL_UID, extra_groups=[], timeout=10).returncode == 0:
                return candidate
        except OSError:
            continue
    pytest.skip("no Python 3.11 that other users than root can run")


def install(directory: Path) -> Path:
    """Puts the package below ``directory`` as pip does, readable for all; returns its ``libexec/rawlog``."""
    package = directory / "opt" / "lib" / "python3" / "site-packages" / "rawlog"
    shutil.copytree(SOURCE, package)
    binaries = directory / "opt" / "bin"
    binaries.mkdir()
    (binaries / "python3").symlink_to(python_for_mail_users())
    service = binaries / "rawlog-service"
    service.write_text(SERVICE.format(python=sys.executable, site=package.parent))
    service.chmod(0o755)
    for folder, _, files in os.walk(directory / "opt"):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
    return package / "libexec" / "rawlog"


def recording_on(server: DovecotServer, user: str) -> Path:
    """Makes the ``dovecot.rawlog`` of a user."""
    place = server.home(user) / "dovecot.rawlog"
    place.mkdir()
    home = server.home(user).stat()
    os.chown(place, home.st_uid, home.st_gid)
    return place


def pairs(place: Path, prefix: str = "") -> list[tuple[bytes, bytes]]:
    """The recordings in a directory whose names begin with ``prefix``, in the order of their names.

    Both files of a pair are made one after the other, after the login; one that is alone is not there yet.
    """
    begun = (path for path in place.glob("*.in") if path.with_suffix(".out").exists())
    found = sorted(path for path in begun if path.name.startswith(prefix))
    return [(path.read_bytes(), path.with_suffix(".out").read_bytes()) for path in found]


def wait_until(look: Callable[[], T]) -> T:
    """What ``look`` gives as soon as that is true; fails after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not (seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {PATIENCE:g} s"
        time.sleep(0.01)
    return seen


class LineClient:
    """A mail client that says what it is told and reads answers up to a line that begins with what is expected."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self._rest = b""
        self.greeting = self.line()

    def line(self) -> bytes:
        """The next line; b'' at the end."""
        while b"\n" not in self._rest:
            data = self.socket.recv(65536)
            if not data:
                line, self._rest = self._rest, b""
                return line
            self._rest += data
        line, lf, self._rest = self._rest.partition(b"\n")
        return line + lf

    def until(self, beginning: bytes) -> bytes:
        """Everything up to and with the line that begins so."""
        seen = b""
        while line := self.line():
            seen += line
            if line.startswith(beginning):
                return seen
        raise AssertionError(f"the server ended before {beginning!r}: {seen!r}")

    def say(self, data: bytes, beginning: bytes | None = None) -> bytes:
        """Sends, and reads up to the line that begins with ``beginning`` (the tag of an IMAP command by default)."""
        self.socket.sendall(data)
        return self.until(data.split(b" ", 1)[0] + b" " if beginning is None else beginning)

    def to_the_end(self) -> bytes:
        """Everything up to the end of the connection."""
        seen = b""
        while line := self.line():
            seen += line
        return seen

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> LineClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def imap_login(server: DovecotServer, user: str, context: ssl.SSLContext | None = None) -> LineClient:
    """An IMAP client that has logged in; over TLS with a context."""
    client = LineClient(server.imap_port if context is None else server.imaps_port, context)
    client.say(f"a1 LOGIN {user} {server.users[user]}\r\n".encode())
    return client


def pop3_login(server: DovecotServer, user: str, context: ssl.SSLContext | None = None) -> LineClient:
    """A POP3 client that has logged in; over TLS with a context."""
    client = LineClient(server.pop3_port if context is None else server.pop3s_port, context)
    client.say(f"USER {user}\r\n".encode(), b"+OK")
    client.say(f"PASS {server.users[user]}\r\n".encode(), b"+OK")
    return client


def configuration(executable: str, more: str = "", protocols: Sequence[str] = ("imap", "pop3")) -> str:
    """What makes a Dovecot of the tests call ``executable`` behind the login."""
    services = "".join(f"service {name} {{\n  executable = {name} postlogin\n}}\n" for name in protocols)
    return (
        f"{services}service postlogin {{\n  executable = {executable}\n  unix_listener postlogin {{\n  }}\n{more}}}\n"
    )
