"""``rawlog doctor`` in front of a real Dovecot: quiet where a recording is made, plain about what keeps one back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawlog.cli import main
from tests.support.dovecot import DovecotServer
from tests.support.postlogin import recording_on
from tests.support.serving import Serving

pytestmark = pytest.mark.live

ALICE, BOB, NOHOME = "alice@example.com", "bob@example.com", "nohome@example.com"
MORE = """
protocol imap {
  rawlog_dir = @DIRECTORY@/raw/%u
}
service pop3 {
  executable = pop3 postlogin
}
service postlogin {
  executable = script-login -d rawlog -t
  unix_listener postlogin {
  }
}
lmtp_rawlog_dir = @DIRECTORY@/lmtp
"""


@pytest.fixture
def gateway(dovecot: DovecotServer, serve: Callable[..., Serving]) -> Iterator[Serving]:
    """A configuration in which everything is right for alice; nothing is started."""
    gateway = serve(MORE)
    for name in (f"raw/{ALICE}", "lmtp", "run"):
        gateway.place(name)
    place = recording_on(dovecot, ALICE)
    yield gateway
    shutil.rmtree(place)


def doctor(gateway: Serving, capsys: pytest.CaptureFixture[str], *user: str) -> tuple[int, list[str]]:
    """The exit code, and the lines that are not ok."""
    code = main(["doctor", *user, "-c", str(gateway.file)])
    lines = capsys.readouterr().out.splitlines()
    assert all(line[:5] in ("ok   ", "warn ", "fail ") for line in lines)
    return code, [line for line in lines if not line.startswith("ok ")]


def test_where_everything_is_right(gateway: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = doctor(gateway, capsys, ALICE)
    assert code == 0
    assert [line for line in told if "no setting asks" not in line and "are free" not in line] == []
    code, told = doctor(gateway, capsys)
    assert code == 0
    assert any("depends on the user" in line for line in told)


def test_also_while_it_runs(gateway: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root is told who listens at a port")
    with gateway:
        assert doctor(gateway, capsys, ALICE)[0] == 0


def missing(gateway: Serving, dovecot: DovecotServer) -> None:
    shutil.rmtree(gateway.directory / "raw" / ALICE)


def unwritable(gateway: Serving, dovecot: DovecotServer) -> None:
    (gateway.directory / "raw" / ALICE).chmod(0o755)


def a_file(gateway: Serving, dovecot: DovecotServer) -> None:
    missing(gateway, dovecot)
    (gateway.directory / "raw" / ALICE).touch()


def home_linked(gateway: Serving, dovecot: DovecotServer) -> None:
    place = dovecot.home(ALICE) / "dovecot.rawlog"
    place.rmdir()
    place.symlink_to("/tmp")


def port_taken(gateway: Serving, dovecot: DovecotServer) -> None:
    change(gateway, f"port = {gateway.ports['imap']}", f"port = {dovecot.ports['imap']}")


def backend_gone(gateway: Serving, dovecot: DovecotServer) -> None:
    change(gateway, f"imaps://localhost:{dovecot.ports['imaps']}", f"imaps://localhost:{gateway.ports['pop3s']}")


def backend_plain(gateway: Serving, dovecot: DovecotServer) -> None:
    change(gateway, f"imaps://localhost:{dovecot.ports['imaps']}", f"imaps://localhost:{dovecot.ports['imap']}")


def backend_unknown(gateway: Serving, dovecot: DovecotServer) -> None:
    change(gateway, f"ssl_client_ca_file = {dovecot.directory}/ca.pem\n", "")


def change(gateway: Serving, old: str, new: str) -> None:
    text = gateway.file.read_text()
    assert old in text
    gateway.file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (missing, "no such directory; make it (mkdir) to record"),
        (unwritable, "is not writable by uid 65534; give this user the directory (chown) or write access"),
        (a_file, "is not a directory; put a directory there"),
        (home_linked, "dovecot.rawlog is a symbolic link; it must be a directory itself"),
        (port_taken, "taken by pid "),
        (backend_gone, "connection refused, nothing listens there"),
        (backend_plain, "answers in plain text where TLS is expected"),
        (backend_unknown, "comes from an authority that is not trusted here"),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees all of it")
def test_what_is_wrong(
    gateway: Serving,
    dovecot: DovecotServer,
    capsys: pytest.CaptureFixture[str],
    break_it: Callable[[Serving, DovecotServer], None],
    told: str,
) -> None:
    place = dovecot.home(ALICE) / "dovecot.rawlog"
    try:
        break_it(gateway, dovecot)
        code, lines = doctor(gateway, capsys, ALICE)
    finally:
        if place.is_symlink():
            place.unlink()
            recording_on(dovecot, ALICE)
    assert code == 1
    assert any(line.startswith("fail ") and told in line for line in lines), lines


@pytest.mark.parametrize(
    ("user", "told"),
    [
        (BOB, "dovecot.rawlog: no such directory; make it (mkdir) to record"),
        (NOHOME, "userdb returns no home for nohome@example.com; let it return one (mail_home does not count)"),
        ("stranger@example.com", "no userdb knows this user; see rawlog user -u stranger@example.com"),
    ],
)
def test_who_is_not_recorded(gateway: Serving, capsys: pytest.CaptureFixture[str], user: str, told: str) -> None:
    code, lines = doctor(gateway, capsys, user)
    assert code == 1
    assert any(told in line for line in lines), lines


def test_a_bad_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "conf").write_text("rawlog_dirr = /x\n")
    assert main(["doctor", "-c", str(tmp_path / "conf")]) == 2
    assert "did you mean rawlog_dir?" in capsys.readouterr().err
