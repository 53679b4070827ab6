"""``rawlog_format = native`` in front of Dovecot: one file for a conversation, with marks for what bytes cannot say."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rawlog.cli import main
from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.formats.native import NativeDecoder
from tests.support import mailclients
from tests.support.dovecot import DovecotServer
from tests.support.peer import dial
from tests.support.serving import Serving

pytestmark = pytest.mark.live

ALICE = "alice@example.com"


def read(path: Path) -> tuple[Mapping[str, str], list[Event]]:
    decoder = NativeDecoder(name=path.name)
    events = [*decoder.feed(path.read_bytes()), *decoder.end()]
    return decoder.header, events


def marks(events: list[Event], name: str) -> list[Mapping[str, str]]:
    return [event.detail for event in events if isinstance(event, Mark) and event.name == name]


def said(events: list[Event], direction: Direction) -> bytes:
    return b"".join(e.data for e in events if isinstance(e, Chunk) and e.direction is direction)


@pytest.mark.parametrize("whole", [False, True], ids=["from the login on", "from the greeting on"])
def test_one_file_with_marks(
    dovecot: DovecotServer, serve: Callable[..., Serving], capsys: pytest.CaptureFixture[str], whole: bool
) -> None:
    prelogin = "rawlog_prelogin = yes\n" if whole else ""
    gateway = serve(f"protocol imap {{\n  rawlog_dir = @DIRECTORY@/raw/%u\n  rawlog_format = native\n{prelogin}}}\n")
    place = gateway.place(f"raw/{ALICE}")
    with gateway:
        mailclients.imap(
            gateway.ports["imap"], ALICE, dovecot.password, ssl.create_default_context(cafile=str(dovecot.ca_file))
        )
        (line,) = gateway.ends(1)
        (path,) = place.iterdir()
        header, events = read(path)
        data = path.read_bytes()
        assert main(["show", str(path)]) == 0
    assert path.suffix == ".rawlog"
    assert header["protocol"] == "imap"
    (opened,) = marks(events, "opened")
    assert opened["id"] in line
    assert opened["client"].startswith("127.0.0.1:")
    assert opened["listener"] == f"127.0.0.1:{gateway.ports['imap']}"
    assert opened["backend"] == f"imaps://localhost:{dovecot.imaps_port}"
    tls = marks(events, "tls")
    assert [mark["leg"] for mark in tls] == ["server", "client"]
    assert all(mark["version"] == "TLSv1.3" and mark["cipher"] for mark in tls)
    assert marks(events, "login") == [{"user": ALICE}]
    (closed,) = marks(events, "closed")
    assert f"end='{closed['reason']}'" in line
    assert events[-1] == Mark(events[-1].at, "closed", closed)
    assert [event.at for event in events] == sorted(event.at or 0 for event in events)
    assert said(events, Direction.OUT).startswith(b"* OK [" if whole else b"* CAPABILITY ")
    assert (b" LOGIN alice@example.com XXXXXXXXXXXX\r\n" in said(events, Direction.IN)) is whole
    assert dovecot.password.encode() not in data
    shown = capsys.readouterr().out
    for word in ("opened", "tls", "login", "closed", ALICE, "TLSv1.3", "APPEND INBOX"):
        assert word in shown


def test_what_is_missing_is_marked(
    dovecot: DovecotServer, serve: Callable[..., Serving], capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = serve("rawlog_dir = @DIRECTORY@/raw\nrawlog_format = native\nrawlog_max_session_size = 2k\n")
    place = gateway.place("raw")
    with gateway:
        with dial(gateway.ports["imap"]) as peer:
            peer.line()
            peer.command(f"a LOGIN {ALICE} {dovecot.password}".encode())
            for number in range(20):
                peer.command(b"b%d NOOP " % number + b" " * 100)
            peer.command(b"c LOGOUT")
        gateway.ends(1)
        (path,) = place.iterdir()
        _, events = read(path)
        main(["show", str(path)])
    gaps = marks(events, "gap")
    assert all(gap["cause"] == "limit of 2048 bytes reached" for gap in gaps)
    assert gaps[0]["from"].endswith("Z")
    assert int(gaps[-1]["in"]) > 0
    assert marks(events, "closed")
    assert "limit of 2048 bytes reached" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["pop3", "submission", "sieve", "lmtp"])
def test_the_other_protocols(dovecot: DovecotServer, serve: Callable[..., Serving], name: str) -> None:
    setting = "lmtp_rawlog_dir" if name == "lmtp" else "rawlog_dir"
    gateway = serve(f"protocol {name} {{\n  {setting} = @DIRECTORY@/raw\n  rawlog_format = native\n}}\n")
    place = gateway.place("raw")
    with gateway:
        port = gateway.ports[name]
        if name == "lmtp":
            mailclients.lmtp(port, ALICE)
        else:
            getattr(mailclients, name)(port, ALICE, dovecot.password)
        gateway.ends(1)
        (path,) = place.iterdir()
        header, events = read(path)
    assert header["protocol"] == {"submission": "smtp", "sieve": "managesieve"}.get(name, name)
    assert [event.name for event in events if isinstance(event, Mark)][:1] == ["opened"]
    assert len(marks(events, "login")) == (name != "lmtp")
    assert len(marks(events, "closed")) == 1
