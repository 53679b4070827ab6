"""What is read back of conversations between a real Dovecot and real clients: mbsync, curl, Python's libraries."""

from __future__ import annotations

import imaplib
import poplib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rawlog.dialogue.exchange import Exchange, exchanges
from rawlog.dialogue.exchange_messages import messages
from rawlog.dialogue.exchange_summary import summarize
from rawlog.events import Recording
from rawlog.reading.opener import open_paths
from tests.support import mailclients
from tests.support.dovecot import DovecotServer

pytestmark = pytest.mark.live

BOB, CAROL = "bob@example.com", "carol@example.com"
MBSYNC = """\
IMAPAccount near
Host 127.0.0.1
Port {port}
User {user}
Pass "{password}"
SSLType None
AuthMechs LOGIN
Timeout 10

IMAPStore far
Account near

MaildirStore here
Inbox {inbox}

Channel all
Far :far:
Near :here:
Patterns INBOX
Create Near
SyncState *
"""


def recorded(dovecot: DovecotServer, user: str, since: int, wanted: Callable[[Recording], bool]) -> Recording:
    """The first recording of a user behind number ``since`` that is complete, as soon as there is one."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for recording in list(open_paths([dovecot.rawlog_dir(user)]))[since:]:
            found = list(exchanges(recording))
            if found and found[-1].verb in ("LOGOUT", "QUIT") and found[-1].answered and wanted(recording):
                return recording
        time.sleep(0.1)
    raise AssertionError("no complete recording in ten seconds")


def count(dovecot: DovecotServer, user: str) -> int:
    directory = dovecot.rawlog_dir(user)
    return len(list(open_paths([directory]))) if directory.is_dir() else 0


def is_plausible(found: list[Exchange], seconds: float) -> None:
    """Everything is answered, and no answer took longer than all of it."""
    for exchange in found:
        assert exchange.answered, exchange
        assert exchange.latency is None or 0 <= exchange.latency < seconds * 1_000_000
    assert sum(exchange.latency or 0 for exchange in found) < 2 * seconds * 1_000_000


def test_python_s_own_client(dovecot: DovecotServer) -> None:
    before, started = count(dovecot, BOB), time.monotonic()
    asked = []
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port, timeout=10) as client:
        client.login(BOB, dovecot.users[BOB])
        for _ in range(3):
            client.append("INBOX", "", imaplib.Time2Internaldate(0.0), mailclients.MESSAGE % b"reading")
        client.select("INBOX")
        client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")
        client.search(None, "SUBJECT", '"reading"')
        client.select("nowhere")
        asked = ["APPEND"] * 3 + ["SELECT", "UID FETCH", "SEARCH", "SELECT", "LOGOUT"]
    recording = recorded(dovecot, BOB, before, lambda recording: recording.protocol == "imap")
    found = [exchange for exchange in exchanges(recording) if exchange.is_command]
    assert [exchange.verb for exchange in found if exchange.verb != "CAPABILITY"] == asked
    assert [exchange.status for exchange in found][-2:] == ["NO", "OK"]
    is_plausible(found, time.monotonic() - started + 1)
    kinds = [message.verb for message in messages(recording)]
    assert kinds[:3] == ["APPEND"] * 3
    assert kinds.count("FETCH") >= 3
    (data,) = {message.data for message in messages(recording) if message.verb == "APPEND"}
    assert data == mailclients.MESSAGE % b"reading"


def test_mbsync(dovecot: DovecotServer, tmp_path: Path) -> None:
    mailclients.lmtp(dovecot.ports["lmtp"], CAROL)
    before, started = count(dovecot, CAROL), time.monotonic()
    words = {"port": dovecot.imap_port, "user": CAROL, "password": dovecot.users[CAROL], "inbox": tmp_path / "inbox"}
    (tmp_path / "rc").write_text(MBSYNC.format(**words))
    mailclients.run("mbsync", "-c", str(tmp_path / "rc"), "-a")
    recording = recorded(dovecot, CAROL, before, lambda recording: recording.protocol == "imap")
    found = list(exchanges(recording))
    is_plausible(found, time.monotonic() - started + 1)
    verbs = [exchange.verb for exchange in found]
    assert {"SELECT", "LOGOUT"} <= set(verbs)
    assert any("FETCH" in verb for verb in verbs)
    stored = [path.read_bytes() for path in (tmp_path / "inbox" / "new").iterdir()]
    assert any(message.data is not None and b"Subject: lmtp" in message.data for message in messages(recording))
    assert any(b"Subject: lmtp" in text for text in stored)


def test_curl(dovecot: DovecotServer) -> None:
    before = count(dovecot, BOB)
    common = ["curl", "--silent", "--show-error", "--max-time", "10", "--user", f"{BOB}:{dovecot.users[BOB]}"]
    mailclients.run(*common, f"imap://{dovecot.host}:{dovecot.imap_port}/INBOX", "--request", "STATUS INBOX (MESSAGES)")
    recording = recorded(dovecot, BOB, before, lambda recording: any(e.verb == "STATUS" for e in exchanges(recording)))
    verbs = [exchange.verb for exchange in exchanges(recording)]
    assert verbs[-2:] == ["STATUS", "LOGOUT"]
    assert summarize(recording).end == "logout"
    before = count(dovecot, BOB)
    mailclients.run(*common, f"pop3://{dovecot.host}:{dovecot.pop3_port}/")
    recording = recorded(dovecot, BOB, before, lambda recording: recording.protocol == "pop3")
    assert [exchange.verb for exchange in exchanges(recording)] == ["greeting", "LIST", "QUIT"]


def test_pop3(dovecot: DovecotServer) -> None:
    mailclients.lmtp(dovecot.ports["lmtp"], CAROL)
    before = count(dovecot, CAROL)
    client = poplib.POP3(dovecot.host, dovecot.pop3_port, timeout=10)
    client.user(CAROL)
    client.pass_(dovecot.users[CAROL])
    _, lines, size = client.retr(1)
    client.top(1, 0)
    client.uidl()
    client.quit()
    recording = recorded(dovecot, CAROL, before, lambda recording: recording.protocol == "pop3")
    assert [exchange.verb for exchange in exchanges(recording)][1:] == ["RETR", "TOP", "UIDL", "QUIT"]
    (message,) = messages(recording)
    assert message.data == b"".join(line + b"\r\n" for line in lines)
    assert size == len(message.data)
