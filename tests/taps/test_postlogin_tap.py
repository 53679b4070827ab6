"""What a conversation behind a login shows to its recorder: early bytes, COMPRESS, secrets."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

import pytest

from rawlog.events import Direction
from rawlog.taps import postlogin_tap
from rawlog.taps.postlogin_tap import PostLoginTap

IN, OUT = Direction.IN, Direction.OUT
OK = b"a1 OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n"
OK_COMPRESS = b"a1 OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] Logged in\r\n"


class FakeLeg:
    tap: Callable[[int, Direction, bytes], None] | None = None


class FakeRecorder:
    def __init__(self) -> None:
        self.chunks: list[tuple[int | None, Direction, bytes]] = []
        self.marks: list[str] = []
        self.closed: list[tuple[int, str]] = []

    def chunk(self, at: int | None, direction: Direction, data: bytes) -> None:
        if data:
            self.chunks.append((at, direction, data))

    def mark(self, at: int | None, name: str, detail: Mapping[str, str]) -> None:
        self.marks.append(name)

    def close(self, at: int, reason: str) -> None:
        self.closed.append((at, reason))

    def text(self, direction: Direction) -> bytes:
        return b"".join(data for _, way, data in self.chunks if way is direction)


class Scene:
    """A tap, with what it is shown."""

    def __init__(self, *, keep: bool = True, record: bool = True) -> None:
        self.leg, self.recorder, self.full = FakeLeg(), FakeRecorder(), list[bool]()
        self.tap = PostLoginTap(self.leg, keep=keep, on_full=lambda: self.full.append(True))  # type: ignore[arg-type]
        self.at = 0
        if record:
            self.record()

    def record(self) -> None:
        self.tap.record(self.recorder)  # type: ignore[arg-type]

    def see(self, direction: Direction, data: bytes) -> None:
        self.at += 1
        if self.leg.tap is not None:
            self.leg.tap(self.at, direction, data)


def test_nothing_is_in_the_way_of_what_need_not_be_understood() -> None:
    scene = Scene()
    scene.see(OUT, OK)
    assert scene.leg.tap == scene.recorder.chunk
    scene.see(IN, b"a2 NO")
    assert scene.recorder.chunks == [(1, OUT, OK), (2, IN, b"a2 NO")]
    scene.tap.close(9, "client closed")
    assert scene.recorder.closed == [(9, "client closed")]


@pytest.mark.parametrize("late", range(1, 6))
def test_a_recording_that_comes_late_is_in_the_clear_all_the_same(late: int) -> None:
    """The files may take until the client has begun to compress, or until everything was said."""
    scene = Scene(record=False)
    packer = zlib.compressobj(wbits=-15)
    logout = packer.compress(b"a3 LOGOUT\r\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    packer = zlib.compressobj(wbits=-15)
    bye = packer.compress(b"* BYE\r\na3 OK\r\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    said = [(OUT, OK_COMPRESS), (IN, b"a2 COMPRESS DEFLATE\r\n"), (OUT, b"a2 OK Begin compression\r\n")]
    for number, (direction, data) in enumerate([*said, (IN, logout), (OUT, bye)], 1):
        scene.see(direction, data)
        if number == late:
            scene.record()
    scene.tap.close(9, "client closed")
    assert scene.recorder.text(IN) == b"a2 COMPRESS DEFLATE\r\na3 LOGOUT\r\n"
    assert scene.recorder.text(OUT) == OK_COMPRESS + b"a2 OK Begin compression\r\n* BYE\r\na3 OK\r\n"


def test_who_speaks_before_the_answer_is_recorded_at_once() -> None:
    scene = Scene()
    scene.see(IN, b"a2 NOOP\r\n")
    assert scene.recorder.chunks == [(1, IN, b"a2 NOOP\r\n")]
    scene.see(OUT, OK)
    assert scene.recorder.chunks == [(1, IN, b"a2 NOOP\r\n"), (2, OUT, OK)]
    assert scene.leg.tap == scene.recorder.chunk


def test_what_is_said_before_the_files_are_there_is_held() -> None:
    scene = Scene(record=False)
    scene.see(OUT, OK)
    scene.see(IN, b"a2 NOOP\r\n")
    scene.record()
    scene.see(OUT, b"a2 OK\r\n")
    assert scene.recorder.chunks == [(1, OUT, OK), (2, IN, b"a2 NOOP\r\n"), (3, OUT, b"a2 OK\r\n")]


def test_a_conversation_may_end_before_its_files_are_there() -> None:
    scene = Scene(record=False)
    scene.see(OUT, OK)
    scene.tap.close(5, "client closed")
    scene.record()
    assert scene.recorder.chunks == [(1, OUT, OK)]
    assert scene.recorder.closed == [(5, "client closed")]


def test_files_that_never_come_leave_nothing_behind() -> None:
    scene = Scene(record=False)
    scene.see(OUT, OK)
    scene.tap.record(None)
    assert scene.leg.tap is None
    scene.see(OUT, b"more")
    scene.tap.close(5, "x")
    assert scene.recorder.chunks == []


def test_what_is_held_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postlogin_tap, "EARLY_LIMIT", 10)
    scene = Scene(record=False)
    scene.see(OUT, b"x" * 10)
    assert scene.full == []
    scene.see(OUT, b"x")
    assert scene.full == [True]
    scene = Scene()
    scene.see(IN, b"x" * 11)  # who says so much before the answer is not waited for
    assert scene.leg.tap == scene.recorder.chunk


@pytest.mark.parametrize("early", [b"", b"a0 NO", b"a0 NOOP\r\na00 NOOP\r\n"])
@pytest.mark.parametrize("late", [False, True])
def test_what_is_compressed_is_recorded_in_the_clear(early: bytes, late: bool) -> None:
    scene = Scene(record=not late)
    packer_in, packer_out = zlib.compressobj(wbits=-15), zlib.compressobj(wbits=-15)
    if early:
        scene.see(IN, early)
    scene.see(OUT, OK_COMPRESS)
    if late:
        scene.record()
    rest = b"OP\r\n" if early == b"a0 NO" else b""
    scene.see(IN, rest + b"a2 COMPRESS DEFLATE\r\n")
    scene.see(OUT, b"a2 OK go\r\n")
    for direction, packer, data in ((IN, packer_in, b"a3 NOOP\r\n"), (OUT, packer_out, b"a3 OK done\r\n")):
        packed = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
        scene.see(direction, packed[:3])
        scene.see(direction, packed[3:])
    scene.tap.close(9, "x")
    assert scene.recorder.text(IN) == early + rest + b"a2 COMPRESS DEFLATE\r\na3 NOOP\r\n"
    assert scene.recorder.text(OUT) == OK_COMPRESS + b"a2 OK go\r\na3 OK done\r\n"
    assert scene.recorder.marks == ["compress"]


def test_kept_secrets_are_as_they_were() -> None:
    scene = Scene()
    scene.see(OUT, OK_COMPRESS)
    scene.see(IN, b"a2 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n")
    assert scene.recorder.text(IN) == b"a2 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n"


def test_secrets_are_masked_when_that_is_wanted() -> None:
    scene = Scene(keep=False)
    scene.see(IN, b"a2 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n")
    assert scene.recorder.text(IN) == b""  # who is asked is not known yet
    scene.see(OUT, OK)
    scene.see(OUT, b"a2 BAD already\r\n")
    scene.tap.close(9, "x")
    assert scene.recorder.text(IN).startswith(b"a2 AUTHENTICATE PLAIN XXXXXXXX")
    assert len(scene.recorder.text(IN)) == len(b"a2 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n")
    assert scene.recorder.text(OUT) == OK + b"a2 BAD already\r\n"


def test_pop3_is_known_by_its_answer() -> None:
    scene = Scene(keep=False)
    scene.see(OUT, b"+OK Logged in.\r\n")
    scene.see(IN, b"STAT\r\n")
    scene.see(OUT, b"+OK 0 0\r\n")
    scene.see(IN, b"PASS secret\r\n")
    scene.see(OUT, b"-ERR\r\n")
    scene.tap.close(9, "x")
    assert scene.recorder.text(IN).startswith(b"STAT\r\nPASS ")
    assert b"secret" not in scene.recorder.text(IN)
