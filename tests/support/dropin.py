"""Runs the drop-in as script-login does, with the test as client and as mail process. No Dovecot is needed."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.dovecot import MAIL_UID
from tests.support.postlogin import PATIENCE, install, python_for_mail_users, wait_until

NAME = re.compile(r"([0-9a-fA-F.:]+-)?[0-9]{8}-[0-9]{6}-[0-9]+\.(in|out)")
"""Dovecot's names of recordings by the ``rawlog`` program."""

PROGRAM = r"""
import json, os, socket, sys
entries = open("/proc/self/environ").read().split("\0")
found = {"environment": dict(entry.split("=", 1) for entry in entries if entry),
         "arguments": sys.argv[1:], "pid": os.getpid(),
         "blocking": [os.get_blocking(0), os.get_blocking(1)],
         "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))}
with socket.socket(fileno=3) as mail_process:
    socket.send_fds(mail_process, [json.dumps(found).encode() + b"\n"], [1])
"""
"""Stands for the end of script-login: gives its descriptor 1 to the mail process, and tells what it was given."""


START = """\
import sys
sys.path[:0] = [sys.argv.pop(1)]
from rawlog.taps.dropin import main
sys.exit(main(sys.argv[1:]))
"""


class House:
    """The package where mail users can run it, and a home of one of them. For a whole module of tests."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rawlog-dropin-"))
        self.directory.chmod(0o755)
        self.python = python_for_mail_users()
        self.stub = install(self.directory)
        self.root = os.geteuid() == 0
        self.home = self.directory / "home"
        self.home.mkdir()
        self.place = self.home / "dovecot.rawlog"
        self.place.mkdir()
        if self.root:
            os.chown(self.home, MAIL_UID, MAIL_UID)
            os.chown(self.place, MAIL_UID, MAIL_UID)

    def environment(self) -> dict[str, str]:
        """What script-login leaves of the environment."""
        return {
            "LOCAL_IP": "127.0.0.1",
            "IP": "192.0.2.7",
            "USER": "alice@example.com",
            "UID": str(MAIL_UID),
            "GID": str(MAIL_UID),
            "HOME": str(self.home),
            "AUTH_MECH": "PLAIN",
            "AUTH_TOKEN": "0123456789abcdef",
            "USERDB_KEYS": "UID GID HOME AUTH_MECH AUTH_TOKEN ",
        }

    def command(self, *, stub: bool) -> list[str]:
        """How the drop-in is started: by the shell's stub, or at once."""
        if stub:
            return [str(self.stub)]
        return [self.python, "-I", "-S", "-E", "-c", START, str(self.stub.parents[2])]

    def empty(self) -> None:
        """No recordings."""
        for path in self.place.iterdir():
            path.unlink()

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


class Login:
    """One login: the drop-in runs with ``options``, then PROGRAM. ``client`` and ``server`` are the test's two ends.

    ``told`` is what PROGRAM saw; None when ``program`` is something else.
    """

    def __init__(
        self,
        house: House,
        *options: str,
        environment: Mapping[str, str] | None = None,
        stub: bool = False,
        program: Sequence[str] | None = None,
    ) -> None:
        self.house = house
        self.client, inner = socket.socketpair()
        self.client.settimeout(PATIENCE)
        inner.setblocking(False)  # as Dovecot gives it
        mail_process, comm = socket.socketpair()
        mail_process.settimeout(PATIENCE)
        self.mail_process = mail_process
        words = [*house.command(stub=stub), *options]
        words += program or [house.python, "-I", "-S", "-c", PROGRAM, "argument with blank"]
        self.process = start(words, house, inner, comm, house.environment() if environment is None else environment)
        inner.close()
        comm.close()
        self.server, self.told = (None, None) if program else self._told()

    def _told(self) -> tuple[socket.socket, dict[str, object]]:
        import json

        data, fds, _, _ = socket.recv_fds(self.mail_process, 65536, 1)
        assert data, f"the login was refused: {self.errors()}"
        while not data.endswith(b"\n") and (more := self.mail_process.recv(65536)):
            data += more
        server = socket.socket(fileno=fds[0])
        server.settimeout(PATIENCE)
        return server, json.loads(data)

    def errors(self) -> str:
        """What was said to standard error, once the program has ended."""
        _, said = self.process.communicate(timeout=PATIENCE)
        return said.decode()

    def say(self, data: bytes) -> None:
        """The client says something, and the mail process has heard it."""
        assert self.server is not None
        self.client.sendall(data)
        assert received(self.server, len(data)) == data

    def answer(self, data: bytes) -> None:
        """The mail process says something, and the client has heard it."""
        assert self.server is not None
        self.server.sendall(data)
        assert received(self.client, len(data)) == data

    def end(self) -> None:
        """Both sides go."""
        for one in (self.client, self.server, self.mail_process):
            if one is not None:
                one.close()

    def recording(self, ending: str = "in") -> bytes:
        """What a file of the only recording holds, once nobody has it open any more."""
        (path,) = self.house.place.glob(f"*.{ending}")
        wait_until(lambda: not _open_by_anyone(path))
        return path.read_bytes()


def received(sock: socket.socket, size: int) -> bytes:
    """Exactly ``size`` bytes, or what came before the end."""
    data = b""
    while len(data) < size and (more := sock.recv(size - len(data))):
        data += more
    return data


def start(
    words: Sequence[str], house: House, client: socket.socket, comm: socket.socket, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Descriptors 0 and 1: the client; 3: the mail process."""

    def places() -> None:
        os.dup2(comm.fileno(), 3)
        os.set_inheritable(3, True)

    return subprocess.Popen(
        words,
        stdin=client,
        stdout=client,
        stderr=subprocess.PIPE,
        env=dict(environment),
        preexec_fn=places,
        pass_fds=(3,),
        cwd=house.directory,
        umask=0o077,
        **({"user": MAIL_UID, "group": MAIL_UID, "extra_groups": [MAIL_UID]} if house.root else {}),  # type: ignore[arg-type]
    )


def _open_by_anyone(path: Path) -> bool:
    info = path.stat()
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            other = entry.stat()
        except OSError:
            continue
        if (other.st_dev, other.st_ino) == (info.st_dev, info.st_ino):
            return True
    return False


def package_for_root(directory: Path) -> str:
    """A copy of the package in a directory that only its owner can enter: for PYTHONPATH."""
    closed = directory / "closed"
    shutil.copytree(Path(python_path()) / "rawlog", closed / "rawlog", ignore=shutil.ignore_patterns("__pycache__"))
    closed.chmod(0o700)
    return str(closed)


def python_path() -> str:
    """The sources, for a process of the tests."""
    return str(Path(sys.modules["rawlog"].__file__ or "").parents[1])
