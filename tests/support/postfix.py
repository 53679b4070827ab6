"""A real Postfix for tests: own configuration, own queue, own port on 127.0.0.1, own processes.

Knows: how a Postfix is configured, started in the foreground and stopped. It takes root. Must not know: Rawlog.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from tests.support.dovecot import free_ports, search_path
from tests.support.peer import dial

READY_SECONDS = 20.0
STOP_SECONDS = 10.0

MAIN = """\
compatibility_level = 3.6
queue_directory = @DIRECTORY@/queue
data_directory = @DIRECTORY@/data
maillog_file = @DIRECTORY@/log
maillog_file_prefixes = @DIRECTORY@
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.example.com
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtputf8_enable = yes
smtpd_tls_cert_file = @CERTIFICATE@
smtpd_tls_key_file = @KEY@
smtpd_tls_security_level = may
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_authorized_xforward_hosts = 127.0.0.0/8
minimal_backoff_time = 300s
"""
"""Mail from this machine is taken, and whoever connects from it may say by XCLIENT that he is somebody else."""

MASTER = """\
127.0.0.1:@PORT@ inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def why_missing() -> str | None:
    """Why no Postfix can be started here, as the reason of a skipped test; None when it can."""
    if shutil.which("postfix", path=search_path()) is None:
        return "postfix is not installed (make test installs it on Debian and Ubuntu)"
    return None if os.geteuid() == 0 else "a Postfix of the tests takes root"


class Postfix:
    """``with Postfix(more, certificate, key) as postfix``: listens on ``postfix.port``; ``more`` goes into main.cf."""

    def __init__(self, more: str, certificate: Path, key: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rawlog-postfix-"))
        (self.port,) = free_ports(1)
        self._values = {"CERTIFICATE": certificate, "KEY": key, "PORT": self.port, "DIRECTORY": self.directory}
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None

    def log(self) -> str:
        """Its log so far."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def __enter__(self) -> Postfix:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        self.directory.chmod(0o755)
        etc = self.directory / "etc"
        for name in ("etc", "queue", "data"):
            (self.directory / name).mkdir()
        shutil.chown(self.directory / "data", "postfix")
        for name, text in (("main.cf", MAIN + self._more), ("master.cf", MASTER)):
            for key, value in self._values.items():
                text = text.replace(f"@{key}@", str(value))
            (etc / name).write_text(text)
        output = (self.directory / "output").open("wb")
        with output:
            self._process = subprocess.Popen(
                ["postfix", "-c", str(etc), "start-fg"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PATH": search_path(), "MAIL_CONFIG": str(etc)},
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._greets():
            said = (self.directory / "output").read_text(errors="replace")
            assert self._process.poll() is None, f"postfix ended:\n{said}{self.log()}"
            assert time.monotonic() < deadline, f"postfix does not answer:\n{said}{self.log()}"
            time.sleep(0.05)

    def _greets(self) -> bool:
        try:
            with dial(self.port) as peer:
                return peer.line().startswith(b"220 ")
        except OSError:
            return False

    def _stop(self) -> None:
        """End the master, which has left its parent's group; its children follow it."""
        process, self._process = self._process, None
        if process is not None:
            pid_file = self.directory / "queue" / "pid" / "master.pid"
            master = int(pid_file.read_text()) if pid_file.exists() else process.pid
            with contextlib.suppress(ProcessLookupError):
                os.kill(master, signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(master, signal.SIGKILL)
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
