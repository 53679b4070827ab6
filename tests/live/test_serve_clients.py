"""Mail programs through ``rawlog serve``: curl, swaks, mbsync, fetchmail, Postfix on both sides, HAProxy in front."""

from __future__ import annotations

import re
import smtplib
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import mailclients
from tests.support.dovecot import DovecotServer, free_ports
from tests.support.gateway import eventually
from tests.support.peer import SECONDS, Peer, dial
from tests.support.postfix import Postfix, why_missing
from tests.support.serving import Serving

pytestmark = pytest.mark.live

ALICE, BOB = "alice@example.com", "bob@example.com"
RECORD = """
protocol imap {
  rawlog_dir = @DIRECTORY@/raw
}
protocol pop3 {
  rawlog_dir = @DIRECTORY@/raw
}
protocol submission {
  rawlog_dir = @DIRECTORY@/raw
}
lmtp_rawlog_dir = @DIRECTORY@/lmtp
"""


@pytest.fixture
def gateway(serve: Callable[..., Serving]) -> Iterator[Serving]:
    gateway = serve(RECORD)
    gateway.place("raw")
    gateway.place("lmtp")
    with gateway:
        yield gateway


def ca(dovecot: DovecotServer) -> list[str]:
    return ["--cacert", str(dovecot.ca_file)]


