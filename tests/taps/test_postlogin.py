"""The post-login door as a whole: mail processes played by the test, real keepers, a socket of its own."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawlog.engine.loop import Loop
from rawlog.events import Direction
from rawlog.recorder.seal import Seal
from rawlog.settings.options import RawlogOptions
from rawlog.taps import postlogin
from rawlog.taps.postlogin import PostLogin, PostLoginOptions
from rawlog.taps.postlogin_service import serve_postlogin
from tests.support.golden import normal
from tests.support.mailprocess import MailProcess
from tests.support.places import NOBODY, shared_directory
from tests.support.postlogin import pairs
from tests.support.running import Running
from tests.support.sealing import PUBLIC, unsealed

ROOT = os.geteuid() == 0
UID = NOBODY if ROOT else os.geteuid()
GID = NOBODY if ROOT else os.getegid()
STAMPS = RawlogOptions(stamps=True)
IN, OUT = Direction.IN, Direction.OUT
OK = b"a1 OK [CAPABILITY IMAP4rev1] Logged in\r\n"


class Scene(Running):
    """A door in a process of its own; what it reports ends up in ``told()``."""

    def __init__(self, directory: Path, options: PostLoginOptions) -> None:
        self.home = directory / "home"
        self.place = self.home / "dovecot.rawlog"
        self.place.mkdir(parents=True)
        for path in (self.home, self.place):
            os.chown(path, UID, GID)
        self.path = directory / "socket"

        def serve(loop: Loop, report: Callable[[str], None]) -> PostLogin:
            return serve_postlogin(loop, str(self.path), options, report)

        super().__init__(serve, directory / "told")

    def line(self, home: Path | str | None = None, uid: int = UID) -> str:
        """A request's second line, from the user on."""
        return f"alice@example.com\tuid={uid}\tgid={GID}\thome={self.home if home is None else home}\tauth_token=secret"

    def login(self, line: str | None = None) -> MailProcess:
        """A mail process that has asked and got its answer."""
        mail = MailProcess(self.path)
        mail.ask(self.line() if line is None else line)
        assert mail.answer() == f"{self.line() if line is None else line}\n".encode()
        return mail

    def pairs(self) -> list[tuple[bytes, bytes]]:
        return pairs(self.place)


@pytest.fixture
def start() -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []
    with shared_directory() as directory:

        def start(written: RawlogOptions | None = STAMPS, **more: object) -> Scene:
            options = PostLoginOptions(written, **{"trusted": frozenset((os.geteuid(),)), **more})  # type: ignore[arg-type]
            scenes.append(Scene(directory / str(len(scenes)), options))
            return scenes[-1]

        yield start
        for scene in scenes:
            scene.stop()


@pytest.fixture
def scene(start: Callable[..., Scene]) -> Scene:
    return start()


def talk(mail: MailProcess) -> None:
    """A short conversation."""
    assert mail.server is not None
    mail.server.sendall(OK)
    assert mail.client.recv(1000) == OK
    mail.client.sendall(b"a2 NOOP\r\n")
    assert mail.server.recv(1000) == b"a2 NOOP\r\n"


