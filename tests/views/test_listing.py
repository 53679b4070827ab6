"""What is noted of recordings, and how a list of them looks."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from rawlog.dialogue.exchange_summary import Summary
from rawlog.errors import RawlogError
from rawlog.views.listing import SORTS, Listed, list_json, list_table, listed, note, shown_name
from tests.support import golden

STAMPED = next(golden.FOLDER.glob("imap_rawlog_dir_basic/*3831.1.in"))


def test_a_note_can_be_kept_as_json() -> None:
    made = listed("x", json.loads(json.dumps(note(str(STAMPED)))))
    assert (made.name, made.summary.commands, made.summary.started) == ("x", 13, 1795385217426464)


def test_what_only_the_name_of_a_file_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    made = note(str(next(golden.FOLDER.glob("postlogin_rawlog_ip/*.in"))))
    assert (made["client"], made["started"]) == ("127.0.0.1", 1795385686_000000)
    monkeypatch.undo()
    time.tzset()


def test_a_name_with_an_impossible_date(tmp_path: Path) -> None:
    path = tmp_path / "20269999-104500.1.1.in"
    path.write_bytes(b"a1 NOOP\r\n")
    assert note(str(path))["started"] is None


def test_what_can_not_be_read_raises(tmp_path: Path) -> None:
    with pytest.raises(RawlogError):
        note(str(tmp_path / "gone"))


def test_a_table_can_not_act_on_the_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    bad = "\x1b[31m\u202e\n"
    summary = Summary(protocol="imap", user=bad, client=bad, software=bad, end=bad, commands=3, in_bytes=12345)
    lines = list(list_table([Listed(f"{tmp_path}/{bad}", summary)]))
    assert len(lines) == 2
    assert not set("".join(lines)) & {"\x1b", "\u202e", "\n"}
    assert "12.3k" in lines[1]
    assert lines[1].endswith("\\x1b[31m\\u{202e}\\n")


def test_names_are_shown_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_name(f"{tmp_path}/a/b") == "a/b"
    assert shown_name("/elsewhere/b") == "/elsewhere/b"


def test_json() -> None:
    (line,) = list_json([Listed("/raw/x", Summary(protocol="pop3", user="a", started=1, ended=5, slowest=3))])
    assert json.loads(line) == {
        "recording": "/raw/x",
        "time": "1970-01-01T00:00:00.000001Z",
        "duration": 4,
        "protocol": "pop3",
        "user": "a",
        "client": "",
        "software": "",
        "started": 1,
        "ended": 5,
        "commands": 0,
        "errors": 0,
        "slowest": 3,
        "in_bytes": 0,
        "out_bytes": 0,
        "end": "",
    }


@pytest.mark.parametrize("key", SORTS)
def test_every_order_works_without_any_value(key: str) -> None:
    nothing, something = Listed("a", Summary()), Listed("b", note_of_something())
    assert sorted([something, nothing], key=SORTS[key])[0] is nothing


def note_of_something() -> Summary:
    return Summary("imap", "u", "c", "s", 5, 9, 1, 1, 1, 1, 1, "e")
