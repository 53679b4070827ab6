"""A real Dovecot for tests: own configuration, own directory, own ports on 127.0.0.1, own processes.

Knows: how a Dovecot 2.3 is configured, started and stopped, as root or as an ordinary user. Must not know: Rawlog.
It is what our recordings are compared with, so nothing of ours may take part in it (the certificates excepted).
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from rawlog.demo.certificate import write_certificates
from tests.support.smtpsink import SmtpSink

USERS: Mapping[str, str] = {
    "alice@example.com": "wonderland",
    "bob@example.com": "builder",
    "carol@example.com": "christmas",
    "nohome@example.com": "nowhere",
}
"""Names and passwords. The userdb knows no home directory of ``nohome``, only where the mail is."""

PORTS = ("imap", "imaps", "pop3", "pop3s", "lmtp", "submission", "submissions", "sieve")

COMPRESS = "protocol imap {\n  mail_plugins = $mail_plugins imap_zlib\n}\n"
"""Extra configuration that lets imap offer COMPRESS=DEFLATE (RFC 4978)."""

READY_SECONDS = 30.0
STOP_SECONDS = 15.0
START_TRIES = 5
MAIL_UID = 5000
"""User and group id of the mail users when Dovecot runs as root; otherwise they are ours. No such account is needed."""

CONFIGURATION = """\
protocols = imap pop3 lmtp submission sieve
listen = 127.0.0.1
hostname = lab.example.com
base_dir = @DIRECTORY@/run
state_dir = @DIRECTORY@/state
log_path = @DIRECTORY@/dovecot.log
default_internal_user = @INTERNAL_USER@
default_internal_group = @INTERNAL_GROUP@
default_login_user = @LOGIN_USER@
first_valid_uid = 1
first_valid_gid = 1
ssl = yes
ssl_cert = <@DIRECTORY@/cert.pem
ssl_key = <@DIRECTORY@/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:~/Maildir
submission_relay_host = 127.0.0.1
submission_relay_port = @relay@
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u @DIRECTORY@/users
}
userdb {
  driver = passwd-file
  args = username_format=%u @DIRECTORY@/users
}
service imap-login {
  inet_listener imap {
    port = @imap@
  }
  inet_listener imaps {
    port = @imaps@
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = @pop3@
  }
  inet_listener pop3s {
    port = @pop3s@
    ssl = yes
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
protocol imap {
  rawlog_dir = @DIRECTORY@/rawlog/%u
}
protocol pop3 {
  rawlog_dir = @DIRECTORY@/rawlog/%u
}
protocol submission {
  rawlog_dir = @DIRECTORY@/rawlog/%u
}
protocol sieve {
  rawlog_dir = @DIRECTORY@/rawlog/%u
}
lmtp_rawlog_dir = @DIRECTORY@/rawlog/lmtp
"""

ROOTLESS = "".join(
    f"service {name} {{\n  chroot =\n}}\n"
    for name in ("anvil", "imap-login", "pop3-login", "submission-login", "managesieve-login", "imap-urlauth-login")
)
"""What an ordinary user must add: only root can chroot."""


def why_missing() -> str | None:
    """Why no Dovecot can be started here, as the reason of a skipped test; None when it can."""
    if shutil.which("dovecot", path=search_path()) is None:
        return "dovecot is not installed (make test installs it on Debian and Ubuntu)"
    version = subprocess.run([_dovecot(), "--version"], capture_output=True, text=True, timeout=10).stdout
    if not version.startswith("2.3."):
        return f"dovecot {version.strip()} has another configuration than 2.3, which these tests are written for"
    modules = Path("/usr/lib/dovecot")
    absent = [name for name in ("lmtp", "submission", "managesieve", "pop3") if not (modules / name).exists()]
    return f"dovecot has no {', '.join(absent)} here" if absent else None


def search_path() -> str:
    """PATH with the directories of system daemons, which an ordinary user's PATH often lacks."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def _dovecot() -> str:
    found = shutil.which("dovecot", path=search_path())
    assert found is not None
    return found


class DovecotServer:
    """One running Dovecot; ``with DovecotServer() as server``, or :meth:`start` and :meth:`stop`.

    ``extra_conf`` is added behind the configuration, so what it sets again wins; ``@DIRECTORY@`` in it stands for
    ``directory``, below which everything of this server lies (``run`` is its base_dir).

    ``imap_port``, ``imaps_port``, ``pop3_port``, ``pop3s_port``, ``lmtp_port``, ``submission_port``,
    ``submissions_port`` and ``sieve_port`` are what it listens on; ``ports`` has the same by name. Submission relays
    to ``relay``, whose ``messages`` are what was sent.
    """

    host = "127.0.0.1"

    def __init__(self, extra_conf: str = "") -> None:
        self.extra_conf = extra_conf
        self.users = dict(USERS)
        self.user, self.password = next(iter(USERS.items()))
        self.ports: dict[str, int] = {}
        self.directory = Path(tempfile.mkdtemp(prefix="rawlog-dovecot-"))
        self.relay = SmtpSink()
        self._process: subprocess.Popen[bytes] | None = None
        self._cleanup = ExitStack()

    def __getattr__(self, name: str) -> int:
        protocol = name.removesuffix("_port")
        if protocol == name or protocol not in PORTS:
            raise AttributeError(name)
        return self.ports[protocol]

    @property
    def ca_file(self) -> Path:
        """PEM file of the authority that signed the certificate, which is for ``localhost`` and ``127.0.0.1``."""
        return self.directory / "ca.pem"

    @property
    def base_dir(self) -> Path:
        """Dovecot's ``base_dir``: its sockets."""
        return self.directory / "run"

    @property
    def pid(self) -> int:
        """Process id of the master process."""
        assert self._process is not None
        return self._process.pid

    def home(self, user: str) -> Path:
        """Home directory of ``user``."""
        return self.directory / "home" / user.partition("@")[0]

    def rawlog_dir(self, user: str) -> Path:
        """Where Dovecot records ``user`` (imap, pop3, submission, sieve); ``lmtp`` for all LMTP connections."""
        return self.directory / "rawlog" / user

    def rawlogs(self, user: str) -> list[tuple[bytes, bytes]]:
        """Dovecot's own recordings of ``user``, oldest first: what the ``.in`` and the ``.out`` file hold."""
        found = sorted(self.rawlog_dir(user).glob("*.in"), key=lambda path: path.stat().st_mtime_ns)
        return [(path.read_bytes(), path.with_suffix(".out").read_bytes()) for path in found]

    def log(self) -> str:
        """Dovecot's log so far."""
        path = self.directory / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start and wait until it answers. Ports that were taken meanwhile are chosen anew."""
        self._cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self._cleanup.enter_context(self.relay)
        self._cleanup.callback(self._terminate)
        try:
            self.directory.chmod(0o755)
            write_certificates(self.directory)
            self._make_users()
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server by its own process id and remove its directory."""
        self._cleanup.close()

    def __enter__(self) -> DovecotServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        for _ in range(START_TRIES):
            self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
            self._configure()
            if self._launch():
                return
        raise RuntimeError(f"dovecot did not start:\n{self.log()}")

    def _make_users(self) -> None:
        uid, gid = _mail_owner()
        lines = []
        for user, password in self.users.items():
            at_home = not user.startswith("nohome")
            where = f"{self.home(user)}::" if at_home else f"::userdb_mail=maildir:{self.home(user)}/Maildir"
            lines.append(f"{user}:{password}:{uid}:{gid}::{where}\n")
            for path in (self.home(user), self.rawlog_dir(user)):
                path.mkdir(parents=True)
                os.chown(path, uid, gid)
        self.rawlog_dir("lmtp").mkdir()
        self.rawlog_dir("lmtp").chmod(0o777)
        (self.directory / "users").write_text("".join(lines))

    def _configure(self) -> None:
        values = {name: str(port) for name, port in self.ports.items()} | _accounts()
        values |= {"DIRECTORY": str(self.directory), "relay": str(self.relay.port)}
        text = CONFIGURATION + ("" if os.geteuid() == 0 else ROOTLESS) + self.extra_conf
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        (self.directory / "dovecot.conf").write_text(text)

    def _launch(self) -> bool:
        output = (self.directory / "output").open("wb")
        with output:
            self._process = subprocess.Popen(
                [_dovecot(), "-F", "-c", str(self.directory / "dovecot.conf")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                said = self.log() + (self.directory / "output").read_text(errors="replace")
                if "Address already in use" in said:
                    return False
                raise RuntimeError(f"dovecot ended with exit code {self._process.returncode}:\n{said}")
            if _greets(self.ports["imap"]):
                return True
            time.sleep(0.02)
        raise RuntimeError(f"dovecot did not answer within {READY_SECONDS:.0f} seconds:\n{self.log()}")

    def _terminate(self) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has now, below those that the kernel gives to connections.

    Chosen at random: the other test processes choose theirs at the same time. Nobody is connected to: what listens
    there may count its visitors.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in ports:
                ports.append(port)
    return ports


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            return client.recv(4096).startswith(b"* OK")
    except OSError:
        return False


def _mail_owner() -> tuple[int, int]:
    return (MAIL_UID, MAIL_UID) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


def _accounts() -> dict[str, str]:
    if os.geteuid() == 0:
        return {"INTERNAL_USER": "dovecot", "INTERNAL_GROUP": "dovecot", "LOGIN_USER": "dovenull"}
    me = pwd.getpwuid(os.geteuid()).pw_name
    group = subprocess.run(["id", "-gn"], capture_output=True, text=True).stdout.strip()
    return {"INTERNAL_USER": me, "INTERNAL_GROUP": group, "LOGIN_USER": me}
