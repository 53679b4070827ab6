"""The nine ways of Dovecot's Rawlog page through ``rawlog serve``: its snippets as they stand there, and real clients.

Only the paths in the snippets are others. What a gateway does better on purpose (credentials masked, -R decrypted) is
asked for here too; byte for byte comparisons with Dovecot's own recordings are in test_serve_golden.py.
"""

from __future__ import annotations

import hashlib
import imaplib
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rawlog.events import Direction
from tests.support import mailclients
from tests.support.collector import Collector, side
from tests.support.dovecot import DovecotServer
from tests.support.golden import normal, without_stamps
from tests.support.postlogin import recording_on
from tests.support.serving import Serving, as_worker, rows

pytestmark = pytest.mark.live

ALICE, BOB, CAROL, NOHOME = "alice@example.com", "bob@example.com", "carol@example.com", "nohome@example.com"
STAMPED = r"\d{8}-\d{6}\.\d+\.\d+\.(in|out)"


@pytest.fixture
def trust(dovecot: DovecotServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(dovecot.ca_file))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "starttls"])
def test_1_rawlog_dir(dovecot: DovecotServer, serve: Callable[..., Serving], trust: ssl.SSLContext, tls: bool) -> None:
    gateway = serve(
        """
  protocol imap {
    rawlog_dir = @DIRECTORY@/rawlog/%u
    # if you want to put files into user's homedir, use this, do not use ~
    #rawlog_dir = %h/rawlog
}
protocol pop3 {
  rawlog_dir = @DIRECTORY@/pop3/%d/%n
}
protocol submission {
  rawlog_dir = @DIRECTORY@/%s/%{md5;truncate=16:user}
}
protocol sieve {
  rawlog_dir = @DIRECTORY@/%Us
}
"""
    )
    hashed = hashlib.md5(ALICE.encode()).hexdigest()[:4]
    places = [f"rawlog/{ALICE}", "pop3/example.com/alice", f"submission/{hashed}", "MANAGESIEVE"]
    for name in places:
        gateway.place(name)
    context = trust if tls else None
    with gateway:
        mailclients.imap(gateway.ports["imap"], ALICE, dovecot.password, context)
        mailclients.pop3(gateway.ports["pop3"], ALICE, dovecot.password, context)
        mailclients.submission(gateway.ports["submission"], ALICE, dovecot.password, context)
        mailclients.sieve(gateway.ports["sieve"], ALICE, dovecot.password)
        mailclients.imap(gateway.ports["imap"], BOB, dovecot.users[BOB], context)
        ends = gateway.ends(5)
        (imap,), (pop3,), (submission,), (sieve,) = [gateway.records(name, 5) for name in places]
        named = [name for place in places for name in rows(gateway.directory / place)]
    assert (imap.in_[:20].split()[1], pop3.in_, submission.in_[:16].upper(), sieve.in_[:9]) == (
        b"APPEND",
        b"STAT\r\nLIST\r\nQUIT\r\n",
        b"MAIL FROM:<ALICE",  # smtplib's capitals are not the same in every Python
        b"PUTSCRIPT",
    )
    assert imap.out.split(b"\r\n")[1].endswith(b" OK Logged in")
    assert pop3.out.startswith(b"+OK Logged in.\r\n+OK ")
    assert submission.out.startswith(b"235 2.7.0 Logged in.\r\n250 ")
    assert sieve.out.startswith(b'OK "Logged in."\r\nOK ')
    assert sum("files=-" in line for line in ends) == 1  # bob has no directory
    assert all(("tls=TLSv1.3" in line) == (tls and "sieve" not in line) for line in ends)
    assert all(re.fullmatch(STAMPED, name) for name in named)


def test_2_lmtp_rawlog_dir(dovecot: DovecotServer, serve: Callable[..., Serving], trust: ssl.SSLContext) -> None:
    gateway = serve("lmtp_rawlog_dir = @DIRECTORY@/lmtp\n")
    gateway.place("lmtp")
    with gateway:
        mailclients.lmtp(gateway.ports["lmtp"], ALICE)
        (whole,) = gateway.records("lmtp", 1)
        mailclients.lmtp(gateway.ports["lmtp"], ALICE, trust)
        _, before, after = gateway.records("lmtp", 2)
    assert whole.in_.lower().startswith(b"lhlo client.example.com\r\nmail from:<x@example.com>")
    assert whole.in_.endswith(b"\r\n..dot\r\n.\r\nQUIT\r\n")
    assert whole.out.startswith(b"220 lab.example.com ")
    assert whole.out.endswith(b" Saved\r\n221 2.0.0 Bye\r\n")
    assert before.in_ == b"lhlo client.example.com\r\nSTARTTLS\r\n"
    assert before.out.endswith(b"220 2.0.0 Begin TLS negotiation now.\r\n")
    assert after.in_.lower().startswith(b"lhlo client.example.com\r\nmail from:")
    assert after.out.startswith(b"250-lab.example.com\r\n")
    assert after.out.endswith(b" Saved\r\n221 2.0.0 Bye\r\n")