def test_curl(dovecot: DovecotServer, gateway: Serving, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(mailclients.mail("curl").encode())
    login, ports = f"{ALICE}:{dovecot.password}", gateway.ports
    common = ["curl", "-sS", "--max-time", "10", *ca(dovecot), "-u", login]
    upload = ["-T", str(tmp_path / "mail")]
    mailclients.run(*common, "--ssl-reqd", *upload, f"imap://localhost:{ports['imap']}/INBOX")
    listed = mailclients.run(*common, f"imaps://localhost:{ports['imaps']}/", "-X", "STATUS INBOX (MESSAGES)")
    assert re.search(r"STATUS INBOX \(MESSAGES [1-9]", listed.stdout)
    mailclients.run(*common, f"pop3s://localhost:{ports['pop3s']}/")
    mailclients.run(*common, "--ssl-reqd", f"pop3://localhost:{ports['pop3']}/")
    envelope = ["--mail-from", ALICE, "--mail-rcpt", "x@example.org"]
    mailclients.run(*common, "--ssl-reqd", *envelope, *upload, f"smtp://localhost:{ports['submission']}/me")
    mailclients.run(*common, *envelope, *upload, f"smtps://localhost:{ports['submissions']}/me")
    ends = gateway.ends(6)
    assert all(" tls=TLSv1.3 " in line and f" user={ALICE} " in line for line in ends)
    ins = [record.in_ for record in gateway.records("raw", 6)]
    words = (b"APPEND", b"STATUS", b"LIST", b"MAIL")
    assert [next(word for word in words if word in in_) for in_ in ins] == [*words[:3], *words[2:], words[3]]


@pytest.mark.parametrize("way", [[], ["-tls"], ["-tlsc"]], ids=["plain", "starttls", "tls"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(dovecot: DovecotServer, gateway: Serving, way: list[str], mechanism: str) -> None:
    if way:
        swaks_with_tls()
    port = gateway.ports["submissions" if "-tlsc" in way else "submission"]
    mailclients.run(
        *["swaks", "--server", "localhost", "--port", str(port), *way, "--tls-ca-path", str(dovecot.ca_file)],
        *["--tls-verify", "--timeout", "10", "--auth", mechanism, "-au", ALICE, "-ap", dovecot.password],
        *["--from", ALICE, "--to", "x@example.org", "--ehlo", "client.example.com", "--h-Subject", "swaks"],
    )
    (record,) = gateway.records("raw", 1)
    assert record.in_.startswith(b"MAIL FROM:<alice@example.com>\r\n")
    assert b"Subject: swaks\r\n" in record.in_
    assert any(b"Subject: swaks" in message for message in dovecot.relay.messages)
    everything = gateway.log().encode() + record.in_ + record.out
    assert dovecot.password.encode() not in everything
    assert mailclients.plain(ALICE, dovecot.password).encode() not in everything


def swaks_with_tls() -> None:
    """Skips the test where swaks has no TLS."""
    if "TLS supported" not in mailclients.run("swaks", "--support").stdout:
        pytest.skip("swaks has no TLS here: libnet-ssleay-perl is not installed")


def test_swaks_lmtp(dovecot: DovecotServer, gateway: Serving) -> None:
    mailclients.run(
        *["swaks", "--protocol", "LMTP", "--server", "localhost", "--port", str(gateway.ports["lmtp"])],
        *["--timeout", "10", "--from", "x@example.org", "--to", f"{ALICE},{BOB}", "--h-Subject", "swaks-lmtp"],
    )
    (record,) = gateway.records("lmtp", 1)
    assert record.out.count(b" Saved\r\n") == 2


MBSYNC = """\
IMAPAccount gate
Host localhost
Port {port}
User {user}
Pass "{password}"
SSLType {tls}
CertificateFile {ca}
Timeout 10

IMAPStore far
Account gate

MaildirStore near
Inbox {inbox}

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
SyncState *
"""


@pytest.mark.parametrize("tls", ["STARTTLS", "IMAPS"])
def test_mbsync(dovecot: DovecotServer, gateway: Serving, tmp_path: Path, tls: str) -> None:
    mailclients.lmtp(dovecot.ports["lmtp"], BOB)
    words = {
        "user": BOB,
        "password": dovecot.users[BOB],
        "ca": dovecot.ca_file,
        "inbox": tmp_path / "inbox",
        "tls": tls,
    }
    (tmp_path / "rc").write_text(MBSYNC.format(port=gateway.ports["imaps" if tls == "IMAPS" else "imap"], **words))
    mailclients.run("mbsync", "-c", str(tmp_path / "rc"), "-a")
    assert list((tmp_path / "inbox" / "new").iterdir())
    (record,) = gateway.records("raw", 1)
    assert b" FETCH " in record.in_
    assert b"Subject: lmtp\r\n" in record.out


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_fetchmail(dovecot: DovecotServer, gateway: Serving, tmp_path: Path, protocol: str) -> None:
    mailclients.lmtp(dovecot.ports["lmtp"], BOB)
    rc = tmp_path / "rc"
    rc.write_text(
        f"poll localhost protocol {protocol} port {gateway.ports[protocol]} timeout 10\n"
        f'  user "{BOB}" password "{dovecot.users[BOB]}"  keep fetchall\n'
        f'  sslproto "TLS1.2+" sslcertck sslcertfile "{dovecot.ca_file}" mda "cat >> {tmp_path}/mail"\n'
    )
    rc.chmod(0o600)
    home = {"HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)}
    mailclients.run("fetchmail", "-f", str(rc), "--nodetach", "--nosyslog", environment=home)
    assert "Subject: lmtp" in (tmp_path / "mail").read_text()
    (record,) = gateway.records("raw", 1)
    assert (b" FETCH " if protocol == "imap" else b"RETR 1\r\n") in record.in_
    assert " tls=TLSv1.3 " in gateway.ends(1)[0]


# -- Postfix ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postfix(dovecot: DovecotServer) -> Iterator[tuple[Postfix, int]]:
    """A Postfix that hands mail for example.com on by LMTP to the port beside it."""
    if (reason := why_missing()) is not None:
        pytest.skip(reason)
    (lmtp,) = free_ports(1)
    more = (
        f"transport_maps = inline:{{ example.com=lmtp:inet:127.0.0.1:{lmtp} }}\nrelay_domains = example.com\n"
        f"lmtp_tls_security_level = may\nlmtp_tls_CAfile = {dovecot.ca_file}\n"
    )
    with Postfix(more, dovecot.directory / "cert.pem", dovecot.directory / "key.pem") as postfix:
        yield postfix, lmtp


def test_postfix_as_relay_target_and_as_lmtp_client(
    dovecot: DovecotServer, serve: Callable[..., Serving], postfix: tuple[Postfix, int]
) -> None:
    """A client submits by the gateway to Postfix, which delivers by the gateway to Dovecot."""
    server, lmtp = postfix
    where = {"submission": f"submission+starttls://localhost:{server.port}"}
    gateway = serve(
        "lmtp_rawlog_dir = @DIRECTORY@/lmtp\nlmtp_proxy_rawlog_dir = @DIRECTORY@/proxy\n"
        "submission_relay_rawlog_dir = @DIRECTORY@/relay\n"
        f"service lmtp {{\n  inet_listener lmtp {{\n    port = {lmtp}\n  }}\n}}\n",
        backends=where,
    )
    for name in ("lmtp", "proxy", "relay"):
        gateway.place(name)
    with gateway:
        with smtplib.SMTP("localhost", gateway.ports["submission"], timeout=SECONDS) as client:
            client.starttls(context=ssl.create_default_context(cafile=str(dovecot.ca_file)))
            refused = client.docmd("XCLIENT", "ADDR=192.0.2.9 LOGIN=admin")
            client.sendmail("x@example.com", [ALICE, BOB], mailclients.MESSAGE % b"by postfix")
        _, relay = gateway.records("relay", 1)
        eventually(lambda: len(gateway.ends()) >= 2)
        before, after = gateway.records("lmtp", 2)
        deliveries = gateway.records("proxy", 2)
    assert refused == (550, b"5.7.0 XCLIENT is not accepted from this client.")
    assert b"XCLIENT" not in relay.out
    assert b"XCLIENT" in relay.in_  # Postfix offers it to us; the client never sees that
    assert b"queued as" in relay.in_
    assert before.in_.endswith(b"STARTTLS\r\n")
    assert after.in_.count(b"RCPT TO:") == 2
    assert after.out.count(b" Saved\r\n") == 2
    assert b"Subject: by postfix\r\n" in after.in_
    assert b"\r\n\r\nhello\r\n..dot\r\n.\r\n" in after.in_
    assert deliveries[-1].out.endswith(after.in_)
    assert server.log().count("status=sent") == 2


# -- HAProxy ----------------------------------------------------------------------------------------------------------

HAPROXY = """\
defaults
  mode tcp
  timeout connect 5s
  timeout client 15s
  timeout server 15s
listen imap
  bind 127.0.0.1:{plain}
  server gate 127.0.0.1:{imap} {send}
listen imaps
  bind 127.0.0.1:{tls}
  server gate 127.0.0.1:{imaps} {send}
"""


@contextmanager
def haproxy(tmp_path: Path, ports: dict[str, int], send: str) -> Iterator[tuple[int, int]]:
    """A running HAProxy in front of a gateway; gives its ports without and with TLS."""
    plain, tls = free_ports(2)
    (tmp_path / "cfg").write_text(HAPROXY.format(plain=plain, tls=tls, send=send, **ports))
    command = [mailclients.program("haproxy"), "-f", str(tmp_path / "cfg"), "-db"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: process.poll() is not None or answers(plain))
            yield plain, tls
        finally:
            process.terminate()


def answers(port: int) -> bool:
    try:
        dial(port).close()
    except OSError:
        return False
    return True


FOR_PROXIES = """
haproxy_trusted_networks = @TRUSTED@
service imap-login {
  inet_listener imap {
    haproxy = yes
  }
  inet_listener imaps {
    haproxy = yes
  }
}
"""


@pytest.mark.parametrize("send", ["send-proxy-v2", "send-proxy"])
def test_haproxy(dovecot: DovecotServer, serve: Callable[..., Serving], tmp_path: Path, send: str) -> None:
    more = FOR_PROXIES.replace("@TRUSTED@", "127.0.0.0/8")
    gateway = serve(more + "protocol imap {\n  rawlog_dir = @DIRECTORY@/raw/%r\n}\n")
    place = gateway.place("raw/127.0.0.1")
    context = ssl.create_default_context(cafile=str(dovecot.ca_file))
    with gateway, haproxy(tmp_path, gateway.ports, send) as (plain, tls):
        mailclients.imap(plain, ALICE, dovecot.password, context)
        with dial(tls, context) as peer:
            client = f"127.0.0.1:{peer.sock.getsockname()[1]}"
            in_dovecot(peer, dovecot)
        eventually(lambda: any(f"client={client} proxy=127.0.0.1:" in line for line in gateway.ends()))
        assert sum(f" user={ALICE} " in line for line in gateway.ends()) == 2
        assert len(list(place.glob("*.in"))) == 2
        with dial(gateway.ports["imap"]) as peer:  # a client that comes by itself
            peer.send(b"a NOOP\r\n")
            assert peer.rest() == b""
        gateway.await_log(r"proxy 127\.0\.0\.1:\d+ sends no PROXY header although it is a trusted proxy")


def test_haproxy_that_is_not_trusted(serve: Callable[..., Serving], tmp_path: Path) -> None:
    gateway = serve(FOR_PROXIES.replace("@TRUSTED@", "192.0.2.0/24"))
    with gateway, haproxy(tmp_path, gateway.ports, "send-proxy-v2") as (plain, _):
        with dial(plain) as peer:
            assert peer.rest() == b""
        gateway.await_log(r"proxy 127\.0\.0\.1:\d+ is not in haproxy_trusted_networks; refused")


def test_dovecot_is_told_the_client_s_address(
    dovecot_server: Callable[[str], DovecotServer], serve: Callable[..., Serving], tmp_path: Path
) -> None:
    """Two gateways in a row would do as well; here Dovecot itself reads the header that we write."""
    behind = dovecot_server(
        "haproxy_trusted_networks = 127.0.0.0/8\n"
        "service imap-login {\n  inet_listener imaps {\n    haproxy = yes\n  }\n}\n"
    )
    with Serving(behind, FOR_PROXIES.replace("@TRUSTED@", "127.0.0.0/8") + "rawlog_haproxy_out = v2\n") as gateway:
        with dial(gateway.ports["imap"]) as peer:
            peer.send(b"PROXY TCP4 192.0.2.77 198.51.100.1 4711 143\r\n")
            assert b"LOGINDISABLED" in peer.line()
            peer.command(b"a STARTTLS")
            peer.start_tls(ssl.create_default_context(cafile=str(behind.ca_file)))
            in_dovecot(peer, behind, greeted=True)
        eventually(lambda: "rip=192.0.2.77, lip=198.51.100.1" in behind.log())


def in_dovecot(peer: Peer, dovecot: DovecotServer, *, greeted: bool = False) -> None:
    if not greeted:
        assert peer.line().startswith(b"* OK")
    assert b"b OK" in peer.command(f"b LOGIN {ALICE} {dovecot.password}".encode())
    peer.command(b"c LOGOUT")