def wait_for(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_recordings_are_sealed_for_a_recipient(start: Callable[..., Scene]) -> None:
    scene = start(seal=Seal([PUBLIC]))
    mail = scene.login()
    talk(mail)
    mail.close()

    def text(half: str) -> bytes:
        data = next((path.read_bytes() for path in scene.place.glob(f"*.{half}.age")), b"")
        return unsealed(data)[0] if data else b""

    wait_for(lambda: text("in") and text("out"))
    assert [normal(text(half)) for half in ("in", "out")] == [b"TS a2 NOOP\r\n", b"TS " + OK]
    assert all(path.suffix == ".age" for path in scene.place.iterdir())


def test_where_there_were_files_they_are_made_behind_the_answer(
    start: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, making them would take the processors from the login itself."""
    monkeypatch.setattr(postlogin, "PATIENCE", 60.0)
    scene = start()
    first = scene.login()
    talk(first)
    wait_for(lambda: any(said for said, _ in scene.pairs()))  # they are known to be there
    second = scene.login()
    time.sleep(0.1)
    assert len(list(scene.place.iterdir())) == 2
    talk(second)
    wait_for(lambda: len(list(scene.place.iterdir())) == 4)
    first.close()
    second.close()


def test_who_has_the_directory_is_recorded(scene: Scene) -> None:
    mail = scene.login()
    talk(mail)
    mail.close()
    wait_for(lambda: scene.pairs() and scene.pairs()[0][1])
    (pair,) = scene.pairs()
    assert [normal(data) for data in pair] == [b"TS a2 NOOP\r\n", b"TS " + OK]
    name = next(scene.place.glob("*.in")).stem
    assert re.fullmatch(rf"\d{{8}}-\d{{6}}-{os.getpid()}", name)  # the mail process is us


def test_answers_go_back_as_the_fields_came(scene: Scene) -> None:
    mail = scene.login(scene.line() + "\todd\tescaped=\x01t\x01x\tlast=")
    assert mail.server is not None
    mail.close()


def test_who_has_no_directory_keeps_the_client_and_nothing_is_said(scene: Scene) -> None:
    scene.place.rmdir()
    mail = scene.login()
    assert mail.server is None
    mail.close()
    assert scene.told() == []


def test_with_debug_it_is_said(start: Callable[..., Scene]) -> None:
    scene = start(debug=True)
    scene.place.rmdir()
    scene.login().close()
    wait_for(scene.told)
    assert scene.told() == [
        f"rawlog(alice@example.com): not recorded: {scene.place}: no such directory; make it (mkdir) to record"
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("u\tuid=1\tgid=1", "the userdb returned no home directory"),
        ("u\tgid=1\thome=/h", "the userdb returned no uid and gid"),
        ("u\tuid=x\tgid=1\thome=/h", "the userdb returned no uid and gid"),
        ("u\tuid=0\tgid=0\thome=/h", "no mail user's"),
        ("u\tuid=4294967295\tgid=1\thome=/h", "no mail user's"),
        ("u\tuid=1\tgid=1\thome=h", "not an absolute path" if ROOT else "can't make files"),
        ("u\tuid=1\tgid=1\thome=/\x010", "no path"),
    ],
)
def test_whatever_is_wrong_with_a_request_costs_no_login(scene: Scene, line: str, why: str) -> None:
    for _ in range(2):
        mail = scene.login(line)
        assert mail.server is None
        mail.close()
    wait_for(scene.told)
    (said,) = scene.told()  # once
    assert said.startswith("rawlog(u): not recorded: ")
    assert why in said
    assert "secret" not in said


def test_without_its_descriptor_a_mail_process_keeps_it(scene: Scene) -> None:
    for fds in (0, 2):
        mail = MailProcess(scene.path)
        mail.ask(scene.line(), fds=fds)
        assert mail.answer() == f"{scene.line()}\n".encode()
        assert mail.server is None
        mail.close()
    assert len(scene.told()) == 2


def test_wrong_options_mean_that_nobody_is_recorded(start: Callable[..., Scene]) -> None:
    mail = start(None).login()
    assert mail.server is None
    mail.close()


@pytest.mark.skipif(not ROOT, reason="asking as two users takes root")
def test_a_user_who_may_ask_is_recorded_as_that_user_only(start: Callable[..., Scene]) -> None:
    scene = start(trusted=frozenset((12345,)))
    mail = scene.login()
    assert mail.server is None
    mail.close()
    assert "uid 0 asked for uid 65534; look at the mode of the post-login socket" in scene.told()[0]


def test_somebody_else_is_sent_away(scene: Scene) -> None:
    mail = MailProcess(scene.path)
    mail.ask("x", version=b"HELO there\n")
    assert mail.answer() == b""
    mail.close()
    assert f"(uid {os.getuid()}, pid {os.getpid()})" in scene.told()[0]


@pytest.mark.parametrize(
    ("written", "endings", "content"),
    [
        (RawlogOptions(), {".in", ".out"}, b"a2 NOOP\r\n"),
        (RawlogOptions(boundaries=True, only=IN), {".in"}, b"<<<\na2 NOOP\r\n>>>\n"),
        (RawlogOptions(address=True, only=IN), {".in"}, b"a2 NOOP\r\n"),
    ],
)
def test_options(start: Callable[..., Scene], written: RawlogOptions, endings: set[str], content: bytes) -> None:
    scene = start(written)
    mail = scene.login()
    talk(mail)
    mail.close()
    wait_for(lambda: {path.suffix for path in scene.place.iterdir()} == endings)
    (path,) = scene.place.glob("*.in")
    wait_for(lambda: path.read_bytes() == content)
    assert path.name.startswith("192.0.2.7-2") is written.address


def test_many_conversations_go_on_at_once(scene: Scene) -> None:
    mails = [scene.login() for _ in range(30)]
    for _ in range(2):
        for mail in mails:
            talk(mail)
    for mail in mails:
        mail.close()
    wait_for(lambda: sum(len(normal(in_)) for in_, _ in scene.pairs()) == 30 * 2 * len(b"TS a2 NOOP\r\n"))
    assert {normal(out) for _, out in scene.pairs()} == {b"TS " + OK + b"TS " + OK}


def test_a_mail_process_that_dies_while_it_asks_is_no_trouble(scene: Scene) -> None:
    for _ in range(20):
        mail = MailProcess(scene.path)
        mail.ask(scene.line())
        mail.close()
    mail = scene.login()
    talk(mail)
    mail.close()


def test_who_connects_and_says_nothing_does_not_keep_others_waiting(scene: Scene) -> None:
    silent = [MailProcess(scene.path) for _ in range(50)]
    for mail in silent[:25]:
        mail.service.sendall(b"VERSION\tscr")
    scene.login().close()
    for mail in silent:
        mail.close()


def test_a_directory_appears_and_from_then_on_it_is_recorded(scene: Scene) -> None:
    scene.place.rmdir()
    assert scene.login().server is None
    scene.place.mkdir()
    os.chown(scene.place, UID, GID)
    mail = scene.login()
    assert mail.server is not None
    mail.close()


def test_where_there_were_files_nobody_waits_and_when_the_directory_is_gone_the_mail_goes_on(scene: Scene) -> None:
    for _ in range(2):
        mail = scene.login()
        talk(mail)
        mail.close()
        wait_for(lambda: not list(scene.place.glob("*")) or all(path.stat().st_size for path in scene.place.iterdir()))
    wait_for(lambda: len(scene.pairs()) == 2)
    for path in scene.place.iterdir():
        path.unlink()
    scene.place.rmdir()
    mail = scene.login()
    talk(mail)  # through us, for it was answered before the keepers had looked
    mail.close()
    wait_for(lambda: scene.login().server is None)
    assert scene.told() == []


def test_secrets_are_masked_when_that_is_wanted(start: Callable[..., Scene]) -> None:
    scene = start(keep_secrets=False)
    mail = scene.login()
    assert mail.server is not None
    talk(mail)
    mail.client.sendall(b"a3 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n")
    mail.server.recv(1000)
    mail.server.sendall(b"a3 BAD already\r\n")
    mail.client.recv(1000)
    mail.close()
    wait_for(lambda: scene.pairs() and b"AUTHENTICATE" in scene.pairs()[0][0])
    assert b"AGFs" not in scene.pairs()[0][0]


def test_the_default_of_the_module_is_what_dovecot_does() -> None:
    options = postlogin.PostLoginOptions(RawlogOptions())
    assert options.keep_secrets
    assert options.trusted == {0}


def test_it_is_a_unix_stream_socket_that_only_its_owner_may_use(scene: Scene) -> None:
    assert scene.path.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.connect(str(scene.path))
