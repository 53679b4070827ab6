"""Recordings that are sealed while they are made, at every door, finished or killed."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from rawlog.errors import ConfigError
from rawlog.formats.sealed import NOT_FINISHED
from rawlog.recorder.seal import Seal
from rawlog.settings.loader import loads
from rawlog.settings.options import RawlogOptions
from rawlog.taps.dropin_relay import relay
from rawlog.taps.postlogin import PostLoginOptions
from rawlog.taps.postlogin_settings import with_settings
from tests.support.backends import FakeServer, ImapScript
from tests.support.canaries import leaks
from tests.support.gateway import eventually, plain, tap_process
from tests.support.peer import dial
from tests.support.sealing import PUBLIC, unsealed

SECRET = b"C4nary-Wonderland"


def halves(directory: Path) -> dict[str, Path]:
    """The two files of the only recording."""
    return {path.name.split(".")[-2]: path for path in sorted(directory.rglob("*.age"))}


@pytest.mark.parametrize("killed", [False, True])
def test_a_gateway_can_not_read_what_it_recorded_and_a_recipient_can(tmp_path: Path, killed: bool) -> None:
    with FakeServer(ImapScript()) as fake:
        words = [f"imap://127.0.0.1:{fake.port}", "--listen", "127.0.0.1:0", "--recipient", PUBLIC]
        with tap_process(*words, directory=tmp_path) as tap, dial(tap.ports[0]) as peer:
            peer.line()
            # the gateway has no certificate that this client knows: the login is refused, and recorded all the same
            peer.command(b"a LOGIN bob " + SECRET)
            peer.command(b"b NOOP")
            eventually(lambda: b"b NOOP" in unsealed_or_nothing(tmp_path))
            if killed:
                tap.signal(signal.SIGKILL)
                tap.wait()
            else:
                peer.close()
                tap.read_until(" end=")
    for path in halves(tmp_path).values():
        data = path.read_bytes()
        assert b"NOOP" not in data
        text, why = unsealed(data)
        assert why == ([NOT_FINISHED] if killed else [])
        assert not leaks(SECRET, text)
        assert path.stat().st_mode & 0o777 == 0o600
    assert plain(unsealed(halves(tmp_path)["in"].read_bytes())[0]).endswith(b"b NOOP\r\n")


def unsealed_or_nothing(directory: Path) -> bytes:
    """What a recipient can read of the client's half by now."""
    path = halves(directory).get("in")
    data = path.read_bytes() if path else b""
    return plain(unsealed(data)[0]) if data else b""


def test_what_the_drop_in_writes_is_sealed_or_not_written(tmp_path: Path) -> None:
    def say(*sentences: str) -> None:
        os.write(2, "; ".join(sentences).encode() + b"\n")

    for recipients in ([PUBLIC], ["age1nonsense"]):
        path = tmp_path / f"{len(recipients[0])}.in.age"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        (client, theirs), (ours, program) = socket.socketpair(), socket.socketpair()
        theirs.setblocking(False)
        ours.setblocking(False)
        child = os.fork()
        if child == 0:
            try:
                client.close()
                program.close()
                files = [("in", fd, str(path))]
                ends = theirs.detach(), ours.detach()
                relay(*ends, files, stamps=False, boundaries=False, say=say, recipients=recipients)
            finally:
                os._exit(0)
        for one in (theirs, ours):
            one.close()
        os.close(fd)
        client.sendall(b"a NOOP\r\n")
        assert program.recv(100) == b"a NOOP\r\n"
        client.close()
        program.close()
        os.waitpid(child, 0)
        if recipients == [PUBLIC]:
            assert unsealed(path.read_bytes()) == (b"a NOOP\r\n", [])
        else:
            assert path.read_bytes() == b""


def test_settings_that_can_not_hold_together_are_refused() -> None:
    options = with_settings(PostLoginOptions(RawlogOptions()), loads(f"rawlog_recipient = {PUBLIC}\n"))
    assert isinstance(options.seal, Seal)
    assert with_settings(PostLoginOptions(RawlogOptions()), loads("")).seal is None
    for text, message in {
        f"rawlog_recipient = {PUBLIC}\nrawlog_relay = unbreakable\n": "don't go together",
        "rawlog_recipient = age1x\n": "<text>:1: .*'age1x' is no recipient of age",
    }.items():
        with pytest.raises(ConfigError, match=message):
            loads(text)
    with pytest.raises(ConfigError, match="does not go together with --relay unbreakable"):
        with_settings(PostLoginOptions(RawlogOptions(), unbreakable=True), loads(f"rawlog_recipient = {PUBLIC}\n"))
