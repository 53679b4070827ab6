"""``rawlog show``, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rawlog.cli import main

BASIC = Path(__file__).parent.parent / "golden" / "imap_rawlog_dir_basic"
FIRST = BASIC / "20261122-220657.3831.1.in"


def test_one_half_means_the_pair(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--time", "none", str(FIRST)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "S: a1 OK Logged in" in lines
    assert lines.index("C: a2 NOOP") < lines.index("S: a2 OK NOOP completed (0.001 + 0.000 secs).")
    assert "C* 33 bytes of a literal" in lines


def test_bodies_are_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--bodies", str(FIRST)]) == 0
    shown = capsys.readouterr().out
    assert "C|" in shown
    assert "bytes of a literal" not in shown


def test_a_directory_shows_all_with_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(BASIC)]) == 0
    names = [line for line in capsys.readouterr().out.splitlines() if line.startswith("== ")]
    assert [Path(name).name for name in names] == ["20261122-220657.3831.1", "20261122-220658.3984.1"]


def test_json_is_one_event_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--json", str(FIRST)]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {event["dir"] for event in events if "dir" in event} == {"in", "out"}


def test_colours_only_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(FIRST)]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert main(["show", "--color", "always", str(FIRST)]) == 0
    assert "\x1b[" in capsys.readouterr().out


def test_what_can_not_be_read_is_said_and_the_rest_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(tmp_path / "gone.in"), str(FIRST)]) == 1
    output = capsys.readouterr()
    assert "a2 NOOP" in output.out
    assert output.err.startswith("rawlog: ") and "gone.in: no such file" in output.err


def test_an_empty_directory_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(tmp_path)]) == 1
    assert "no recording in it" in capsys.readouterr().err


def test_without_a_path_it_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["show"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_recording_can_not_act_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "20261122-000000.1.1.in").write_bytes(b"1795385217.000001 a1 \x1b]0;owned\x07\x9b2J\xe2\x80\xae\r\n")
    assert main(["show", str(tmp_path / "20261122-000000.1.1.in")]) == 0
    shown = capsys.readouterr().out
    assert not set(shown) & {"\x1b", "\x07", "\x9b", "\u202e", "\r"}


def lines_of(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["show", "--time", "none", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_one_line_for_each_exchange(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, "--exchanges", str(FIRST))
    assert len(lines) == 14
    assert lines[3].split() == ["601", "ms", "OK", "9", "44", "a4", "NOOP"]


def test_slow_ones_and_those_without_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert [line.split()[-1] for line in lines_of(capsys, "--slow", "100ms", str(FIRST))] == ["NOOP"]
    assert [line.split()[-1] for line in lines_of(capsys, "--errors", str(FIRST))] == ["FOO"]
    assert main(["show", "--slow", "soon", str(FIRST)]) == 2
    assert capsys.readouterr().err == "rawlog: --slow soon: no duration; use for instance 500ms, 1.5s, 2m\n"


def test_recordings_of_which_nothing_is_shown_are_not_named(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, "--errors", str(BASIC))
    assert [line.rpartition("/")[2] for line in lines if line.startswith("==")] == ["20261122-220657.3831.1"]
    assert len([line for line in lines_of(capsys, "--exchanges", str(BASIC)) if line.startswith("==")]) == 2


def test_only_a_span_of_time(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, "--since", "+2", str(FIRST))
    assert lines[0] == "S: * 4 EXISTS"
    assert len(lines_of(capsys, "--until", "+0.01", "--exchanges", str(FIRST))) == 3
    assert main(["show", "--since", "whenever", str(FIRST)]) == 2
    untimed = next((BASIC.parent / "postlogin_rawlog_plain").glob("*.in"))
    assert main(["show", "--since", "+1", str(untimed)]) == 1
    assert "has no times; show it without --since and --until" in capsys.readouterr().err


def test_exchanges_and_events_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = [json.loads(line) for line in lines_of(capsys, "--json", "--slow", "100ms", str(FIRST))]
    assert [(one["verb"], one["latency"]) for one in found] == [("NOOP", 600912)]
    events = [json.loads(line) for line in lines_of(capsys, "--json", "--since", "+2", str(FIRST))]
    assert events[0]["text"].startswith("* 4 EXISTS")


def test_messages_as_their_structure(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, "--mime", str(FIRST))
    at = lines.index("C* 33 bytes of a literal")
    assert lines[at + 1 : at + 3] == ["C| Subject: hi", "C| [text/plain, 18 bytes]"]
