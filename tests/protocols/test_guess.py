"""The first lines say which protocol it is, and who is the client."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.events import Direction
from rawlog.formats.dovecot import PairDecoder
from rawlog.protocols.guess import guess_protocol
from tests.support import golden

IN, OUT = Direction.IN, Direction.OUT


@pytest.mark.parametrize(
    ("client", "server", "protocol"),
    [
        (b"", b"* OK [CAPABILITY IMAP4rev1] ready.\r\n", "imap"),
        (b"a2 NOOP\r\n", b"a1 OK Logged in\r\n", "imap"),
        (b"1 ID NIL\r\n", b"", "imap"),
        (b"DONE\r\n7 FETCH 1 FLAGS\r\n", b"", "imap"),
        (b"", b"+OK ready\r\n", "pop3"),
        (b"QUIT\r\n", b"-ERR in use\r\n", "pop3"),
        (b"STAT\r\n", b"", "pop3"),
        (b"EHLO x\r\n", b"220 mx ESMTP\r\n", "smtp"),
        (b"", b"220 mx\r\n", "smtp"),
        (b"LHLO x\r\n", b"220 mx\r\n", "lmtp"),
        (b"", b"220 mx LMTP ready\r\n", "lmtp"),
        (b"LHLO x\r\n", b"250-mx\r\n", "lmtp"),
        (b"mail from:<>\r\n", b"235 2.7.0 Logged in.\r\n", "smtp"),
        (b"", b'"IMPLEMENTATION" "Dovecot Pigeonhole"\r\n', "managesieve"),
        (b"LISTSCRIPTS\r\n", b'OK "Logged in."\r\n', "managesieve"),
        (b"STARTTLS\r\nCAPABILITY\r\n", b"", "managesieve"),
        (b"QUIT\r\n", b"", None),
        (b"\x16\x03\x01\x02", b"\x16\x03\x03", None),
        (b"GET / HTTP/1.0\r\n", b"", None),
        (b"", b"", None),
    ],
)
def test_the_first_lines_say_which_protocol_it_is(client: bytes, server: bytes, protocol: str | None) -> None:
    assert guess_protocol(client, server) == (protocol, IN)
    if protocol:
        assert guess_protocol(server, client) == (protocol, OUT)


def _expected(path: Path) -> str | None:
    name = golden.name(path)
    encrypted = ("prelogin_imaps/", "prelogin_dir_highperf/", "20768.1.")
    if any(part in name for part in encrypted):
        return None
    if "submission" in name or "_ssl/backend/" in name:  # the latter: LMTP, but what the client says is ciphertext
        return "smtp"
    if "lmtp" in name:
        return "lmtp"
    if "/p/" in name or "pop3/" in name:
        return "pop3"
    return "managesieve" if "/s/" in name else "imap"


@pytest.mark.parametrize("path", [path for path in golden.files(".out") if path.stat().st_size > 30], ids=golden.name)
def test_recordings_of_dovecot_are_recognised(path: Path) -> None:
    heads = {}
    for direction, suffix in ((IN, ".in"), (OUT, ".out")):
        half = path.with_suffix(suffix)
        data = half.read_bytes() if half.exists() else b""
        heads[direction] = b"".join(chunk.data for chunk in PairDecoder(direction).feed(data))
    remote = "/relay/" in str(path) or "/proxy/" in str(path)
    assert guess_protocol(heads[IN], heads[OUT]) == (_expected(path), OUT if remote else IN)


@settings(deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40))
def test_anything_gives_an_answer(first_in: bytes, first_out: bytes) -> None:
    protocol, direction = guess_protocol(first_in, first_out)
    assert protocol in (None, "imap", "pop3", "smtp", "lmtp", "managesieve")
    assert direction in (IN, OUT)
