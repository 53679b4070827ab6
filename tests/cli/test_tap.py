"""``rawlog tap`` as a process: what it says, how it ends, and how it refuses what can't work, in one line."""

from __future__ import annotations

import imaplib
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.cli import main
from rawlog.engine.loop import Loop
from tests.support.backends import FakeServer, ImapScript
from tests.support.certificates import certificates
from tests.support.gateway import TapProcess, eventually, records, tap_process
from tests.support.peer import SECONDS, Peer, dial
from tests.support.probes import CLOSED, EVERYTHING, Stage, in_a_process, needs_network_rules, own_state

HERE = ("--listen", "127.0.0.1:0")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(ImapScript()) as fake:
        yield fake


def url(server: FakeServer, scheme: str = "imap") -> str:
    return f"{scheme}://localhost:{server.port}"


def pem(kind: str = "good") -> str:
    return str(certificates().pem(kind))


def refused(*words: str, **environment: str) -> tuple[int, str]:
    """Exit code of ``rawlog tap`` and the only line that it printed."""
    command = [sys.executable, "-P", "-m", "rawlog", "tap", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env={**os.environ, **environment})
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "Traceback" not in line
    return done.returncode, line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nonsense://x", *HERE), "backend 'nonsense://x': unknown scheme 'nonsense'"),
        (("imap.example.com", *HERE), "a scheme is missing: write for instance imaps://imap.example.com"),
        (("imap://", *HERE), "only a host and a port may follow 'imap://'"),
        (("imap://h:99999", *HERE), "'99999' is not a port"),
        (("imap://h", "--listen", "127.0.0.1:x"), "'x' is not a port"),
        (("imap://h", "--listen", "127.0.0.1"), "127.0.0.1"),
        (("imap://h", "--listen", "unix:relative"), "must be absolute"),
        (("imap://127.0.0.1", *HERE, "--cert", "missing.pem"), "missing.pem: No such file or directory"),
        (("imap://127.0.0.1", *HERE, "--key", "key.pem"), "--key: --cert is missing"),
        (("imaps://127.0.0.1", *HERE, "--cert", "@good", "--ca", "missing.pem"), "missing.pem: No such file"),
        (("imap://127.0.0.1", *HERE, "--cert", "@good", "--dir", "%z"), "%z"),
        (("imap://127.0.0.1", *HERE, "--cert", "@good", "--dir", "%h/rec"), "%h/rec: the user's home stands in a user"),
        (("imap://127.0.0.1", *HERE, "--secrets", "show"), "invalid choice: 'show'"),
        (("imap://127.0.0.1",), "--listen"),
        ((*HERE,), "BACKEND"),
        (("imap://127.0.0.1", *HERE, "--what"), "--what"),
    ],
)
def test_wrong_usage_is_told_in_one_line(words: tuple[str, ...], told: str) -> None:
    code, line = refused(*(pem() if word == "@good" else word for word in words))
    assert code == 2
    assert told in line
    assert line.startswith("rawlog")


