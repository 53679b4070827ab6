"""A conversation that is looked at while it is read, and while it goes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rawlog.dialogue.search import parse
from rawlog.errors import RawlogError
from rawlog.events import Direction
from rawlog.formats.dovecot import PairEncoder
from rawlog.formats.native import NativeEncoder
from rawlog.reading.unseal import forget_identities, identify
from rawlog.web import talk as module
from rawlog.web.talk import Talk
from tests.support import golden
from tests.support.sealing import identity_file, sealed_sink
from tests.support.viewing import NAME, PATIENCE, START, append, eventually, small, talk, write

IN, OUT = Direction.IN, Direction.OUT
NEXT = talk((OUT, b"a4 OK done\r\n"), (IN, b"a5 IDLE\r\n"), start=START + 60_000_000)


def verbs(one: Talk) -> list[str]:
    rows = [*one.index.rows.slice(0, 10_000), *one.index.pending]
    return [row["verb"] for row in map(json.loads, rows) if row["kind"] == "exchange"]


def opened(path: Path) -> Talk:
    one = Talk(str(path))
    one.wait(PATIENCE)
    return one


@pytest.mark.parametrize("name", ["one.rawlog", NAME.format(1), "talk"])
def test_it_is_read(tmp_path: Path, name: str) -> None:
    encoder = PairEncoder(stamps=True) if "rawlog" not in name else None
    one = opened(write(tmp_path / name, small(), encoder))
    assert verbs(one) == ["greeting", "LOGIN", "FETCH", "STORE", "NOOP"]
    assert not one.reading
    assert not one.problem
    assert one.progress == 1


@pytest.mark.parametrize("name", ["one.rawlog", NAME.format(1)])
def test_it_grows(tmp_path: Path, name: str) -> None:
    native = name.endswith(".rawlog")
    encoder = NativeEncoder({}) if native else PairEncoder(stamps=True)
    path = write(tmp_path / name, small(), encoder)
    one = opened(path)
    before = one.version
    one.grow()
    assert one.version == before
    for event in NEXT:
        append(path, event.direction, encoder.chunk(event.at, event.direction, event.data), native)

    def grown() -> bool:
        one.grow()
        return verbs(one)[-2:] == ["NOOP", "IDLE"]

    eventually(grown)
    assert one.version > before
    assert len(one.index.pending) == 1


def test_the_second_half_comes_later(tmp_path: Path) -> None:
    encoder = PairEncoder(stamps=True)
    path = tmp_path / NAME.format(1)
    write(path, talk((IN, b"a2 NOOP\r\n")), encoder)
    one = opened(path)
    write(path, talk((OUT, b"a1 OK Logged in\r\na2 OK done\r\n"), start=START + 5000), encoder)

    def grown() -> bool:
        one.grow()
        return "NOOP" in verbs(one) and not one.index.pending

    eventually(grown)


def test_what_has_no_times_is_read_anew(tmp_path: Path) -> None:
    encoder = PairEncoder(stamps=False)
    path = write(tmp_path / NAME.format(1), small(), encoder)
    one = opened(path)
    assert verbs(one) == ["greeting", "LOGIN", "FETCH", "STORE", "NOOP"]
    write(path, NEXT, encoder)
    one.grow()
    assert one.edition == 1
    one.wait(PATIENCE)
    assert verbs(one) == ["greeting", "LOGIN", "FETCH", "STORE", "NOOP", "IDLE"]
    one.grow()
    assert one.edition == 1


def test_what_cant_be_read(tmp_path: Path) -> None:
    assert "no such file" in opened(tmp_path / "nothing").problem
    (tmp_path / "x").write_bytes(b"\0\1\2")
    one = opened(tmp_path / "x")
    assert "not a recording" in one.problem
    assert not one.reading
    one.grow()
    assert one.edition == 0


def test_a_recording_that_vanishes(tmp_path: Path) -> None:
    path = write(tmp_path / "one.rawlog", small())
    one = opened(path)
    path.unlink()
    one.grow()
    assert verbs(one)[0] == "greeting"


def test_the_rows_that_match(tmp_path: Path) -> None:
    one = opened(write(tmp_path / "one.rawlog", small()))
    assert one.matches(parse("command:FETCH")) == ([3], True)
    assert one.matches(parse("is:unanswered")) == ([5], True)
    assert one.matches(parse('user:alice "bold"')) == ([3], True)
    assert one.matches(parse("user:bob command:FETCH")) == ([], True)
    assert one.matches(parse("user:alice")) == ([0, 1, 2, 3, 4], True)


def test_no_more_matches_than_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MATCHES_LIMIT", 2)
    one = opened(write(tmp_path / "one.rawlog", small()))
    assert one.matches(parse("is:command")) == ([2, 3], False)


def test_another_filter_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = opened(write(tmp_path / "one.rawlog", small()))
    whole = module.exchanges

    def disturbed(*words: Any, **options: Any) -> Iterator[Any]:
        for exchange in whole(*words, **options):
            yield exchange
            one._filters += exchange.verb == "LOGIN"

    monkeypatch.setattr(module, "exchanges", disturbed)
    with pytest.raises(RawlogError, match="another filter"):
        one.matches(parse("is:command"))


def test_no_row_beyond_those_that_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rawlog.web.index.ROWS_LIMIT", 3)
    monkeypatch.setattr(module, "BATCH", 1)
    one = opened(write(tmp_path / "one.rawlog", small()))
    assert not one.index.complete
    assert one.matches(parse("is:command")) == ([2], True)


def test_the_strip(tmp_path: Path) -> None:
    one = opened(write(tmp_path / "one.rawlog", small()))
    columns = one.strip(100)
    assert columns["at"][0] == START
    assert sum(columns["failed"]) == 1
    assert max(value for value in columns["latency"] if value is not None) == 1000
    assert 4 in columns["place"]
    silent = opened(write(tmp_path / "two", small(), PairEncoder(stamps=False)))
    assert silent.strip(100)["at"] == []


def test_rows_can_be_seen_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "one.rawlog", small())
    go_on = threading.Event()
    whole = Talk._events

    def slowly(self: Talk, recording: object) -> Iterator[object]:
        for number, event in enumerate(whole(self, recording)):
            if number == 7:
                assert go_on.wait(PATIENCE)
            yield event

    monkeypatch.setattr(module, "BATCH", 1)
    monkeypatch.setattr(Talk, "_events", slowly)
    one = Talk(str(path))
    eventually(lambda: len(one.index.rows) == 4)
    assert one.reading
    one.grow()
    go_on.set()
    one.wait(PATIENCE)
    assert len(one.index.rows) == 5


def test_nobody_wants_it_any_more(tmp_path: Path) -> None:
    one = Talk(str(write(tmp_path / "one.rawlog", small() * 2000)))
    one.stop()
    one.wait(PATIENCE)
    one.grow()
    assert not one.reading


def test_what_is_sealed(tmp_path: Path) -> None:
    path = tmp_path / "one.rawlog.age"
    sink, encoder = sealed_sink(path), NativeEncoder({})
    for event in talk((OUT, b"* PREAUTH\r\n"), (IN, b"a1 NOOP\r\n"), (OUT, b"a1 OK\r\n")):
        sink.write(encoder.chunk(event.at, event.direction, event.data))
    sink.close()
    assert "--identity" in opened(path).problem
    identify(identity_file(tmp_path))
    try:
        one = opened(path)
        assert verbs(one) == ["greeting", "NOOP"]
        one.grow()
        assert one.edition == 0
    finally:
        forget_identities()


def test_golden_recordings_are_read_without_trouble() -> None:
    for path in golden.files(".in")[:40]:
        one = opened(path.with_suffix(""))
        assert not one.problem, path
