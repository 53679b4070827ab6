"""Recordings in other formats, and their messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.reading.opener import open_recording
from rawlog.views import copies
from rawlog.views.copies import as_combined, as_dovecot, as_messages, as_native
from tests.support import golden

IN, OUT = Direction.IN, Direction.OUT
BASIC = open_recording(next(golden.FOLDER.glob("imap_rawlog_dir_basic/*3831.1.in")))
PLAIN = open_recording(next(golden.FOLDER.glob("postlogin_rawlog_plain/*.in")))


def sides(recording: Recording) -> dict[Direction, bytes]:
    said = dict.fromkeys(Direction, b"")
    for event in recording.events:
        if isinstance(event, Chunk):
            said[event.direction] += event.data
    return said


@pytest.mark.parametrize("copy", [as_dovecot, as_combined, as_native])
@pytest.mark.parametrize("recording", [BASIC, PLAIN], ids=["timed", "plain"])
def test_no_byte_is_lost(copy: copies.Copy, recording: Recording, tmp_path: Path) -> None:
    made = copy(recording, tmp_path)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in made)
    assert sides(open_recording(made[0])) == sides(recording)


def test_dovecots_pair_comes_out_as_it_was(tmp_path: Path) -> None:
    for half in as_dovecot(BASIC, tmp_path):
        assert half.read_bytes() == (golden.FOLDER / "imap_rawlog_dir_basic" / half.name).read_bytes()
    for half in as_dovecot(PLAIN, tmp_path):
        assert half.read_bytes() == (golden.FOLDER / "postlogin_rawlog_plain" / half.name).read_bytes()


def test_the_native_format_keeps_everything(tmp_path: Path) -> None:
    events: list[Event] = [Mark(1, "opened", {"a": "b"}), Chunk(None, IN, b"x"), Chunk(3, OUT, b"y")]
    (path,) = as_native(Recording("test", events, protocol="imap"), tmp_path)
    again = open_recording(path)
    assert (list(again.events), again.protocol) == (events, "imap")


def test_names_are_not_used_twice(tmp_path: Path) -> None:
    for name in ("20261122-220657.3831.1", "20261122-220657.3831.1-2"):
        assert [path.name for path in as_dovecot(BASIC, tmp_path)] == [f"{name}.in", f"{name}.out"]


def test_messages(tmp_path: Path) -> None:
    made = as_messages(BASIC, tmp_path)
    assert [path.name.partition("3831.1-")[2] for path in made] == [
        "0001-append.eml",
        "0002-append.eml",
        "0003-append.eml",
        "0004-fetch.eml",
        "0005-fetch.eml",
        "0006-fetch.eml",
        "0007-fetch.eml",
    ]
    assert made[0].read_bytes() == b"Subject: hi\r\n\r\nline1\r\nline2 no nl"
    torn = open_recording(next(golden.FOLDER.glob("disk_full/*30923.1.in")))
    assert [path.name.rpartition("-")[2] for path in as_messages(torn, tmp_path)] == ["append.eml", "append.part.eml"]


def test_a_message_that_is_too_large_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complete = copies.messages
    monkeypatch.setattr(copies, "messages", lambda recording: complete(recording, limit=35))
    with pytest.raises(RawlogError, match="message 2 is too large to be exported"):
        as_messages(BASIC, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
