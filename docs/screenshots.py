"""Makes the pictures of docs/guide/web.md: ``python docs/screenshots.py [--keep DIR]``.

Knows: how to invent a morning of a mail server, and a browser (Debian's chromium, by playwright). Must not know: how
the page is made. The same recordings come out each time. With ``--keep`` they stay there, to be looked at.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.formats.native import NativeEncoder

GUIDE = Path(__file__).parent / "guide"
MORNING = 1_795_420_800_000_000  # 2026-11-23 08:00 UTC
MINUTE, SECOND, MS = 60_000_000, 1_000_000, 1000
CONVERSATIONS = 180
SLOW_FROM, SLOW_TO = 132 * MINUTE, 158 * MINUTE  # what the pictures are to show: something was wrong then
USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "peggy")
SOFTWARE = (
    ("Thunderbird", "140.5.0"),
    ("Mail", "16.0"),
    ("K-9 Mail", "12.1"),
    ("mutt", "2.2.12"),
    ("Evolution", "3.56.2"),
)
MAIL = b"""\
Return-Path: <bob@example.com>
From: =?utf-8?q?Bob_B=C3=BCrger?= <bob@example.com>
To: alice@example.com
Subject: =?utf-8?q?Caf=C3=A9_at_noon=3F?=
Date: Mon, 23 Nov 2026 08:12:04 +0100
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="b1"

--b1
Content-Type: text/plain; charset=utf-8

Shall we meet at noon? <b>Not bold</b>, and <script>alert(1)</script> stays text.

--b1
Content-Type: text/html; charset=utf-8

<p>Shall we meet at <b>noon</b>?</p>