def test_3_lmtp_proxy_rawlog_dir(dovecot: DovecotServer, serve: Callable[..., Serving]) -> None:
    gateway = serve("lmtp_rawlog_dir = @DIRECTORY@/front\nlmtp_proxy_rawlog_dir = @DIRECTORY@/proxy\n")
    gateway.place("front")
    gateway.place("proxy")
    with gateway:
        mailclients.lmtp(gateway.ports["lmtp"], ALICE)
        (front,) = gateway.records("front", 1)
        before, after = gateway.records("proxy", 1)
    assert before.in_.startswith(b"220 lab.example.com ")  # .in is what came from the remote server
    assert before.in_.endswith(b"220 2.0.0 Begin TLS negotiation now.\r\n")
    assert before.out.endswith(b"STARTTLS\r\n")
    assert after.out == front.in_
    assert after.in_.splitlines()[-2:] == front.out.splitlines()[-2:]
    behind = [in_ for in_, _ in dovecot.rawlogs("lmtp") if normal(in_) == stamped(front.in_)]
    assert behind  # what Dovecot itself recorded of that delivery


def test_3_submission_relay_rawlog_dir(dovecot: DovecotServer, serve: Callable[..., Serving]) -> None:
    gateway = serve("submission_relay_rawlog_dir = @DIRECTORY@/relay\n")
    gateway.place("relay")
    with gateway:
        mailclients.submission(gateway.ports["submission"], ALICE, dovecot.password)
        before, after = gateway.records("relay", 1)
    secret = mailclients.plain(ALICE, dovecot.password).encode()
    assert before.out.endswith(b"STARTTLS\r\n")
    assert after.out.startswith(b"ehlo client.example.com\r\nAUTH PLAIN XXXX")
    assert b"235 2.7.0 Logged in.\r\n" in after.in_
    assert secret not in after.out


def test_3_login_proxy_rawlog_dir(dovecot: DovecotServer, serve: Callable[..., Serving]) -> None:
    gateway = serve("login_proxy_rawlog_dir = @DIRECTORY@/%s\n")
    names = {"imap": b" LOGIN ", "pop3": b"PASS ", "managesieve": b"AUTHENTICATE "}
    for name in names:
        gateway.place(name)
    with gateway:
        mailclients.imap(gateway.ports["imap"], ALICE, dovecot.password)
        mailclients.pop3(gateway.ports["pop3"], ALICE, dovecot.password)
        mailclients.sieve(gateway.ports["sieve"], ALICE, dovecot.password)
        found = {name: gateway.records(name, 3)[-1] for name in names}
    for name, login in names.items():
        assert login in found[name].out
        assert dovecot.password.encode() not in found[name].out
        assert mailclients.plain(ALICE, dovecot.password).encode() not in found[name].out
    assert found["imap"].in_.startswith(b"* OK [CAPABILITY ")
    assert found["pop3"].in_.startswith(b"+OK Dovecot")


SNIPPET_4 = """
service imap {
  executable = imap postlogin
}
service pop3 {
  executable = pop3 postlogin
}

service postlogin {
  executable = script-login -d rawlog @OPTIONS@
  unix_listener postlogin {
 }
}
"""


