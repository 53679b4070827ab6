"""tshark reads exported packets and finds the commands that ``rawlog show --exchanges`` finds, with the same times."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rawlog.cli import main
from rawlog.dialogue.exchange import Exchange, exchanges
from rawlog.events import Recording
from rawlog.reading.opener import open_paths, open_recording
from rawlog.views.copies import as_native
from tests.support import golden
from tests.support.conversation import converse
from tests.support.exchanges import timed

pytestmark = pytest.mark.live

Seen = list[tuple[str, str]]  # time of the packet, first letters of the command

FIELDS = {
    "imap": "imap.request.command",
    "pop3": "pop.request.command",
    "smtp": "smtp.req.command",
    "lmtp": "smtp.req.command",
}
STARTTLS = """
S: * OK ready
C: a1 CAPABILITY
S: * CAPABILITY IMAP4rev1 STARTTLS
S: a1 OK
C: a2 STARTTLS
S: a2 OK go
C: a3 LOGIN alice secret
S: a3 OK
C: a4 UID FETCH 1:* (FLAGS)
S: * 1 FETCH (UID 1 FLAGS ())
S: a4 OK
C: a5 LOGOUT
S: * BYE
S: a5 OK
"""


@pytest.fixture(autouse=True)
def installed() -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed (make test installs it on Debian and Ubuntu)")


def tshark(capture: Path, *words: str) -> list[str]:
    """What tshark prints for a capture; LMTP is SMTP to it."""
    command = ["tshark", "-n", "-r", str(capture), "-d", "tcp.port==24,smtp", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def export(tmp_path: Path, *paths: Path | str) -> Path:
    out = tmp_path / "out.pcapng"
    assert main(["export", "--pcapng", str(out), *map(str, paths)]) == 0
    return out


def commands_in(capture: Path, protocol: str) -> Seen:
    """Time and command of each request that tshark sees, as far as it calls it one."""
    field = FIELDS[protocol]
    lines = tshark(capture, "-Y", field, "-T", "fields", "-e", "frame.time_epoch", "-e", field)
    rows = (line.split("\t") for line in lines)
    return [(time[:17], word[:4].upper()) for time, words in rows for word in words.split(",")]


def ours(found: list[Exchange]) -> Seen:
    """What tshark should see: the word behind UID, and not XCLIENT, which it does not know."""
    return [
        (f"{(e.began or 0) // 1_000_000}.{(e.began or 0) % 1_000_000:06}", e.verb.split()[-1][:4])
        for e in sorted(found, key=lambda exchange: exchange.number)
        if e.is_command and e.answered and e.verb != "XCLIENT"
    ]


def is_within(wanted: Seen, seen: Seen) -> bool:
    """Whether all of ``wanted`` are among ``seen`` in that order: tshark takes the lines of a literal for commands."""
    rest = iter(seen)
    return all(one in rest for one in wanted)


CASES = [
    ("imap", "imap_rawlog_dir_basic"),
    ("imap", "imap_hibernate"),
    ("pop3", "imap_reuse_pop3_retr_tls_managesieve/p"),
    ("smtp", "submission_relay_plain"),
    ("smtp", "submission_relay_tls"),
    ("lmtp", "lmtp_rawlog_dir"),
    ("lmtp", "lmtp_proxy_rawlog_dir"),
]


@pytest.mark.parametrize(("protocol", "case"), CASES, ids=[case for _, case in CASES])
def test_tshark_finds_the_same_commands_at_the_same_times(protocol: str, case: str, tmp_path: Path) -> None:
    for number, recording in enumerate(open_paths([golden.FOLDER / case])):
        place = tmp_path / str(number)
        place.mkdir()
        wanted = ours(list(exchanges(recording)))
        seen = commands_in(
            export(place, recording.name + (".in" if not Path(recording.name).exists() else "")), protocol
        )
        assert wanted and is_within(wanted, seen), f"{wanted}\n{seen}"


def test_behind_starttls_it_goes_on_reading(tmp_path: Path) -> None:
    events = timed(converse("== t\n" + STARTTLS).pieces)
    recording = Recording("t", events, protocol="imap")
    (path,) = as_native(recording, tmp_path)
    seen = commands_in(export(tmp_path, path), "imap")
    assert seen == ours(list(exchanges(open_recording(path))))
    assert [word for _, word in seen] == ["CAPA", "STAR", "LOGI", "FETC", "LOGO"]


def test_managesieve_is_there_byte_for_byte(tmp_path: Path) -> None:
    (half,) = (golden.FOLDER / "imap_reuse_pop3_retr_tls_managesieve" / "s").glob("*.in")
    lines = tshark(export(tmp_path, half), "-Y", "tcp.dstport == 4190 && tcp.len", "-T", "fields", "-e", "tcp.payload")
    assert bytes.fromhex("".join(lines)) == golden.without_stamps(half.read_bytes())


def test_nothing_is_wrong_with_any_packet(tmp_path: Path) -> None:
    capture = export(tmp_path, golden.FOLDER)
    checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    wrong = "_ws.malformed || tcp.analysis.flags || tcp.checksum.status != 1 || (ip && ip.checksum.status != 1)"
    assert tshark(capture, *checks, "-Y", wrong) == []
    assert len(tshark(capture)) > 500
