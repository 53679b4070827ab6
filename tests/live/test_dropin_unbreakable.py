"""The drop-in command hands over to a service that relays unbreakably: workers are killed, and no client notices.

Both services are tried: below the master of Dovecot, and ``rawlog serve``.
"""

from __future__ import annotations

import os
import signal
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rawlog.engine.pipes import why_not
from rawlog.events import Direction
from rawlog.formats.dovecot import PairDecoder
from tests.support.dovecot import COMPRESS, DovecotServer
from tests.support.golden import without_stamps
from tests.support.postlogin import LineClient, configuration, imap_login, install, recording_on, wait_until
from tests.support.serving import Serving
from tests.support.unbreakable import workers

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(why_not()), reason=f"rawlog_relay = unbreakable: {why_not()}"),
]

OURS = "@DIRECTORY@/opt/lib/python3/site-packages/rawlog/libexec/rawlog"
ALICE = "alice@example.com"
BELOW_DOVECOT = """\
service rawlog {{
  executable = @DIRECTORY@/opt/bin/rawlog-service -c @DIRECTORY@/rawlog.conf
  unix_listener handover {{
    mode = 0666
  }}
}}
"""
SETTINGS = "rawlog_relay = unbreakable\n"
SERVE = """
base_dir = @SERVER@/run
service postlogin {
  executable = script-login -d rawlog
  unix_listener handover {
    mode = 0666
  }
}
"""
NONE = dict.fromkeys(("imap", "pop3", "submission", "lmtp", "sieve"))


class Site:
    """A Dovecot whose users are recorded by the drop-in with ``options``, and the service that takes over."""

    def __init__(self, stack: ExitStack, service: str, options: str, more: str) -> None:
        settings = SETTINGS + more
        below = BELOW_DOVECOT.format() if service == "dovecot" else ""
        words = f"script-login -d {OURS} {options}".strip()
        self.server = DovecotServer(configuration(words) + COMPRESS + below)
        be_patient(install(self.server.directory).parents[1])
        (self.server.directory / "rawlog.conf").write_text(settings)
        stack.enter_context(self.server)
        if service == "serve":
            self.daemon = stack.enter_context(Serving(self.server, SERVE + settings, backends=NONE))
        self._send_there()
        self.place = recording_on(self.server, ALICE)

    def _send_there(self) -> None:
        """The userdb says where the service is."""
        users = self.server.directory / "users"
        socket = f"userdb_rawlog_socket={self.server.base_dir}/handover"
        lines = users.read_text().splitlines()
        users.write_text("".join(f"{line}{socket if line.startswith(ALICE) else ''}\n" for line in lines))

    def holder(self) -> int:
        """Who holds the recording now."""
        (held,) = {pid for path in self.place.iterdir() for pid in openers(path) if workers(pid)}
        return held

    def kill_worker(self) -> None:
        """Whoever relays the recording now."""
        held = self.holder()
        before = workers(held)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: workers(held) not in ([], before))

    def theirs(self) -> tuple[bytes, bytes]:
        """Dovecot's own recording, without stamps."""
        (pair,) = self.server.rawlogs(ALICE)
        return without_stamps(pair[0]), without_stamps(pair[1])

    def ours(self, options: str) -> dict[str, bytes]:
        """Ours, without stamps and marks."""
        found = {}
        for path in self.place.iterdir():
            decoder = PairDecoder(Direction(path.suffix[1:]), "t" in options, "b" in options, strict=True)
            chunks = [*decoder.feed(path.read_bytes()), *decoder.end()]
            found[path.suffix] = b"".join(chunk.data for chunk in chunks)
        return found


def be_patient(package: Path) -> None:
    """Let the command wait for a service that a busy machine makes slow; it would relay by itself else."""
    path = package / "taps" / "dropin_handover.py"
    text = path.read_text()
    assert text.count("\nPATIENCE = 1.0\n") == 1
    path.write_text(text.replace("\nPATIENCE = 1.0\n", "\nPATIENCE = 60.0\n"))


