"""Recordings that grow, and new ones, are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rawlog.events import Chunk
from rawlog.reading import follow as module
from rawlog.reading.follow import HOT, Follower, News

SECOND = 1_000_000
LATER = 1_900_000_000 * SECOND  # behind every stamp here: nothing waits


class Desk:
    """A follower with a clock moved by hand."""

    def __init__(self, *places: Path, everything: bool = False) -> None:
        self.failures: list[str] = []
        self.now = LATER
        self.follower = Follower(
            [str(place) for place in places],
            now=self.now,
            everything=everything,
            fail=lambda error: self.failures.append(str(error)),
        )

    def news(self, seconds: float = 1) -> list[News]:
        self.now += int(seconds * SECOND)
        return list(self.follower.poll(self.now))

    def texts(self, seconds: float = 1) -> list[tuple[str, bytes, bool]]:
        found = self.news(seconds)
        return [(Path(n.name).name, n.event.data, n.old) for n in found if isinstance(n.event, Chunk)]


def add(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(text)


def test_what_is_added_is_news_and_what_was_there_is_old(tmp_path: Path) -> None:
    add(tmp_path / "20261122-104500.1.1.in", b"1.000000 a\n")
    add(tmp_path / "20261122-104500.1.1.out", b"2.000000 b\n")
    desk = Desk(tmp_path)
    assert desk.news() == []
    add(tmp_path / "20261122-104500.1.1.in", b"3.000000 c\n")
    name = "20261122-104500.1.1"
    assert desk.texts() == [(name, b"a\n", True), (name, b"b\n", True), (name, b"c\n", False)]
    add(tmp_path / "20261122-104500.1.1.out", b"4.000000 d\n")
    assert desk.texts() == [(name, b"d\n", False)]
    assert desk.news() == []


def test_all_of_it_may_be_wanted(tmp_path: Path) -> None:
    add(tmp_path / "a/20261122-104500.1.1.in", b"1.000000 a\n")
    os.utime(tmp_path / "a/20261122-104500.1.1.in", (1, 1))
    assert Desk(tmp_path, everything=True).texts() == [("20261122-104500.1.1", b"a\n", False)]


def test_new_recordings_join_also_in_new_directories(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    add(tmp_path / "20261122-104500.1.1.in", b"1.000000 a\n")
    add(tmp_path / "bob/deep/b.rawlog", b"rawlog 1 {}\n1.000000 in 2\nb\n\n")
    assert sorted(desk.texts()) == [("20261122-104500.1.1", b"a\n", False), ("b.rawlog", b"b\n", False)]
    add(tmp_path / "bob/deep/20261122-104501-7.out", b"c\n")
    assert desk.texts() == [("20261122-104501-7", b"c\n", False)]


def test_one_recording_is_followed_with_both_halves(tmp_path: Path) -> None:
    stem = tmp_path / "20261122-104500.1.1"
    add(tmp_path / "20261122-104500.1.1.in", b"1.000000 a\n")
    add(tmp_path / "20261122-104500.1.1.out", b"1.000000 b\n")
    add(tmp_path / "20261122-104500.1.2.in", b"1.000000 x\n")
    for place in (stem, stem.with_name(stem.name + ".out")):
        desk = Desk(place, everything=True)
        assert [text for _, text, _ in desk.texts()] == [b"a\n", b"b\n"]
        assert desk.failures == []


def test_what_is_no_recording_is_left_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    add(tmp_path / "notes.txt", b"hello")
    assert desk.news() == []
    add(tmp_path / "notes.txt", b"hello")
    assert desk.news() == []
    assert desk.failures == []


def test_trouble_is_told_once(tmp_path: Path) -> None:
    add(tmp_path / "bad.rawlog", b"rawlog 9 {}\n")
    desk = Desk(tmp_path, tmp_path / "gone", everything=True)
    desk.news()
    desk.news()
    assert desk.failures == [
        f"{tmp_path}/gone: no such file; check the path",
        f"{tmp_path}/bad.rawlog: line 1: format version 9, only version 1 is known here; read it with a newer rawlog",
    ]


def test_what_goes_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "a/20261122-104500.1.1.in"
    add(path, b"1.000000 a\n")
    desk = Desk(tmp_path, everything=True)
    assert len(desk.news()) == 1
    path.unlink()
    path.parent.rmdir()
    assert desk.news() == []
    assert all("no such file" in failure for failure in desk.failures)


def test_a_file_that_has_long_been_silent_is_looked_at_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COLD_EACH_TIME", 1)
    for number in range(3):
        path = tmp_path / f"20261122-104500.1.{number}.in"
        add(path, b"a\n")
        os.utime(path, (1, 1))
    desk = Desk(tmp_path)
    add(tmp_path / "20261122-104500.1.2.in", b"b\n")
    found = [desk.texts(0.2) for _ in range(3)]
    assert sum(len(texts) for texts in found) == 2
    desk.news(HOT / SECOND + 1)
    assert desk.news() == []


def test_a_recording_whose_state_was_dropped_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ACTIVE_LIMIT", 1)
    first, second = tmp_path / "20261122-104500.1.1.in", tmp_path / "20261122-104500.1.2.in"
    desk = Desk(tmp_path)
    add(first, b"a\n")
    assert [news.first for news in desk.news()] == [True]
    add(second, b"b\n")
    desk.news()
    add(first, b"c\n")
    found = desk.news()
    assert [(n.event.data, n.old, n.first) for n in found if isinstance(n.event, Chunk)] == [
        (b"a\n", True, True),
        (b"c\n", False, False),
    ]


def test_the_end_gives_what_waited(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    add(tmp_path / "20261122-104500.1.1.in", b"%d.000000 a\n" % (LATER // SECOND + 5))
    assert desk.news() == []
    assert len(list(desk.follower.end())) == 1