--b1--
""".replace(b"\n", b"\r\n")


@dataclass
class Talk:
    """One invented conversation. ``at`` is the time of what was last said."""

    chance: random.Random
    at: int
    events: list[Event] = field(default_factory=list)
    tag: int = 0

    def mark(self, name: str, **detail: str) -> None:
        self.events.append(Mark(self.at, name, detail))

    def wait(self, microseconds: float) -> None:
        self.at += round(microseconds * self.chance.uniform(0.7, 1.4))

    def said(self, direction: Direction, data: bytes, after: float) -> None:
        self.wait(after)
        self.events.append(Chunk(self.at, direction, data))

    def ask(
        self, command: str, *answer: bytes, took: float = 3 * MS, after: float = 60 * MS, end: str = "OK done"
    ) -> None:
        """A tagged command and its answer."""
        self.tag += 1
        slow = 60 if SLOW_FROM < self.at - MORNING < SLOW_TO else 1
        self.said(Direction.IN, f"a{self.tag} {command}\r\n".encode(), after)
        lines = b"".join(each + b"\r\n" for each in answer) + f"a{self.tag} {end}\r\n".encode()
        self.said(Direction.OUT, lines, took * slow * self.chance.lognormvariate(0, 0.6))


def imap(chance: random.Random, at: int, user: str, *, long: bool = False) -> list[Event]:
    """A client of a person."""
    name, version = chance.choice(SOFTWARE) if not long else SOFTWARE[0]
    talk = Talk(chance, at)
    talk.mark("opened", client=f"192.0.2.{USERS.index(user) + 20}:{chance.randint(40000, 60000)}")
    talk.mark("tls", version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
    talk.said(Direction.OUT, b"* OK [CAPABILITY IMAP4rev1 SASL-IR ID IDLE AUTH=PLAIN] Dovecot ready.\r\n", 2 * MS)
    if not long and chance.random() < 0.06:
        talk.ask(f'LOGIN "{user}" "XXXXXXXX"', took=2 * SECOND, end="NO [AUTHENTICATIONFAILED] Authentication failed.")
        talk.ask("LOGOUT", b"* BYE Logging out")
        return talk.events
    talk.ask("AUTHENTICATE PLAIN XXXXXXXXXXXXXXXXXXXXXXXX", took=9 * MS, end="OK [CAPABILITY IMAP4rev1 IDLE] Logged in")
    talk.mark("login", user=f"{user}@example.com")
    talk.ask(f'ID ("name" "{name}" "version" "{version}")', b'* ID ("name" "Dovecot")', end="OK ID completed.")
    talk.ask('LIST "" "*"', *(b'* LIST (\\HasNoChildren) "/" ' + box for box in (b"INBOX", b"Sent", b"Drafts")))
    talk.ask("SELECT INBOX", b"* 1432 EXISTS", b"* 2 RECENT", took=24 * MS, end="OK [READ-WRITE] Select completed.")
    for number in range(chance.randint(2, 9)):
        uid = 9120 + number
        head = b"* %d FETCH (UID %d BODY[] {%d}\r\n" % (1430 + number, uid, len(MAIL))
        talk.ask(f"UID FETCH {uid} (UID BODY.PEEK[])", head + MAIL + b")", took=8 * MS, end="OK Fetch completed.")
    if long:
        talk.ask(
            'UID SEARCH BODY "invoice 2024"', b"* SEARCH 17 812 1207", took=4.1 * SECOND, end="OK Search completed."
        )
        talk.ask("UID STORE 9121 +FLAGS (\\Seen)", end="NO [READ-ONLY] Mailbox is read-only.")
        append(talk)
    idle(talk, long=long or chance.random() < 0.5)
    if long or chance.random() < 0.9:
        talk.ask("LOGOUT", b"* BYE Logging out", end="OK Logout completed.")
        talk.mark("closed", reason="logout")
    return talk.events


def append(talk: Talk) -> None:
    """A message that the client saves."""
    talk.tag += 1
    talk.said(Direction.IN, b"a%d APPEND Sent (\\Seen) {%d}\r\n" % (talk.tag, len(MAIL)), 300 * MS)
    talk.said(Direction.OUT, b"+ OK\r\n", 2 * MS)
    talk.said(Direction.IN, MAIL + b"\r\n", 15 * MS)
    talk.said(Direction.OUT, b"a%d OK [APPENDUID 1795 77] Append completed.\r\n" % talk.tag, 31 * MS)


def idle(talk: Talk, *, long: bool) -> None:
    """Waiting for mail."""
    talk.tag += 1
    talk.said(Direction.IN, b"a%d IDLE\r\n" % talk.tag, 80 * MS)
    talk.said(Direction.OUT, b"+ idling\r\n", MS)
    if long:
        talk.said(Direction.OUT, b"* 1433 EXISTS\r\n", 12 * SECOND)
        talk.said(Direction.IN, b"DONE\r\n", 30 * MS)
        talk.said(Direction.OUT, b"a%d OK Idle completed.\r\n" % talk.tag, MS)


def smtp(chance: random.Random, at: int, user: str) -> list[Event]:
    """A message that is submitted."""
    talk = Talk(chance, at)
    talk.mark("opened", client=f"198.51.100.{USERS.index(user) + 7}:{chance.randint(40000, 60000)}")
    talk.said(Direction.OUT, b"220 mail.example.com ESMTP\r\n", 2 * MS)
    ok = chance.random() < 0.93
    for command, answer, took in (
        ("EHLO laptop.example.com", "250-mail.example.com\r\n250 AUTH PLAIN", 1),
        ("AUTH PLAIN XXXXXXXXXXXXXXXXXXXX", "235 2.7.0 Authentication successful", 11),
        (f"MAIL FROM:<{user}@example.com>", "250 2.1.0 Ok", 1),
        ("RCPT TO:<dora@example.net>", "250 2.1.5 Ok" if ok else "550 5.1.1 User unknown", 40),
        ("QUIT", "221 2.0.0 Bye", 1),
    ):
        if command.startswith("MAIL"):
            talk.mark("login", user=f"{user}@example.com")
        if command == "QUIT" and ok:
            talk.said(Direction.IN, b"DATA\r\n", MS)
            talk.said(Direction.OUT, b"354 End data with <CR><LF>.<CR><LF>\r\n", MS)
            talk.said(Direction.IN, MAIL + b".\r\n", 8 * MS)
            talk.said(Direction.OUT, b"250 2.0.0 Ok: queued as 4cVX9p\r\n", 90 * MS)
        talk.said(Direction.IN, f"{command}\r\n".encode(), 4 * MS)
        talk.said(Direction.OUT, f"{answer}\r\n".encode(), took * MS * chance.lognormvariate(0, 0.5))
    talk.mark("closed", reason="logout")
    return talk.events


def make(directory: Path) -> None:
    """The recordings of a morning."""
    chance = random.Random(7)
    for number in range(CONVERSATIONS):
        at = MORNING + round(number * 240 * MINUTE / CONVERSATIONS) + chance.randint(0, 90 * SECOND)
        user = chance.choice(USERS)
        kind = "smtp" if chance.random() < 0.25 else "imap"
        write(
            directory / user / f"{number:03}.rawlog",
            kind,
            smtp(chance, at, user) if kind == "smtp" else imap(chance, at, user),
        )
    write(directory / "alice" / "999.rawlog", "imap", imap(chance, MORNING + 243 * MINUTE, "alice", long=True))


def write(path: Path, protocol: str, events: list[Event]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoder = NativeEncoder({"protocol": protocol})
    with path.open("wb") as file:
        for event in events:
            file.write(
                encoder.mark(event) if isinstance(event, Mark) else encoder.chunk(event.at, event.direction, event.data)
            )


# -- the pictures ------------------------------------------------------------------------------------------------------


def pictures(directory: Path) -> Iterator[Path]:
    """Takes them, one after the other."""
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "rawlog", "web", "--no-cache", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as viewer, sync_playwright() as playwright:
        assert viewer.stdout is not None
        url = viewer.stdout.readline().strip()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, size, scheme in (
            ("light", (1120, 580), "light"),
            ("dark", (1120, 580), "dark"),
            ("phone", (390, 720), "light"),
        ):
            context = browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme=scheme,  # type: ignore[arg-type]
                timezone_id="UTC",
            )
            page = context.new_page()
            page.goto(url)
            page.locator(".row .user").first.wait_for()
            page.wait_for_timeout(1500)
            yield shot(page, f"web-list-{name}")
            page.locator(".row").first.click()
            page.locator(".row .status").first.wait_for()
            page.wait_for_timeout(800)
            if name == "light":
                page.locator(".row", has_text="BODY.PEEK").first.click()
                page.locator(".fold").first.click()
                page.locator(".body pre").first.wait_for()
            elif name == "dark":
                page.keyboard.press("G")
                page.locator(".row", has_text="IDLE").last.click()
                page.locator(".below .line").first.wait_for()
            page.wait_for_timeout(400)
            yield shot(page, f"web-talk-{name}")
            context.close()
        browser.close()
        viewer.terminate()


def shot(page: object, name: str) -> Path:
    path = GUIDE / f"{name}.png"
    page.screenshot(path=path)  # type: ignore[attr-defined]
    return path


def main() -> None:
    """Make recordings, take pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keep", metavar="DIR", help="only make the recordings, here")
    options = parser.parse_args()
    if options.keep:
        make(Path(options.keep))
        return
    os.environ["TZ"] = "UTC"
    with tempfile.TemporaryDirectory(prefix="rawlog-pictures-") as place:
        make(Path(place))
        for path in pictures(Path(place)):
            print(f"{path.stat().st_size // 1000:5} kB  {path}")


if __name__ == "__main__":
    main()
