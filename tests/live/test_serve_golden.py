"""What ``rawlog serve`` records in front of Dovecot, byte for byte: against the golden cases, played again with the
same pieces, and against what the Dovecot behind it records of the very same conversation."""

from __future__ import annotations

import base64
import re
import shutil
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.dovecot import DovecotServer
from tests.support.golden import FOLDER, normal
from tests.support.peer import dial
from tests.support.postlogin import recording_on
from tests.support.replaying import replay, steps
from tests.support.serving import Serving

pytestmark = pytest.mark.live

ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@example.com"
VOLATILE = [  # what differs between two runs of a server, and its mask
    (rb"\(\d+\.\d+ (\+ \d+\.\d+ )*secs\)", b"(secs)"),
    (rb"\[APPENDUID \d+ \d+\]", rb"[APPENDUID]"),
    (rb"^(TS \* (OK \[|)CAPABILITY .*) STARTTLS", rb"\1"),  # the gateway's own stands at the end
    (rb"\[UIDVALIDITY \d+\]", b"[UIDVALIDITY]"),
    (rb"\[HIGHESTMODSEQ \d+\]", b"[HIGHESTMODSEQ]"),
    (rb"> \S+ Saved", b"> Saved"),
    (rb"^(TS \d+) [0-9a-f]{16}\r$", rb"\1 uidl" + b"\r"),
]


@pytest.fixture(scope="module")
def server(dovecot_installed: None) -> Iterator[DovecotServer]:
    """A Dovecot whose mailboxes are as empty as those of the golden cases."""
    with DovecotServer() as server:
        yield server


@pytest.fixture
def serve(server: DovecotServer) -> Callable[..., Serving]:
    def start(more: str, **words: object) -> Serving:
        return Serving(server, more, **words)  # type: ignore[arg-type]

    return start


@pytest.fixture
def trust(server: DovecotServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.ca_file))


def golden(case: str, folder: str = "") -> list[Path]:
    """The captured pairs, as the paths of their ``.in`` files in the order of their numbers."""
    return recorded(FOLDER / case / folder)


def recorded(place: Path) -> list[Path]:
    """The pairs below a directory, likewise."""
    return sorted(place.rglob("*.in"), key=lambda path: [int(number) for number in re.findall(r"\d+", path.name)])


def pair(path: Path) -> list[bytes]:
    """Both files, the first of which is ``path``; those that are not there are empty."""
    files = (path.with_suffix(ending) for ending in (".in", ".out"))
    return [file.read_bytes() if file.exists() else b"" for file in files]


def halves(path: Path) -> list[bytes]:
    """Both with ``TS`` for stamps, and without what differs between two runs."""
    found = []
    for data in pair(path):
        text = normal(data)
        for pattern, mask in VOLATILE:
            text = re.sub(pattern, mask, text, flags=re.MULTILINE)
        found.append(text)
    return found


def as_user(server: DovecotServer, user: str) -> dict[bytes, bytes]:
    """What the clients of the golden cases sent to log in -> what is sent now."""
    login = f"\0{user}\0{server.users[user]}".encode()
    return {
        base64.b64encode(b"\0alice@example.com\0alicepw"): base64.b64encode(login),
        b"LOGIN alice@example.com": b"LOGIN " + user.encode(),
        b"USER alice@example.com": b"USER " + user.encode(),
        b"alicepw": server.users[user].encode(),
    }


def test_imap_rawlog_dir_basic(server: DovecotServer, serve: Callable[..., Serving]) -> None:
    """Split lines, literals, NUL, bare CR and LF, pipelining, IDLE, a cut last line; two clients at once."""
    gateway = serve("protocol imap {\n  rawlog_dir = @DIRECTORY@/raw/%u\n}\n")
    place = gateway.place(f"raw/{ALICE}")
    with gateway:
        replay(
            steps("imap_rawlog_dir_basic"),
            dict.fromkeys(("c1", "c2"), gateway.ports["imap"]),
            change=as_user(server, ALICE),
        )
        gateway.ends(2)
        found = recorded(place)
        ours = [halves(path) for path in found]
        theirs = [list(map(normal, both)) for both in server.rawlogs(ALICE)]
        assert all(list(map(normal, pair(path))) in theirs for path in found)
    assert ours == [halves(path) for path in golden("imap_rawlog_dir_basic")]


def test_pop3_imaps_and_managesieve(
    server: DovecotServer, serve: Callable[..., Serving], trust: ssl.SSLContext
) -> None:
    """Three pairs of one process, dot-stuffed lines, a split DELE, a script manager."""
    case = "imap_reuse_pop3_retr_tls_managesieve"
    gateway = serve(
        "protocol imap {\n  rawlog_dir = @DIRECTORY@/r\n}\nprotocol pop3 {\n  rawlog_dir = @DIRECTORY@/p\n}\n"
        "protocol sieve {\n  rawlog_dir = @DIRECTORY@/s\n}\n"
    )
    places = {name: gateway.place(name) for name in "rps"}
    ports = {f"c{number}": gateway.ports["imaps"] for number in range(3)}
    ports |= {"c8": gateway.ports["imap"], "c9": gateway.ports["pop3s"], "c10": gateway.ports["sieve"]}
    with gateway:
        for number, client in enumerate(ports):
            replay(steps(case, [client]), ports, trust, change=as_user(server, BOB))
            gateway.ends(number + 1)
        ours = {name: [halves(path) for path in recorded(place)] for name, place in places.items()}
    assert ours == {name: [halves(path) for path in golden(case, name)] for name in "rps"}


