"""``rawlog serve`` in a process of its own, in front of a mail server of the tests.

Knows: a configuration around what a test adds, ports, the log, signals, and where recordings are. Must not know: what
is tested. Everything lies in a directory that every user can reach, because workers give up root.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol

from rawlog.taps import housekeeper, worker
from tests.support.dovecot import free_ports
from tests.support.gateway import Record, eventually, records
from tests.support.peer import SECONDS

LISTENERS = ("imap", "imaps", "pop3", "pop3s", "submission", "submissions", "lmtp", "sieve")
"""The listeners of the configuration below; ``Serving.ports`` has their ports by these names."""

START_TRIES = 5

WORKER = "nobody"
"""Who the workers are where the tests run as root."""

BACKENDS = {
    "imap": "imaps://localhost:{imaps}",
    "pop3": "pop3s://localhost:{pop3s}",
    "submission": "submission+starttls://localhost:{submission}",
    "lmtp": "lmtp+starttls://localhost:{lmtp}",
    "sieve": "sieve+starttls://localhost:{sieve}",
}

CONFIGURATION = """\
protocols = imap pop3 lmtp submission sieve
base_dir = @DIRECTORY@/run
listen = 127.0.0.1
ssl_cert = <@SERVER@/cert.pem
ssl_key = <@SERVER@/key.pem
ssl_client_ca_file = @SERVER@/ca.pem
rawlog_user = @WORKER@
rawlog_workers = 1
rawlog_min_free_space = 0
userdb {
  driver = passwd-file
  args = username_format=%u @SERVER@/users
}
service imap-login {
  inet_listener imap {
    port = @imap@
  }
  inet_listener imaps {
    port = @imaps@
  }
}
service pop3-login {
  inet_listener pop3 {
    port = @pop3@
  }
  inet_listener pop3s {
    port = @pop3s@
  }
}
service submission-login {
  inet_listener submission {
    port = @submission@
  }
  inet_listener submissions {
    port = @submissions@
    ssl = yes
  }
}
service managesieve-login {
  inet_listener sieve {
    port = @sieve@
  }
}
service lmtp {
  inet_listener lmtp {
    port = @lmtp@
  }
}
"""


class MailServer(Protocol):
    """What a server behind the gateway must have: ports by name, and a directory with certificates and users."""

    @property
    def ports(self) -> Mapping[str, int]: ...

    @property
    def directory(self) -> Path: ...


class Serving:
    """``with Serving(server, more) as gateway``: ``more`` is added to the configuration above.

    In it ``@DIRECTORY@`` stands for ``directory``, below which everything of this gateway lies, ``@SERVER@`` for the
    directory of the server behind, ``@WORKER@`` for the user of the workers, ``@imap@`` and so on for ``ports``.
    ``backends`` changes where the protocols lead; None: to no gateway for that protocol.
    """

    def __init__(
        self, server: MailServer, more: str = "", *, backends: Mapping[str, str | None] | None = None, base: str = ""
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rawlog-serve-"))
        self.directory.chmod(0o755)
        self.ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
        self._server = server
        self._backends = BACKENDS | dict(backends or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.configure((base or CONFIGURATION) + more)

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.directory / "rawlog.conf"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The master process."""
        assert self._process is not None
        return self._process

    def configure(self, text: str) -> None:
        """Write the configuration; what runs already reads it at SIGHUP only."""
        for protocol, backend in self._backends.items():
            if backend is not None:
                where = backend.format(**self._server.ports)
                text += f"protocol {protocol} {{\n  rawlog_backend = {where}\n}}\n"
        values = {name: str(port) for name, port in self.ports.items()}
        values |= {"DIRECTORY": str(self.directory), "SERVER": str(self._server.directory), "WORKER": WORKER}
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        self.file.write_text(text)

    def place(self, name: str) -> Path:
        """Make a directory below ``directory`` that the workers can write."""
        path = self.directory / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)
        return path

    def start(self) -> None:
        """Start, and wait until it listens. Ports that were taken meanwhile are chosen anew."""
        (self.directory / "run").mkdir(exist_ok=True)
        for _ in range(START_TRIES):
            with (self.directory / "log").open("wb") as log:
                command = [sys.executable, "-P", "-m", "rawlog", "serve", "-c", str(self.file)]
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
            eventually(lambda: self.process.poll() is not None or " listening on " in self.log())
            if self.process.poll() is None:
                return
            assert "the address is in use" in self.log(), self.log()
            self._choose_ports()
        raise AssertionError(self.log())

    def _choose_ports(self) -> None:
        text = self.file.read_text()
        for name, port in zip(LISTENERS, free_ports(len(LISTENERS)), strict=True):
            text = text.replace(f"port = {self.ports[name]}\n", f"port = {port}\n")
            self.ports[name] = port
        self.file.write_text(text)

    def run(self) -> tuple[int, str]:
        """Start a configuration that can't be served: its exit code, and what it said."""
        command = [sys.executable, "-P", "-m", "rawlog", "serve", "-c", str(self.file)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
        assert not done.stdout
        return done.returncode, done.stderr

    # -- what it did --------------------------------------------------------------------------------------------

    def log(self) -> str:
        """Its log so far."""
        return (self.directory / "log").read_text(errors="replace")

    def ends(self, count: int = 0) -> list[str]:
        """The lines about finished conversations, as soon as there are ``count``."""
        return eventually(lambda: found if len(found := self._ends()) >= count else []) if count else self._ends()

    def records(self, name: str, ended: int) -> list[Record]:
        """The recordings below ``name`` with stamps taken off, when ``ended`` conversations are over."""
        self.ends(ended)
        return records(self.directory / name)

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        named = (worker.NAME, housekeeper.NAME)
        eventually(lambda: all(name in named for _, name in self.children()))  # one that was just forked has no name
        return [pid for pid, name in self.children() if name == worker.NAME]

    def children(self) -> list[tuple[int, str]]:
        """The process ids of the master's children, and what they are called."""
        asked = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        found = []
        for pid in map(int, asked.split()):
            with suppress(OSError):  # it is gone meanwhile
                found.append((pid, Path(f"/proc/{pid}/comm").read_text().strip()))
        return found

    def await_log(self, pattern: str) -> re.Match[str]:
        """Wait until the log holds the pattern."""
        return eventually(lambda: re.search(pattern, self.log()))

    # -- its end ------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End it, and remove its directory."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Serving:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        said = self.log()
        self.stop()
        if kind is None:
            assert "Traceback" not in said, said

    def _ends(self) -> list[str]:
        return [line for line in self.log().splitlines() if " end=" in line]


def rows(path: Path, endings: tuple[str, ...] = (".in", ".out")) -> list[str]:
    """The names of recordings in a directory."""
    return sorted(found.name for found in path.iterdir() if found.suffix in endings)


def stays(look: Callable[[], object], seconds: float = 0.3) -> bool:
    """Whether ``look`` is true, and still is a moment later."""
    until = time.monotonic() + seconds
    while look():
        if time.monotonic() > until:
            return True
        time.sleep(0.02)
    return False


def as_worker(path: Path) -> None:
    """Give a path to the user of the workers."""
    if os.geteuid() == 0:
        import pwd

        entry = pwd.getpwnam(WORKER)
        os.chown(path, entry.pw_uid, entry.pw_gid)