def openers(path: Path) -> set[int]:
    """Processes that have a file open."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if entry.samefile(path):
                found.add(int(entry.parts[2]))
        except OSError:
            continue
    return found


@pytest.fixture
def start(dovecot_installed: None) -> Iterator[Callable[..., Site]]:
    with ExitStack() as stack:

        def start(service: str, options: str = "", more: str = "rawlog_secrets = keep\n") -> Site:
            return Site(stack, service, options, more)

        yield start


def talk(site: Site, client: LineClient) -> None:
    """Commands and answers, large and small, with a kill in between."""
    message = b"Subject: n\r\n\r\n" + b"A\0B\xffC\r\n" * 3000
    client.say(b"a2 APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
    client.say(b"a3 SELECT INBOX\r\n")
    site.kill_worker()
    for number in range(20):
        client.say(b"b%d FETCH 1 BODY.PEEK[]\r\n" % number)
    site.kill_worker()
    client.say(b"a4 LOGOUT\r\n")
    assert client.to_the_end() == b""


@pytest.mark.parametrize("service", ["dovecot", "serve"])
@pytest.mark.parametrize("options", ["", "-t", "-b", "-t -b", "-f in", "-t -f out"])
def test_what_is_handed_over_survives_and_is_recorded_as_dovecot_records_it(
    start: Callable[..., Site], service: str, options: str
) -> None:
    site = start(service, options)
    with imap_login(site.server, ALICE) as client:
        talk(site, client)
    wanted = dict(zip((".in", ".out"), wait_until(lambda: site.theirs() if site.theirs()[1] else None), strict=True))
    if "-f" in options:
        wanted = {f".{options.split()[-1]}": wanted[f".{options.split()[-1]}"]}
    flags = options.partition("-f")[0]
    wait_until(lambda: site.ours(flags) == wanted or None)


@pytest.mark.parametrize("service", ["dovecot", "serve"])
def test_secrets_are_masked(start: Callable[..., Site], service: str) -> None:
    site = start(service, "-t", "rawlog_secrets = redact\n")
    with imap_login(site.server, ALICE) as client:
        client.say(b"a2 LOGIN other topsecret\r\n")
        site.kill_worker()
        client.say(b"a3 LOGIN other topsecret\r\n")
        client.say(b"a4 LOGOUT\r\n")
        assert client.to_the_end() == b""
    theirs = wait_until(lambda: site.theirs() if site.theirs()[1] else None)
    assert b"topsecret" in theirs[0]
    wanted = {".in": theirs[0].replace(b"topsecret", b"X" * 9), ".out": theirs[1]}
    wait_until(lambda: site.ours("t") == wanted or None)


@pytest.mark.parametrize("service", ["dovecot", "serve"])
def test_what_is_compressed_is_recorded_in_the_clear(start: Callable[..., Site], service: str) -> None:
    site = start(service, "-t")
    with imap_login(site.server, ALICE) as client:
        client.say(b"a2 COMPRESS DEFLATE\r\n")
        packer, unpacker = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
        for tag, command in ((b"a3", b"NOOP"), (b"a4", b"LOGOUT")):
            site.kill_worker()
            client.socket.sendall(packer.compress(b"%b %b\r\n" % (tag, command)) + packer.flush(zlib.Z_SYNC_FLUSH))
            data = b""
            while b"%b OK" % tag not in data:
                data += unpacker.decompress(client.socket.recv(4096))
    wait_until(lambda: b"a4 OK" in site.ours("t").get(".out", b""))
    assert site.ours("t")[".in"] == b"a2 COMPRESS DEFLATE\r\na3 NOOP\r\na4 LOGOUT\r\n"
    assert b"a2 OK Begin compression" in site.ours("t")[".out"]


def test_the_service_dies_and_what_was_handed_over_goes_on(start: Callable[..., Site]) -> None:
    site = start("dovecot", "-t")
    with imap_login(site.server, ALICE) as client:
        client.say(b"a2 NOOP\r\n")
        holder = site.holder()
        service = int(Path(f"/proc/{holder}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(service, signal.SIGKILL)
        client.say(b"a3 NOOP\r\n")
        os.kill(holder, signal.SIGKILL)
        client.say(b"a4 LOGOUT\r\n")
        assert client.to_the_end() == b""
    wait_until(lambda: site.ours("t").get(".in") == b"a2 NOOP\r\na3 NOOP\r\na4 LOGOUT\r\n")


def test_a_reload_of_the_daemon_brings_new_code(start: Callable[..., Site]) -> None:
    site = start("serve", "-t", "rawlog_user = root\n")  # who can run the Python of the tests
    with imap_login(site.server, ALICE) as client:
        client.say(b"a2 NOOP\r\n")
        holder = site.holder()
        before = workers(holder)
        site.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: b"holder_process" in Path(f"/proc/{holder}/cmdline").read_bytes())
        wait_until(lambda: workers(holder) not in ([], before))
        client.say(b"a3 LOGOUT\r\n")
        assert client.to_the_end() == b""
    wait_until(lambda: site.ours("t").get(".in") == b"a2 NOOP\r\na3 LOGOUT\r\n")
    assert "old code" not in site.daemon.log()
