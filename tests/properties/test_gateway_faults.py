"""Recording never breaks mail: full disks, failing files, mistakes of our own; and what is missing is shown."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawlog.dialogue.redact import Masker
from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder import track
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.sinks import FileSink
from rawlog.taps.target import Target
from tests.support.backends import FakeServer, ImapScript, pattern
from tests.support.gateway import RunningGateway, eventually
from tests.support.peer import Peer

GAP = re.compile(rb"\[rawlog: (\d+) bytes not recorded from [-0-9T:.]+Z to [-0-9T:.]+Z: ([^\]]+)\]\r\n")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(ImapScript()) as fake:
        yield fake


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed file is tried again soon."""
    monkeypatch.setattr(track, "FIRST_RETRY", 0.05)
    monkeypatch.setattr(track, "LAST_RETRY", 0.05)


def to(server: FakeServer, directory: Path, **words: object) -> RunningGateway:
    return RunningGateway(f"imap://127.0.0.1:{server.port}", directory, **words)  # type: ignore[arg-type]


def begin(gateway: RunningGateway) -> Peer:
    peer = gateway.dial()
    assert peer.line().startswith(b"* OK ")
    assert peer.command(b"a LOGIN bob secret").startswith(b"a OK ")
    return peer


def echo(peer: Peer, tag: bytes, size: int) -> None:
    """Ask for ``size`` bytes, and get them."""
    assert peer.command(b"%b ECHO %d" % (tag, size)) == b"* ECHO {%d}\r\n%b\r\n%b OK done\r\n" % (
        size,
        pattern(size),
        tag,
    )


def leave(peer: Peer) -> None:
    """Log out and close."""
    assert peer.command(b"z LOGOUT").endswith(b"z OK bye\r\n")
    peer.close()


