"""IMAP through the gateway to a real Dovecot: real clients, the same answers, the same record as its own."""

from __future__ import annotations

import imaplib
import re
import shutil
import ssl
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import certificates
from tests.support.dovecot import COMPRESS, DovecotServer
from tests.support.gateway import Record, RunningGateway, eventually, plain, read_pair
from tests.support.peer import Peer, dial

pytestmark = pytest.mark.live

BACKENDS = ("imap", "imaps", "imap+starttls")
CLIENTS = ("plain", "starttls", "tls")
USER, PASSWORD = "alice@example.com", "wonderland"
OTHER, OTHERS_PASSWORD = "bob@example.com", "builder"

MESSAGE = b"From: x@example.com\r\nSubject: %b\r\n\r\nhello\r\n.\r\n..\r\n\r\nend\r\n"
BINARY = b"From: x@example.com\r\nSubject: binary\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\1\xff\xfe\n\r\n\0"


NO_PENALTY = "auth_failure_delay = 0\nservice anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}\n"
"""A wrong password is answered at once."""


@pytest.fixture(scope="module")
def server(dovecot_installed: None) -> Iterator[DovecotServer]:
    """A Dovecot that offers COMPRESS; the tests of this file share its users."""
    with DovecotServer(COMPRESS + NO_PENALTY) as running:
        yield running