def test_what_can_not_work_is_told_in_one_line(server: FakeServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        code, line = refused(url(server), "--listen", where, "--cert", pem(), "--dir", str(tmp_path))
    assert code == 1
    assert line == f"rawlog: listener {where}: the address is in use; choose another one, or end what listens there"
    code, line = refused("imap://no-such-host.invalid", *HERE, "--cert", pem())
    assert code == 1
    assert "no-such-host.invalid: " in line
    assert "check the name" in line


def test_without_anything_to_make_a_certificate_it_says_what_to_do(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "trustme.py").write_text("raise ImportError('not here')\n")
    code, line = refused(url(server), *HERE, PATH="", PYTHONPATH=str(tmp_path))
    assert code == 2
    assert "give --cert and --key, or install the openssl command" in line


def test_its_help_has_examples() -> None:
    command = [sys.executable, "-P", "-m", "rawlog", "tap", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0
    assert "Examples:\n  rawlog tap imaps://" in done.stdout
    assert "%u" in done.stdout
    assert "%%" not in done.stdout


def test_a_conversation_is_recorded(server: FakeServer, tmp_path: Path) -> None:
    words = (url(server), *HERE, "--listen", "tls:127.0.0.1:0", "--cert", pem())
    with tap_process(*words, directory=tmp_path / "%u") as tap:
        with imaplib.IMAP4_SSL(
            "localhost", tap.ports[1], ssl_context=certificates().client(), timeout=SECONDS
        ) as client:
            client.login("bob", "secret")
        assert "user=bob" in tap.read_until(" end=")
        with imaplib.IMAP4("localhost", tap.ports[0], timeout=SECONDS) as plain:
            plain.starttls(certificates().client())
            plain.login("bob", "secret")
        tap.read_until(" end=")
        tap.signal(signal.SIGTERM)
        assert tap.wait() == 0
    assert not any("secret" in line for line in tap.lines)
    found = records(tmp_path)
    assert [record.path.parent for record in found] == [tmp_path / "bob"] * 2
    assert all(b"secret" not in record.in_ and b" LOGIN bob " in record.in_ for record in found)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*.in")} == {0o600}
    assert stat.S_IMODE((tmp_path / "bob").stat().st_mode) == 0o700


def test_to_keep_secrets_is_said_at_the_start(server: FakeServer, tmp_path: Path) -> None:
    with tap_process(url(server), *HERE, "--cert", pem(), "--secrets", "keep", directory=tmp_path) as tap:
        assert any("--secrets keep: the recordings will hold passwords" in line for line in tap.lines)
        with dial(tap.ports[0]) as peer:
            peer.line()
            peer.command(b"a LOGIN bob secret")
        tap.read_until(" end=")
    (record,) = records(tmp_path)
    assert record.in_ == b"a LOGIN bob secret\r\n"


@pytest.mark.parametrize("scheme", ["imaps", "imap+starttls"])
def test_the_authorities_of_the_server_may_be_given(tmp_path: Path, scheme: str) -> None:
    context = certificates().server()
    script = ImapScript(context=context if scheme == "imap+starttls" else None)
    with FakeServer(script, context if scheme == "imaps" else None) as server:
        for words, word in ((("--ca", str(certificates().ca_file)), b"* OK "), ((), b"* BYE ")):
            with tap_process(url(server, scheme), *HERE, "--cert", pem(), *words, directory=tmp_path) as tap:
                with dial(tap.ports[0]) as peer:
                    assert peer.line().startswith(word)
                if not words:
                    assert "is not trusted here; add that authority's" in tap.read_until("backend ")


def test_without_a_certificate_it_makes_one_and_says_so(server: FakeServer, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is not installed")
    with tap_process(url(server), "--listen", "tls:127.0.0.1:0", directory=tmp_path) as tap:
        assert any("made a self-signed certificate for today" in line for line in tap.lines)
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        with dial(tap.ports[0], trusting) as peer:
            assert peer.line().startswith(b"* OK ")
        with pytest.raises(ssl.SSLCertVerificationError):
            dial(tap.ports[0], certificates().client())


# -- the end -------------------------------------------------------------------------------------------------------


@pytest.fixture
def tap(server: FakeServer, tmp_path: Path) -> Iterator[TapProcess]:
    with tap_process(url(server), *HERE, "--cert", pem(), directory=tmp_path) as process:
        yield process


def talking(tap: TapProcess) -> Peer:
    peer = dial(tap.ports[0])
    assert peer.line().startswith(b"* OK ")
    assert peer.command(b"a LOGIN bob secret").startswith(b"a OK ")
    return peer


def refuses(port: int) -> bool:
    try:
        dial(port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_sigterm_lets_conversations_end(tap: TapProcess, tmp_path: Path) -> None:
    with talking(tap) as peer:
        tap.signal(signal.SIGTERM)
        tap.read_until("waiting for those that are there")
        eventually(lambda: refuses(tap.ports[0]))
        assert peer.command(b"b NOOP").startswith(b"b OK ")
        assert peer.command(b"c LOGOUT").endswith(b"c OK bye\r\n")
    assert tap.wait() == 0
    (record,) = records(tmp_path)
    assert record.in_.endswith(b"c LOGOUT\r\n")


def test_a_second_sigterm_ends_them(tap: TapProcess, tmp_path: Path) -> None:
    with talking(tap) as peer:
        tap.signal(signal.SIGTERM)
        tap.read_until("waiting for those that are there")
        tap.signal(signal.SIGTERM)
        assert tap.wait() == 0
        assert peer.rest() == b""
    assert any("end='the gateway was ended'" in line for line in tap.lines)
    (record,) = records(tmp_path)
    assert record.out == peer.received


def test_sigint_ends_at_once(tap: TapProcess, tmp_path: Path) -> None:
    with talking(tap) as peer:
        tap.signal(signal.SIGINT)
        assert tap.wait() == 0
        assert peer.rest() == b""
    (record,) = records(tmp_path)
    assert record.in_ == b"a LOGIN bob XXXXXX\r\n"


def test_an_idle_gateway_ends_at_sigterm(tap: TapProcess) -> None:
    tap.signal(signal.SIGTERM)
    assert tap.wait() == 0


def test_a_client_that_is_refused_does_not_keep_it(tmp_path: Path) -> None:
    words = ("imap+unix:/nowhere/at/all", *HERE, "--cert", pem())
    with tap_process(*words, directory=tmp_path) as tap, dial(tap.ports[0]) as peer:
        assert peer.line().startswith(b"* BYE ")
        tap.signal(signal.SIGTERM)
        tap.read_until("waiting for those that are there")
        tap.signal(signal.SIGTERM)
        assert tap.wait() == 0


@needs_network_rules
def test_it_can_only_do_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the work it tries what it need not."""
    stage, found = Stage(tmp_path), list[object]()
    words = ["tap", "imap://127.0.0.1:9", *HERE, "--cert", pem(), "--dir", f"{stage.raw}/%u"]

    def life() -> list[object]:
        monkeypatch.setattr(Loop, "run", lambda loop: found.extend([stage.tried(EVERYTHING), own_state()]))
        main(words)
        return found

    assert in_a_process(life) == repr([["make a directory"], CLOSED])