class Disk:
    """The files of this process, which fail while ``error`` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: int | None = None
        self.failures = 0
        write = FileSink.write

        def written(sink: FileSink, *pieces: bytes) -> None:
            if self.error is not None:
                self.failures += 1
                raise OSError(self.error, os.strerror(self.error))
            write(sink, *pieces)

        monkeypatch.setattr(FileSink, "write", written)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_file_that_fails_for_a_while(server: FakeServer, tmp_path: Path, disk: Disk, quick: None, code: int) -> None:
    with to(server, tmp_path) as gateway, begin(gateway) as peer:
        echo(peer, b"b", 1000)
        disk.error = code
        for number in range(5):
            echo(peer, b"c%d" % number, 50_000)
        eventually(lambda: disk.failures > 2)
        (told,) = gateway.told()
        assert os.strerror(code) in told
        assert "the conversation goes on" in told
        disk.error = None
        eventually(lambda: b"not recorded" in b"".join(path.read_bytes() for path in tmp_path.glob("*.out")))
        echo(peer, b"d", 1000)
        leave(peer)
        out = gateway.record().out
        (gap,) = GAP.finditer(out)
        assert gap[2].decode() == os.strerror(code)
        assert len(out) - len(gap[0]) + int(gap[1]) in (len(peer.received), len(peer.received) + 2)
        assert out.startswith(peer.received[:1000])
        assert out.endswith(peer.received[-1000:])
        assert peer.received.startswith(out[: gap.start()].removesuffix(b"\r\n"))
        assert len(gateway.told()) == 2, "what is missing is told once more at the end"


def test_a_file_that_fails_until_the_end(server: FakeServer, tmp_path: Path, disk: Disk) -> None:
    with to(server, tmp_path) as gateway, begin(gateway) as peer:
        disk.error = errno.ENOSPC
        echo(peer, b"b", 200_000)
        leave(peer)
        gateway.idle()
        assert any("are not in the recording" in line for line in gateway.told())
        assert len(gateway.told()) <= 3
        disk.error = None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a file system takes root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip(f"a tmpfs can't be mounted here: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full(server: FakeServer, small_disk: Path, quick: None) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(200_000))
    with to(server, small_disk / "raw") as gateway, begin(gateway) as peer:
        for number in range(4):
            echo(peer, b"b%d" % number, 60_000)
        (told,) = eventually(gateway.told)
        assert "No space left on device; make room on that file system; the conversation goes on" in told
        filler.unlink()
        eventually(lambda: any(b"not recorded" in path.read_bytes() for path in (small_disk / "raw").glob("*.out")))
        echo(peer, b"c", 100)
        leave(peer)
        out = gateway.record().out
    (gap,) = GAP.finditer(out)
    assert len(out) - len(gap[0]) + int(gap[1]) in (len(peer.received), len(peer.received) + 2)
    assert out.endswith(peer.received[-100:])


def test_a_directory_that_is_full_is_no_reason_to_refuse_mail(server: FakeServer, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(262_144))
    with to(server, small_disk / "raw", template="%u") as gateway:
        for _ in range(3):
            with begin(gateway) as peer:
                echo(peer, b"b", 1000)
                leave(peer)
        gateway.idle()
        assert len(gateway.ends()) == 3
        assert gateway.told()


# -- mistakes of our own -------------------------------------------------------------------------------------------


def raising(*_: object, **__: object) -> None:
    raise ZeroDivisionError("a mistake")


MISTAKES: dict[str, tuple[type, str]] = {
    "masker": (Masker, "chunk"),
    "masker's end": (Masker, "end"),
    "encoder": (PairEncoder, "chunk"),
    "encoder's end": (PairEncoder, "end"),
    "recorder": (Recorder, "chunk"),
    "target": (Target, "open"),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("template", ["", "%u"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_ours_costs_the_record_only(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str, template: str, late: bool
) -> None:
    def fail() -> None:
        monkeypatch.setattr(*MISTAKES[mistake], raising)

    with to(server, tmp_path, template=template) as gateway:
        if not late:
            fail()
        with begin(gateway) as peer:
            echo(peer, b"b", 1000)
            if late:
                fail()
            echo(peer, b"c", 100_000)
            assert peer.command(b"d LOGOUT").endswith(b"d OK bye\r\n")
            assert peer.rest() == b""
        gateway.idle()
        assert len(gateway.ends()) == 1, "the conversation has not come to its end"
        told = [str(error) for error in gateway.errors] + gateway.told()
        gateway.errors.clear()
    assert (mistake == "target" and late) or told, "nobody is told"
    assert len(told) <= 3


def test_an_encoder_that_fails_from_the_nth_call_on(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        calls = iter(range(1000))
        chunk: Callable[..., bytes] = PairEncoder.chunk

        def counted(
            encoder: PairEncoder, *words: object, calls: Iterator[int] = calls, number: int = number, chunk=chunk
        ) -> bytes:
            if next(calls) >= number:
                raise ZeroDivisionError
            return chunk(encoder, *words)

        with monkeypatch.context() as patch, to(server, tmp_path / str(number)) as gateway:
            patch.setattr(PairEncoder, "chunk", counted)
            with begin(gateway) as peer:
                echo(peer, b"b", 1000)
                peer.command(b"c LOGOUT")
            record = gateway.record()
            assert any("the encoder failed" in line for line in gateway.told())
            assert peer.received.startswith(record.out)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_with_strict_nothing_goes_on_that_is_not_recorded(
    server: FakeServer, tmp_path: Path, disk: Disk, error: int
) -> None:
    with to(server, tmp_path, change=lambda words: words.update(on_error="strict")) as gateway:
        peer = begin(gateway)
        echo(peer, b"b", 3000)
        disk.error = error
        peer.send(b"c ECHO 100\r\n")
        assert peer.rest().startswith(b"* BYE [UNAVAILABLE]")
        gateway.idle()
        assert b"c ECHO" not in server.peers[-1].received
        with gateway.dial() as again:  # nobody else is let in either
            assert b"c ECHO" not in again.rest()
        disk.error = None
        leave(begin(gateway))
