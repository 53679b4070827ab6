"""The post-login service below the master of a real Dovecot, compared with its rawlog_dir in the same login."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.dovecot import COMPRESS, DovecotServer
from tests.support.golden import normal
from tests.support.postlogin import (
    configuration,
    imap_login,
    install,
    pairs,
    pop3_login,
    recording_on,
    wait_until,
)
from tests.support.postlogin_service import (
    ALICE,
    BOB,
    CAROL,
    NOHOME,
    SERVICE,
    children,
    last,
    place,
    service_pids,
    starting,
)
from tests.support.probes import state_of

pytestmark = pytest.mark.live


@pytest.fixture
def start(dovecot_installed: None) -> Iterator[Callable[..., DovecotServer]]:
    """Starts a Dovecot with the service: ``start(options, more, service)``; alice is recorded."""
    with starting() as start:
        yield start


@pytest.fixture(scope="module")
def server(dovecot_installed: None) -> Iterator[DovecotServer]:
    """One for all tests that leave it as it is."""
    server = DovecotServer(configuration(f"{SERVICE} -t"))
    install(server.directory)
    with server:
        recording_on(server, ALICE)
        yield server


@pytest.fixture
def trust(server: DovecotServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.ca_file))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_imap_is_recorded_as_dovecot_records_it(server: DovecotServer, trust: ssl.SSLContext, tls: bool) -> None:
    with imap_login(server, ALICE, trust if tls else None) as client:
        client.say(b"a2 NOOP\r\n")
        client.say(b"a3 APPEND INBOX {19+}\r\nSubject: n\r\n\r\nA\0B\xffC\r\n")
        client.say(b"a4 SELECT INBOX\r\n")
        client.say(b"a5 FETCH 1:* BODY[]\r\n")
        client.say(b"a6 LOGOUT\r\n")
        assert client.to_the_end() == b""
    ours = last(server, b"OK Logout completed")
    theirs = wait_until(lambda: [pair for pair in server.rawlogs(ALICE) if pair[0].endswith(b"LOGOUT\r\n")])[-1]
    assert [normal(data) for data in ours] == [normal(data) for data in theirs]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_pop3_is_recorded_as_dovecot_records_it(server: DovecotServer, trust: ssl.SSLContext, tls: bool) -> None:
    with pop3_login(server, ALICE, trust if tls else None) as client:
        client.say(b"STAT\r\n", b"+OK")
        client.say(b"QUIT\r\n", b"+OK")
        assert client.to_the_end() == b""
    ours = last(server, b"+OK Logging out.")
    theirs = wait_until(lambda: [pair for pair in server.rawlogs(ALICE) if pair[0].endswith(b"QUIT\r\n")])[-1]
    assert [normal(data) for data in ours] == [normal(data) for data in theirs]


def test_the_files_belong_to_the_user_and_name_the_mail_process(server: DovecotServer) -> None:
    with imap_login(server, ALICE) as client:
        client.say(b"a2 NOOP\r\n")
    newest = max(place(server).iterdir(), key=lambda path: path.stat().st_mtime_ns)
    info, home = newest.stat(), server.home(ALICE).stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o777) == (home.st_uid, home.st_gid, 0o600)
    pid = newest.stem.rpartition("-")[2]
    assert f"mpid={pid}" in server.log()


def test_the_service_is_not_root_and_its_keepers_hold_no_connection(server: DovecotServer) -> None:
    with imap_login(server, ALICE) as client:
        client.say(b"a2 NOOP\r\n")
        (pid,) = service_pids(server)
        if os.geteuid() == 0:
            status = Path(f"/proc/{pid}/status").read_text()
            uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
            assert "0" not in uids
            assert "CapEff:\t0000000000000000" in status
        (parent,) = children(pid)
        held = [str(entry.readlink()) for entry in Path(f"/proc/{parent}/fd").iterdir()]
        assert sum("socket:" in name for name in held) == 1
        for each in (pid, parent, *children(parent)):
            state = state_of(each)
            assert (state["NoNewPrivs"], state["core"]) == ("1", "0")


def test_who_is_not_recorded_keeps_the_own_descriptor(start: Callable[..., DovecotServer]) -> None:
    server = start()
    with imap_login(server, BOB) as client, imap_login(server, ALICE) as recorded:
        (pid,) = service_pids(server)
        os.kill(pid, signal.SIGKILL)
        assert recorded.to_the_end() == b""
        client.say(b"a2 NOOP\r\n")


def test_no_home_means_no_recording_and_says_so_once(server: DovecotServer) -> None:
    trap = server.base_dir / "dovecot.rawlog"
    trap.mkdir(exist_ok=True)
    trap.chmod(0o777)
    for _ in range(2):
        with imap_login(server, NOHOME) as client:
            client.say(b"a2 NOOP\r\n")
    said = "postlogin: Warning: rawlog(nohome@example.com): not recorded: the userdb returned no home directory"
    wait_until(lambda: said in server.log())
    assert server.log().count(said) == 1
    assert list(trap.iterdir()) == []


@pytest.mark.parametrize("kind", ["unwritable", "symlink", "file"])
def test_a_directory_that_can_not_be_used_costs_no_login(server: DovecotServer, kind: str) -> None:
    place = server.home(BOB) / "dovecot.rawlog"
    if kind == "unwritable":
        if os.geteuid() != 0:
            pytest.skip("a directory that its user can't write takes root")
        place.mkdir(mode=0o555)
    elif kind == "symlink":
        place.symlink_to(server.home(BOB))
    else:
        place.write_bytes(b"")
    try:
        with imap_login(server, BOB) as client:
            client.say(b"a2 NOOP\r\n")
        wait_until(lambda: f"rawlog({BOB}): not recorded: {place}" in server.log())
        assert not place.is_dir() or list(place.glob("*.in")) == []
    finally:
        place.rmdir() if kind == "unwritable" else place.unlink()


def test_a_full_disk_costs_no_login_and_is_told(server: DovecotServer) -> None:
    if os.geteuid() != 0:
        pytest.skip("a small file system takes root")
    place = recording_on(server, CAROL)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0777", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("file systems can't be mounted here")
    try:
        with imap_login(server, CAROL) as client:
            for number in range(4):
                message = b"Subject: n\r\n\r\n" + b"x" * 28800
                client.say(b"b%d APPEND INBOX {%d+}\r\n%s\r\n" % (number, len(message), message))
            wait_until(lambda: "No space left on device; make room on that file system" in server.log())
        with imap_login(server, CAROL) as client:
            client.say(b"a2 NOOP\r\n")
        assert server.log().count("make room on that file system") <= 4
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        place.rename(place.with_name("was-full"))  # whoever was asked to make files there may do it late


def test_a_field_of_the_userdb_switches_it_on_for_one_user(dovecot_installed: None) -> None:
    """The rest of the server does not even ask: ``service imap`` is as it was."""
    listener = "unix_listener postlogin {\n  }\n"
    server = DovecotServer(f"service postlogin {{\n  executable = {SERVICE} -t\n  {listener}}}\n")
    install(server.directory)
    with server:
        users = server.directory / "users"
        users.write_text(
            "".join(
                f"{line}userdb_postlogin={server.base_dir}/postlogin\n" if line.startswith(ALICE) else f"{line}\n"
                for line in users.read_text().splitlines()
            )
        )
        for user in (ALICE, BOB):
            recording_on(server, user)
        with imap_login(server, BOB) as client:
            client.say(b"a2 NOOP\r\n")
        assert service_pids(server) == []
        with imap_login(server, ALICE) as client:
            client.say(b"a2 LOGOUT\r\n")
        assert normal(last(server, b"OK Logout completed")[0]) == b"TS a2 LOGOUT\r\n"
        assert pairs(server.home(BOB) / "dovecot.rawlog") == []


def test_wrong_options_cost_no_login(start: Callable[..., DovecotServer]) -> None:
    server = start("-x")
    with imap_login(server, ALICE) as client:
        client.say(b"a2 NOOP\r\n")
    assert pairs(place(server)) == []
    assert "postlogin: Warning: nothing is recorded: option -x is unknown" in server.log()


def test_options_have_their_meaning(start: Callable[..., DovecotServer]) -> None:
    server = start("-bI -f in")
    with imap_login(server, ALICE) as client:
        client.say(b"a2 NOOP\r\n")
        client.say(b"a3 LOGOUT\r\n")
    wait_until(
        lambda: (
            [path.read_bytes() for path in place(server).iterdir()] == [b"<<<\na2 NOOP\r\n>>>\n<<<\na3 LOGOUT\r\n>>>\n"]
        )
    )
    (path,) = place(server).iterdir()
    assert path.name.startswith("127.0.0.1-2")


def test_debug_says_why_somebody_is_not_recorded(start: Callable[..., DovecotServer]) -> None:
    server = start(more="import_environment = $import_environment DEBUG=1\n")
    with imap_login(server, BOB) as client:
        client.say(b"a2 NOOP\r\n")
    wait_until(lambda: f"rawlog({BOB}): not recorded: {server.home(BOB)}/dovecot.rawlog: no such" in server.log())


def test_what_is_compressed_is_recorded_in_the_clear(start: Callable[..., DovecotServer]) -> None:
    server = start(more=COMPRESS)
    with imap_login(server, ALICE) as client:
        client.say(b"a2 COMPRESS DEFLATE\r\n")
        packer, unpacker = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
        client.socket.sendall(packer.compress(b"a3 LOGOUT\r\n") + packer.flush(zlib.Z_SYNC_FLUSH))
        data = b""
        while b"a3 OK" not in data:
            data += unpacker.decompress(client.socket.recv(4096))
    in_, out = last(server, b"OK Logout completed")
    assert normal(in_) == b"TS a2 COMPRESS DEFLATE\r\nTS a3 LOGOUT\r\n"
    assert b"a2 OK Begin compression" in out
    assert b"* BYE Logging out\r\n" in out