@pytest.fixture(params=BACKENDS)
def gateway(request: pytest.FixtureRequest, server: DovecotServer, tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway that reaches it in every way."""
    with to(server, tmp_path / "raw", request.param) as running:
        yield running


def to(server: DovecotServer, directory: Path, scheme: str = "imap", **words: object) -> RunningGateway:
    port = server.imaps_port if scheme == "imaps" else server.imap_port
    words = {"template": "%u", "ca_file": server.ca_file} | words
    return RunningGateway(f"{scheme}://localhost:{port}", directory, **words)  # type: ignore[arg-type]


def trust() -> ssl.SSLContext:
    return certificates().client()


# -- real clients --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", CLIENTS)
def test_imaplib(gateway: RunningGateway, how: str) -> None:
    if how == "tls":
        client: imaplib.IMAP4 = imaplib.IMAP4_SSL("localhost", gateway.tls_port, ssl_context=trust(), timeout=10)
    else:
        client = imaplib.IMAP4("localhost", gateway.port, timeout=10)
    with client:
        if how == "starttls":
            client.starttls(trust())
        assert ("STARTTLS" in client.capabilities) is (how == "plain")
        assert client.login(USER, PASSWORD)[0] == "OK"
        mailbox = f"imaplib-{how}-{gateway.port}"
        assert client.create(mailbox)[0] == "OK"
        assert client.append(mailbox, None, None, MESSAGE % b"imaplib")[0] == "OK"
        assert client.select(mailbox) == ("OK", [b"1"])
        assert client.fetch("1", "(BODY.PEEK[])")[1][0][1] == MESSAGE % b"imaplib"
        assert client.search(None, "SUBJECT", "imaplib") == ("OK", [b"1"])
    record = gateway.record()
    assert record.path.parent.name == USER
    assert record.out.startswith(b"* OK [CAPABILITY ")
    assert MESSAGE % b"imaplib" in record.in_
    assert PASSWORD.encode() not in record.in_
    assert gateway.told() == []


@pytest.mark.parametrize("how", ["starttls", "tls"])
def test_curl(gateway: RunningGateway, server: DovecotServer, how: str, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    deposit(server, OTHER, OTHERS_PASSWORD, "INBOX", MESSAGE % b"by curl")
    url = f"imaps://localhost:{gateway.tls_port}" if how == "tls" else f"imap://localhost:{gateway.port}"
    words = ["--silent", "--show-error", "--max-time", "10", "--ssl-reqd", "--cacert", str(certificates().ca_file)]
    words += ["--user", f"{OTHER}:{OTHERS_PASSWORD}", f"{url}/INBOX;MAILINDEX=1"]
    done = subprocess.run(["curl", *words], capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert done.stdout == MESSAGE % b"by curl"
    record = gateway.record()
    assert MESSAGE % b"by curl" in record.out
    assert OTHERS_PASSWORD.encode() not in record.in_


MBSYNC = """\
IMAPAccount it
Host localhost
Port {port}
User {user}
Pass {password}
SSLType {ssl}
CertificateFile {ca}

IMAPStore far
Account it

MaildirStore near
Path {near}/
Inbox {near}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns {mailbox}
Create Near
Sync All
Expunge Both
SyncState *
"""


@pytest.mark.parametrize("how", CLIENTS)
def test_mbsync(server: DovecotServer, how: str, tmp_path: Path) -> None:
    if shutil.which("mbsync") is None:
        pytest.skip("mbsync (isync) is not installed")
    mailbox = f"mbsync-{how}"
    messages = [MESSAGE % (b"number %d" % number) for number in range(20)]
    deposit(server, USER, PASSWORD, mailbox, *messages)
    with to(server, tmp_path / "raw", "imap+starttls") as gateway:
        words = {"port": gateway.tls_port if how == "tls" else gateway.port, "user": USER, "password": PASSWORD}
        words |= {"ssl": {"plain": "None", "starttls": "STARTTLS", "tls": "IMAPS"}[how], "mailbox": mailbox}
        words |= {"near": tmp_path / "near", "ca": certificates().ca_file}
        (tmp_path / "near").mkdir()
        (tmp_path / "mbsyncrc").write_text(MBSYNC.format(**words))
        mbsync(tmp_path)
        (tmp_path / "near" / mailbox / "new" / "1.from-here").write_bytes(b"Subject: from here\n\nup\n")
        mbsync(tmp_path)
        near = [path.read_bytes() for path in (tmp_path / "near" / mailbox).glob("[cn]*/*") if path.is_file()]
        assert len(gateway.records()) == 2
    assert len(near) == 21
    for message in messages:
        assert any(message.split(b"\r\n\r\n")[1].replace(b"\r\n", b"\n").strip() in data for data in near)
    with imaplib.IMAP4(server.host, server.imap_port, timeout=10) as client:
        client.login(USER, PASSWORD)
        assert client.select(mailbox) == ("OK", [b"21"])
        assert client.search(None, "SUBJECT", '"from here"') == ("OK", [b"21"])


def mbsync(directory: Path) -> None:
    command = ["mbsync", "-c", str(directory / "mbsyncrc"), "all"]
    done = subprocess.run(command, capture_output=True, timeout=20, cwd=directory)
    assert done.returncode == 0, done.stderr


def deposit(server: DovecotServer, user: str, password: str, mailbox: str, *messages: bytes) -> None:
    """Put messages there, without the gateway, in the place of all others."""
    with imaplib.IMAP4(server.host, server.imap_port, timeout=10) as client:
        client.login(user, password)
        client.create(mailbox)
        if client.select(mailbox)[1] != [b"0"]:
            client.store("1:*", "+FLAGS", r"\Deleted")
            client.expunge()
        for message in messages:
            client.append(mailbox, None, None, message)


# -- the same answers, the same record -----------------------------------------------------------------------------


def converse(peer: Peer, server: DovecotServer, mailbox: bytes) -> bytes:
    """A conversation with everything that is difficult; gives all that the server said."""
    box = mailbox
    answers = [peer.command(b"a1 CREATE " + box)]
    answers.append(peer.command(b"a2 SELECT " + box))
    first, second = MESSAGE % b"one", MESSAGE % (b"two" * 1000)
    peer.send(b"a3 APPEND %b (\\Seen) {%d}\r\n" % (box, len(first)))
    answers.append(peer.line())
    answers.append(finish(peer, b"a3", first))
    answers.append(finish(peer, b"a4", b"a4 APPEND %b {%d+}\r\n%b" % (box, len(second), second)))
    answers.append(finish(peer, b"a5", b"a5 APPEND %b ~{%d+}\r\n%b" % (box, len(BINARY), BINARY)))
    answers.append(peer.command(b"a6 UID FETCH 1:* (UID FLAGS BODY.PEEK[])"))
    answers.append(peer.command(b"a7 FETCH 3 (BINARY.PEEK[1] BODY.PEEK[TEXT]<1.3>)"))
    peer.send(b"b1 NOOP\r\nb2 SEARCH ALL\r\nb3 UID STORE 1 +FLAGS (\\Deleted)\r\nb4 STATUS INBOX (UIDNEXT)\r\nb5 NO")
    peer.send(b"OP\r\n")
    answers.append(peer.until(b"\r\nb5 OK"))
    answers.append(peer.line())
    peer.send(b"c1 IDLE\r\n")
    answers.append(peer.line())
    drop(server, mailbox)
    answers.append(peer.until(b" EXISTS\r\n"))
    answers.append(peer.line())
    answers.append(finish(peer, b"c1", b"DONE\r\n"))
    answers.append(peer.command(b"c2 EXPUNGE"))
    answers.append(peer.command(b"c3 SEARCH CHARSET UTF-8 TEXT {6+}\r\n" + "grüß".encode()))
    answers.append(peer.command(b'c4 LIST "" "' + box + b'"'))
    answers.append(peer.command(b"c5 NONSENSE {3}"))
    answers.append(peer.command(b"z9 LOGOUT"))
    answers.append(peer.rest())
    return b"".join(answers)


def finish(peer: Peer, tag: bytes, data: bytes) -> bytes:
    """Send the rest of a command, and give the answers up to its tag."""
    peer.send(data if data.endswith(b"DONE\r\n") else data + b"\r\n")
    lines = [peer.line()]
    while lines[-1] and not lines[-1].startswith(tag + b" "):
        lines.append(peer.line())
    return b"".join(lines)


def drop(server: DovecotServer, mailbox: bytes) -> None:
    """One more message comes in, by another way."""
    with dial(server.imap_port) as peer:
        peer.line()
        peer.command(b"a LOGIN %b %b" % (USER.encode(), PASSWORD.encode()))
        message = MESSAGE % b"late"
        finish(peer, b"b", b"b APPEND %b {%d+}\r\n%b" % (mailbox, len(message), message))
        peer.command(b"c LOGOUT")


def normal(answers: bytes) -> bytes:
    """Without what differs from one time to the next."""
    answers = re.sub(rb"\([0-9.]+ \+ [0-9.]+(?: \+ [0-9.]+)? secs\)", b"(SECS)", answers)
    answers = re.sub(rb"(UIDVALIDITY|APPENDUID|HIGHESTMODSEQ|UIDNEXT) [0-9]+", rb"\1 N", answers)
    return re.sub(rb"bytes=[0-9 a-z=_]+", b"STATS", answers)


def logged_in(peer: Peer) -> Peer:
    assert peer.line().startswith(b"* OK ")
    assert peer.command(b"a0 LOGIN %b %b" % (USER.encode(), PASSWORD.encode())).startswith(b"a0 OK ")
    return peer


def test_the_same_answers_with_the_gateway_and_without(gateway: RunningGateway, server: DovecotServer) -> None:
    with logged_in(dial(server.imap_port)) as peer:
        direct = normal(converse(peer, server, b"direct-%05d" % gateway.port))
    with logged_in(gateway.dial_tls()) as peer:
        through = normal(converse(peer, server, b"throug-%05d" % gateway.port))
    assert through.replace(b"throug", b"direct") == direct


def dovecots(server: DovecotServer, before: int) -> tuple[bytes, bytes]:
    """The recording that Dovecot itself has made since there were ``before``, when it is complete."""
    made = eventually(lambda: [pair for pair in server.rawlogs(USER)[before:] if b"CREATE gateway" in pair[0]])
    eventually(lambda: b"z9 OK Logout" in server.rawlogs(USER)[-1][1] or b"z9 OK Logout" in made[0][1])
    (pair,) = [pair for pair in server.rawlogs(USER)[before:] if b"CREATE gateway" in pair[0]]
    return plain(pair[0]), plain(pair[1])


@pytest.mark.parametrize(
    ("how", "secrets"), [("plain", "redact"), ("starttls", "redact"), ("tls", "redact"), ("plain", "keep")]
)
def test_the_record_is_dovecots_own_from_the_login_on(
    server: DovecotServer, tmp_path: Path, how: str, secrets: str
) -> None:
    with to(server, tmp_path / "raw", keep_secrets=secrets == "keep") as gateway:
        before = len(server.rawlogs(USER))
        with gateway.dial_tls() if how == "tls" else gateway.dial() as peer:
            if how == "starttls":
                peer.line()
                peer.command(b"s STARTTLS")
                peer.start_tls(trust())
                peer.command(b"a0 LOGIN %b %b" % (USER.encode(), PASSWORD.encode()))
            else:
                logged_in(peer)
            converse(peer, server, b"gateway-%05d" % gateway.port)
        record = gateway.record()
    in_, out = dovecots(server, before)
    login = record.in_.index(b"a0 LOGIN")
    assert record.in_[record.in_.index(b"\r\n", login) + 2 :] == in_
    assert record.out[record.out.index(b"a0 OK") :] == out
    assert (PASSWORD.encode() in record.in_) is (secrets == "keep")


def test_the_record_is_what_both_sides_saw(server: DovecotServer, tmp_path: Path) -> None:
    with to(server, tmp_path / "raw", keep_secrets=True) as gateway:
        with logged_in(gateway.dial()) as peer:
            converse(peer, server, b"seen-%05d" % gateway.port)
        record = gateway.record()
    assert record.out == peer.received


# -- COMPRESS ------------------------------------------------------------------------------------------------------


class Deflated:
    """A peer that speaks DEFLATE from here on."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._out = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._in = zlib.decompressobj(-zlib.MAX_WBITS)
        self.sent = self.raw_sent = self.received = b""

    def command(self, text: bytes) -> None:
        """Send a command and read up to its answer."""
        raw = self._out.compress(text) + self._out.flush(zlib.Z_SYNC_FLUSH)
        self._peer.send(raw)
        self.sent += text
        self.raw_sent += raw
        mark, before = text.split(b" ")[0] + b" OK", len(self.received)
        while not re.search(rb"^" + mark + rb".*\r\n", self.received[before:], re.MULTILINE):
            piece = self._peer.sock.recv(65536)
            assert piece, self.received
            self.received += self._in.decompress(piece)


@pytest.mark.parametrize("how", ["plain", "tls"])
def test_compressed_is_recorded_as_plain_text(server: DovecotServer, tmp_path: Path, how: str) -> None:
    before = len(server.rawlogs(USER))
    with to(server, tmp_path / "raw") as gateway:
        with gateway.dial_tls() if how == "tls" else gateway.dial() as peer:
            logged_in(peer)
            assert peer.command(b"b COMPRESS DEFLATE").startswith(b"b OK ")
            deflated = Deflated(peer)
            message = MESSAGE % (b"compressed" * 2000)
            box = b"compress-%05d" % gateway.port
            deflated.command(b"c CREATE " + box + b"\r\n")
            deflated.command(b"d APPEND %b {%d+}\r\n%b\r\n" % (box, len(message), message))
            deflated.command(b"e SELECT " + box + b"\r\n")
            deflated.command(b"f FETCH 1 BODY[]\r\n")
            deflated.command(b"g LOGOUT\r\n")
        record = gateway.record()
        (end,) = gateway.ends()
    assert record.in_.endswith(b"b COMPRESS DEFLATE\r\n" + deflated.sent)
    assert record.out.endswith(deflated.received)
    assert message in record.out
    assert f" in={len(record.in_) - len(deflated.sent) + len(deflated.raw_sent)} " in end, "the wire was changed"
    made = eventually(lambda: [pair for pair in server.rawlogs(USER)[before:] if b"b COMPRESS" in pair[0]])
    assert plain(made[-1][0]).startswith(b"b COMPRESS DEFLATE\r\n")


# -- users ---------------------------------------------------------------------------------------------------------


def test_wrong_password_first(gateway: RunningGateway) -> None:
    with gateway.dial() as peer:
        peer.line()
        assert peer.command(b"a LOGIN %b builderr" % USER.encode()).startswith(b"a NO ")
        assert peer.command(b"b LOGIN %b %b" % (USER.encode(), PASSWORD.encode())).startswith(b"b OK ")
        peer.command(b"c LOGOUT")
    record = gateway.record()
    assert b"builderr" not in record.in_
    assert record.in_.startswith(b"a LOGIN alice@example.com XXXXXXXX\r\nb LOGIN alice@example.com XXXXXXXXXX\r\n")


def test_what_dovecot_refuses_leaves_no_file(gateway: RunningGateway) -> None:
    with gateway.dial() as peer:
        peer.line()
        assert peer.command(b"a LOGIN nobody wrong").startswith(b"a NO ")
        peer.command(b"c LOGOUT")
    assert gateway.records() == []


def test_two_users_at_once(gateway: RunningGateway) -> None:
    first, second = gateway.dial(), gateway.dial_tls()
    for peer, user, password in ((first, USER, PASSWORD), (second, OTHER, OTHERS_PASSWORD)):
        peer.line()
        peer.command(b"a LOGIN %b %b" % (user.encode(), password.encode()))
    for peer in (second, first):
        peer.command(b"b LOGOUT")
        peer.close()
    found = [read_pair(path) for path in gateway.idle().directory.rglob("*.in")]
    names: dict[str, Record] = {record.path.parent.name: record for record in found}
    assert set(names) == {USER, OTHER}
    assert OTHER.encode() in names[OTHER].in_