@pytest.mark.parametrize(
    ("options", "stamps", "names"),
    [
        ("", False, [r"\d{8}-\d{6}-\d+\.in", r"\d{8}-\d{6}-\d+\.out"]),
        ("-b -t", True, [r"\d{8}-\d{6}-\d+\.in", r"\d{8}-\d{6}-\d+\.out"]),
        ("-t -I -f in", True, [r"127\.0\.0\.1-\d{8}-\d{6}-\d+\.in"]),
        ("-bf out", False, [r"\d{8}-\d{6}-\d+\.out"]),
    ],
)
def test_4_rawlog_binary(
    dovecot: DovecotServer, serve: Callable[..., Serving], options: str, stamps: bool, names: list[str]
) -> None:
    place = recording_on(dovecot, ALICE)
    try:
        with serve(SNIPPET_4.replace("@OPTIONS@", options)) as gateway:
            mailclients.imap(gateway.ports["imap"], ALICE, dovecot.password)
            gateway.ends(1)
            found = sorted(place.iterdir())
            assert [bool(re.fullmatch(name, path.name)) for name, path in zip(names, found, strict=True)]
            data = b"".join(path.read_bytes() for path in found)
            assert all(owner(path) == owner(place) for path in found)
            assert all(path.stat().st_mode & 0o777 == 0o600 for path in found)
            mailclients.pop3(gateway.ports["pop3"], ALICE, dovecot.password)
            mailclients.imap(gateway.ports["imap"], BOB, dovecot.users[BOB])
            gateway.ends(3)
            assert len(list(place.iterdir())) == 2 * len(names)
    finally:
        shutil.rmtree(place)
    assert (b"<<<\n" in data) == ("b" in options)
    assert bool(re.search(rb"^\d{10}\.\d{6} ", data, re.MULTILINE)) is stamps
    assert dovecot.password.encode() not in data


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "starttls"])
def test_5_prelogin(dovecot: DovecotServer, serve: Callable[..., Serving], trust: ssl.SSLContext, tls: bool) -> None:
    gateway = serve(
        """
service imap-login {
  executable = imap-login -R rawlogs
}
service pop3-login {
  executable = pop3-login -R rawlogs
}
service submission-login {
  executable = submission-login -R rawlogs
}
service managesieve-login {
  executable = managesieve-login -R rawlogs
}
"""
    )
    # mkdir /var/run/dovecot/login/rawlogs; chown dovenull /var/run/dovecot/login/rawlogs; chmod 0700 ...
    place = gateway.place("run/login/rawlogs")
    as_worker(place)
    place.chmod(0o700)
    context = trust if tls else None
    with gateway:
        with imaplib.IMAP4("localhost", gateway.ports["imap"], timeout=10) as client:
            if context:
                client.starttls(context)
                with pytest.raises(imaplib.IMAP4.error):
                    client.login(ALICE, "mistake")  # once only: Dovecot answers later each time
            client.login(ALICE, dovecot.password)
            client.noop()
        mailclients.pop3(gateway.ports["pop3"], ALICE, dovecot.password, context)
        mailclients.submission(gateway.ports["submission"], ALICE, dovecot.password, context)
        mailclients.sieve(gateway.ports["sieve"], ALICE, dovecot.password)
        imap, pop3, submission, sieve = gateway.records("run/login/rawlogs", 4)
    assert re.fullmatch(
        rb"(\w+ CAPABILITY\r\n)?(\w+ STARTTLS\r\n\w+ CAPABILITY\r\n)?"
        rb"(\w+ LOGIN alice@example.com X{9}\r\n)?\w+ LOGIN alice@example.com X{12}\r\n",
        imap.in_,
    ), imap.in_
    assert (b"STARTTLS" in imap.in_) is tls
    last = b"NO [AUTHENTICATIONFAILED] Authentication failed." if tls else b"OK Pre-login capabilities listed, "
    assert last in imap.out.splitlines()[-1]  # that the login succeeded belongs to the user's recording
    assert pop3.in_.endswith(b"USER alice@example.com\r\nPASS XXXXXXXXXX\r\n")
    assert submission.in_.splitlines()[-1].startswith(b"AUTH PLAIN XXXX")
    assert sieve.in_.startswith(b'AUTHENTICATE "PLAIN" {40+}\r\nXXXX')
    assert not any(b"LISTSCRIPTS" in record.in_ or b"STAT" in record.in_ for record in (pop3, sieve))


def test_6_userdb(dovecot: DovecotServer, serve: Callable[..., Serving]) -> None:
    gateway = serve(
        """
  userdb {
     driver = passwd-file
     args = username_format=%u @DIRECTORY@/users
     default_fields = home=@DIRECTORY@/home/%u
     # or temporarily even e.g. default_fields = home=/tmp/temp-home
}
mail_home = @DIRECTORY@/elsewhere/%u
"""
        + SNIPPET_4.replace("@OPTIONS@", "-t")
    )
    gateway.file.write_text(re.sub(r"userdb \{\n  driver.*?\}\n", "", gateway.file.read_text(), count=1, flags=re.S))
    (gateway.directory / "users").write_text(f"{ALICE}::{os.geteuid() or 1000}:{os.getegid() or 1000}::::\n")
    asked = rawlog("user", "-u", ALICE, "-c", str(gateway.file))
    uid, gid = os.geteuid() or 1000, os.getegid() or 1000
    assert asked.returncode == 0
    assert asked.stdout == (
        f"userdb: {ALICE}\n  user      : {ALICE}\n  home      : {gateway.directory}/home/{ALICE}\n"
        f"  uid       : {uid}\n  gid       : {gid}\n"
    )
    unknown = rawlog("user", "-u", "nosuch@example.com", "-c", str(gateway.file))
    assert (unknown.returncode, unknown.stdout) == (67, "userdb lookup: user nosuch@example.com doesn't exist\n")
    for name in (f"home/{ALICE}/dovecot.rawlog", f"elsewhere/{BOB}/dovecot.rawlog"):
        gateway.place(name)
    with gateway:
        mailclients.imap(gateway.ports["imap"], ALICE, dovecot.password)
        mailclients.imap(gateway.ports["imap"], BOB, dovecot.users[BOB])
        gateway.ends(2)
        assert len(rows(gateway.directory / f"home/{ALICE}/dovecot.rawlog")) == 2
        assert rows(gateway.directory / f"elsewhere/{BOB}/dovecot.rawlog") == []  # mail_home does not count