def test_lmtp_rawlog_dir(server: DovecotServer, serve: Callable[..., Serving], trust: ssl.SSLContext) -> None:
    """From the 220 on, three recipients with one unknown, a new pair after STARTTLS, BDAT cut off."""
    gateway = serve("lmtp_rawlog_dir = @DIRECTORY@/lmtp\n")
    place = gateway.place("lmtp")
    with gateway:
        for client in ("c1", "c2", "c3"):
            replay(steps("lmtp_rawlog_dir", [client]), {client: gateway.ports["lmtp"]}, trust)
            gateway.ends(int(client[1]))
        found = recorded(place)
        assert [path.stem.rpartition(".")[2] for path in found] == ["1", "2", "3", "4"]
        ours = [halves(path) for path in found]
    assert ours == [halves(path) for path in golden("lmtp_rawlog_dir")]


def test_the_front_of_lmtp_proxy_rawlog_dir(server: DovecotServer, serve: Callable[..., Serving]) -> None:
    """What the client sees is the same; what the backend sees is not, for Dovecot makes BDAT and XCLIENT of it."""
    gateway = serve("lmtp_rawlog_dir = @DIRECTORY@/front\nlmtp_proxy_rawlog_dir = @DIRECTORY@/proxy\n")
    front, proxy = gateway.place("front"), gateway.place("proxy")
    with gateway:
        replay(steps("lmtp_proxy_rawlog_dir"), {"c1": gateway.ports["lmtp"]})
        gateway.ends(1)
        ours = [halves(path) for path in recorded(front)]
        behind = [halves(path) for path in recorded(proxy)]
    assert ours == [halves(path) for path in golden("lmtp_proxy_rawlog_dir", "front")]
    assert behind[-1][1] == ours[0][0]


POSTLOGIN = """
service imap {
  executable = imap postlogin
}
service postlogin {
  executable = script-login -d rawlog @OPTIONS@
  unix_listener postlogin {
  }
}
"""


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("postlogin_rawlog_plain", ""),
        ("postlogin_rawlog_t", "-t"),
        ("postlogin_rawlog_b", "-b"),
        ("postlogin_rawlog_ip", "-I"),
        ("postlogin_rawlog_fin", "-f in"),
        ("postlogin_rawlog_foutt", "-f out -t"),
        ("postlogin_client_close", "-t"),
    ],
)
def test_the_rawlog_binary(server: DovecotServer, serve: Callable[..., Serving], case: str, options: str) -> None:
    place = recording_on(server, CAROL)
    try:
        with serve(POSTLOGIN.replace("@OPTIONS@", options)) as gateway:
            replay(steps(case), dict.fromkeys(("c1", "c2"), gateway.ports["imap"]), change=as_user(server, CAROL))
            gateway.ends(1)
            (ours,) = {path.with_suffix(".in") for path in place.iterdir()}
            (theirs,) = {
                path.with_suffix(".in") for path in (FOLDER / case).iterdir() if path.suffix in (".in", ".out")
            }
            assert re.sub(r"\d+", "N", ours.name) == re.sub(r"\d+", "N", theirs.name)
            assert halves(ours) == halves(theirs)
    finally:
        shutil.rmtree(place)


PRELOGIN = """
service @SERVICE@-login {
  executable = @SERVICE@-login -R rawlogs
}
"""


@pytest.mark.parametrize(
    ("case", "service", "secrets"),
    [
        ("prelogin_imap_plain", "imap", "keep"),  # with a wrong password, after which Dovecot waits: so not twice
        ("prelogin_pop3", "pop3", "keep"),
        ("prelogin_pop3", "pop3", "redact"),
    ],
)
def test_prelogin(server: DovecotServer, serve: Callable[..., Serving], case: str, service: str, secrets: str) -> None:
    """Up to the login; in clear where that is asked for, else masked at equal length."""
    gateway = serve(f"rawlog_secrets = {secrets}\n" + PRELOGIN.replace("@SERVICE@", service))
    place = gateway.place("run/login/rawlogs")
    change = as_user(server, BOB)
    with gateway:
        replay(steps(case), {"c1": gateway.ports[service]}, change=change)
        gateway.ends(1)
        (ours,) = [halves(path) for path in recorded(place)]
    expected = halves(golden(case)[0])
    for old, new in change.items():
        expected[0] = expected[0].replace(old, new if secrets == "keep" else new.replace(b"builder", b"X" * 7))
    assert ours == expected


def test_prelogin_of_who_says_nothing(server: DovecotServer, serve: Callable[..., Serving]) -> None:
    gateway = serve(PRELOGIN.replace("@SERVICE@", "imap"))
    place = gateway.place("run/login/rawlogs")
    with gateway:
        with dial(gateway.ports["imap"]) as peer:
            peer.line()
        gateway.ends(1)
        (ours,) = [halves(path) for path in recorded(place)]
    assert ours == halves(golden("prelogin_imap_connect_close")[0])


@pytest.mark.parametrize("case", ["submission_relay_plain", "submission_relay_tls"])
def test_the_front_of_submission(server: DovecotServer, serve: Callable[..., Serving], case: str) -> None:
    """From the 235 on. Behind the gateway Dovecot submits to its own relay: another wire than in the case."""
    gateway = serve("protocol submission {\n  rawlog_dir = @DIRECTORY@/sub\n}\n")
    place = gateway.place("sub")
    with gateway:
        context = ssl.create_default_context(cafile=str(server.ca_file))
        replay(steps(case), {"c1": gateway.ports["submission"]}, context, change=as_user(server, ALICE))
        gateway.ends(1)
        (ours,) = [pair(path) for path in recorded(place)]
        theirs = [list(map(normal, both)) for both in server.rawlogs(ALICE)]
    assert normal(ours[0]) == normal(pair(golden(case, "sub")[0])[0])
    assert list(map(normal, ours)) in theirs
