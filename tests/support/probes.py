"""What a process that has lost its mind would try, each as a call that has to fail.

Knows: files, programs, the network, other processes. Must not know: which process tries it. ``stage`` makes what is
tried on; ``tried`` tries everything and tells what worked.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from rawlog.engine.confine import landlock_version

needs_landlock = pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")
needs_network_rules = pytest.mark.skipif(landlock_version() < 4, reason="Landlock knows TCP from Linux 6.7 on")

STEM = "20261101-104500.77.1"
READS = ("read a secret", "read a recording", "read a device", "list a directory")
CHANGES = (
    "overwrite a file",
    "truncate a file",
    "remove a recording",
    "remove a directory",
    "rename a recording",
    "make a directory",
    "make a link",
    "make a second name",
    "make a pipe",
    "make a device",
    "make a unix socket",
    "make a file elsewhere",
)
NETWORK = ("connect", "listen")
PROGRAMS = ("execute a program",)
EVERYTHING = (*READS, *CHANGES, *NETWORK, *PROGRAMS)


class Stage:
    """``raw`` holds a recording, ``other`` a secret; somebody listens at ``port``. Anybody may do anything there."""

    def __init__(self, top: Path) -> None:
        self.raw, self.other, self.empty = top / "raw", top / "other", top / "raw" / "empty"
        for directory in (self.raw, self.other, self.empty):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o777)
        self.recording, self.secret = self.raw / f"{STEM}.in", self.other / "secret"
        for path in (self.recording, self.secret):
            path.write_text("x")
            path.chmod(0o666)
        for path in (top, *top.parents):
            with suppress(PermissionError):
                path.chmod(path.stat().st_mode | 0o111)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._probes: dict[str, Callable[[], object]] = {
            "read a secret": self.secret.read_bytes,
            "read a recording": self.recording.read_bytes,
            "read a device": lambda: os.close(os.open("/dev/zero", os.O_RDONLY)),
            "list a directory": lambda: list(self.other.iterdir()),
            "overwrite a file": lambda: os.close(os.open(self.secret, os.O_WRONLY)),
            "truncate a file": lambda: os.truncate(self.secret, 0),
            "remove a recording": self.recording.unlink,
            "remove a directory": self.empty.rmdir,
            "rename a recording": lambda: self.recording.rename(self.raw / "new"),
            "make a directory": (self.raw / "directory").mkdir,
            "make a link": lambda: (self.raw / "link").symlink_to("/etc/passwd"),
            "make a second name": lambda: (self.raw / "name").hardlink_to(self.secret),
            "make a pipe": lambda: os.mkfifo(self.raw / "pipe"),
            "make a device": lambda: os.mknod(self.raw / "null", 0o20600, os.makedev(1, 3)),
            "make a unix socket": lambda: socket.socket(socket.AF_UNIX).bind(str(self.raw / "socket")),
            "make a file elsewhere": lambda: _create(self.other / "file"),
            "connect": lambda: socket.socket().connect(("127.0.0.1", self.port)),
            "listen": lambda: socket.socket().bind(("127.0.0.1", 0)),
            "execute a program": lambda: _execute("/bin/true"),
        }

    def tried(self, names: Iterable[str]) -> list[str]:
        """The names of those that worked."""
        return [name for name in names if _works(self._probes[name])]

    def close(self) -> None:
        self.listener.close()


def in_a_process(what: Callable[[], object]) -> str:
    """What a forked process has to say."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writer, repr(what()).encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said


def state_of(pid: int) -> dict[str, str]:
    """What the kernel says about a process: ``NoNewPrivs``, ``CapEff``, ``Uid``, ``core`` (the limit of its dumps)."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (core,) = (line for line in limits if line.startswith("Max core file size"))
    return {**status, "core": core.split()[4]}


def own_state() -> dict[str, int]:
    """The same of this process, which may not be able to ask the file system; ``dumpable``: others may inspect it."""
    prctl = ctypes.CDLL(None).prctl
    core = max(resource.getrlimit(resource.RLIMIT_CORE))
    return {"no_new_privs": prctl(39, 0, 0, 0, 0), "core": core, "dumpable": prctl(3, 0, 0, 0, 0)}


CLOSED = {"no_new_privs": 1, "core": 0, "dumpable": 0}
"""How it is to be."""


def _works(probe: Callable[[], object]) -> bool:
    try:
        probe()
    except OSError:
        return False
    return True


def _create(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _execute(program: str) -> None:
    """In a child, which tells by its exit code whether it could."""
    pid = os.fork()
    if not pid:
        try:
            os.execve(program, ["true"], {})
        except OSError:
            os._exit(77)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 77:
        raise PermissionError