@pytest.mark.parametrize("debug", [False, True], ids=["quiet", "debug"])
def test_7_debug_says_why_nothing_is_recorded(
    dovecot: DovecotServer, serve: Callable[..., Serving], debug: bool
) -> None:
    more = "import_environment=$import_environment DEBUG=1\n" if debug else ""
    with serve("rawlog_dir = @DIRECTORY@/rawlog/%u\n" + SNIPPET_4.replace("@OPTIONS@", "") + more) as gateway:
        for user in (ALICE, NOHOME, ALICE):
            mailclients.imap(gateway.ports["imap"], user, dovecot.users[user])
        gateway.ends(3)
        said = [line.partition(" not recorded: ")[2] for line in gateway.log().splitlines() if "not recorded" in line]
        expected = [
            f"{gateway.directory}/rawlog/{ALICE}: no such directory; make it (mkdir) to record",
            f"{dovecot.home(ALICE)}/dovecot.rawlog: no such directory; make it (mkdir) to record",
            f"{gateway.directory}/rawlog/{NOHOME}: no such directory; make it (mkdir) to record",
            f"user {NOHOME}: userdb returns no home; mail_home does not count",
        ]
    assert said == (expected if debug else [])


def test_8_tcp(dovecot: DovecotServer, serve: Callable[..., Serving], trust: ssl.SSLContext) -> None:
    with Collector() as collector, serve(f"rawlog_dir = tcp:127.0.0.1:{collector.port}\n") as gateway:
        mailclients.imap(gateway.ports["imap"], CAROL, dovecot.users[CAROL], trust)
        mailclients.pop3(gateway.ports["pop3"], CAROL, dovecot.users[CAROL])
        mailclients.sieve(gateway.ports["sieve"], CAROL, dovecot.users[CAROL])  # not this one, as in Dovecot
        ends = gateway.ends(3)
        streams = collector.finished(2)
    assert [f"files=tcp:127.0.0.1:{collector.port}" in line for line in ends] == [True, True, False]
    assert re.match(rb"\d{10}\.\d{6} O: \* CAPABILITY ", streams[0])
    theirs = [[without_stamps(half) for half in pair] for pair in dovecot.rawlogs(CAROL)]
    for stream in streams:  # what Dovecot itself recorded of these sessions
        assert [side(stream, direction) for direction in (Direction.IN, Direction.OUT)] in theirs


@pytest.mark.parametrize("where", ["file", "override"])
def test_9_a_userdb_field_overrides_rawlog_dir(
    dovecot: DovecotServer, serve: Callable[..., Serving], where: str
) -> None:
    extra = {ALICE: "userdb_rawlog_dir=@DIRECTORY@/own/%n", BOB: "userdb_rawlog_dir=", CAROL: ""}
    override = "  override_fields = rawlog_dir=@DIRECTORY@/all\n" if where == "override" else ""
    gateway = serve(
        f"""
userdb {{
  driver = passwd-file
  args = username_format=%u @DIRECTORY@/users
{override}}}
rawlog_dir = @DIRECTORY@/rawlog
"""
    )
    gateway.file.write_text(re.sub(r"userdb \{\n  driver.*?\}\n", "", gateway.file.read_text(), count=1, flags=re.S))
    lines = [f"{user}:::::::{field}\n".replace("@DIRECTORY@", str(gateway.directory)) for user, field in extra.items()]
    (gateway.directory / "users").write_text("".join(lines))
    places = [gateway.place(name) for name in ("own/alice", "all", "rawlog")]
    with gateway:
        for user in extra:
            mailclients.imap(gateway.ports["imap"], user, dovecot.users[user])
        gateway.ends(3)
        assert [len(rows(place)) for place in places] == ([2, 0, 2] if where == "file" else [0, 6, 0])


def owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


def stamped(data: bytes) -> bytes:
    """Stamps as ``normal`` leaves them."""
    return b"".join(b"TS " + line for line in data.splitlines(keepends=True))


def rawlog(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-P", "-m", "rawlog", *words], capture_output=True, text=True, timeout=20)
