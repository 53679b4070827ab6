"""What the page asks about recordings, and the answers."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rawlog.events import Direction
from rawlog.formats.native import NativeEncoder
from rawlog.web import api as module
from rawlog.web.api import Api
from tests.support.payloads import PAYLOADS
from tests.support.viewing import START, Viewer, append, eventually, small, talk, viewer, write

IN, OUT = Direction.IN, Direction.OUT


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Viewer]:
    write(tmp_path / "one.rawlog", small())
    with viewer(tmp_path) as found:
        yield found


def test_the_list(here: Viewer) -> None:
    here.settled()
    answer = here.get("/list")
    assert (answer["total"], answer["all"], answer["reading"], answer["waiting"]) == (1, 1, None, 0)
    (row,) = answer["rows"]
    assert row["user"] == "alice"
    assert here.get("/list", q="user:bob")["rows"] == []
    assert here.get("/list", start=1)["rows"] == []


def test_the_plot(here: Viewer) -> None:
    here.settled()
    assert here.get("/list/plot")["at"] == [START]


def test_a_conversation(here: Viewer) -> None:
    answer = here.get(f"/talk/{here.id()}")
    assert answer["name"] == "one.rawlog"
    assert answer["summary"]["user"] == "alice"
    assert answer["summary"]["started"] == START
    assert (answer["total"], answer["stable"], answer["progress"], answer["problem"]) == (6, 5, 1, "")


def test_rows(here: Viewer) -> None:
    path = f"/talk/{here.id()}/rows"
    rows = here.get(path)["rows"]
    assert [row.get("verb") for row in rows] == [None, "greeting", "LOGIN", "FETCH", "STORE", "NOOP"]
    assert here.get(path, start=2, count=2)["rows"] == rows[2:4]
    assert here.get(path, start=4, count=100)["rows"] == rows[4:]
    assert here.get(path, rows="5,0,99,x,3")["rows"] == [rows[5], rows[0], rows[3]]
    assert here.get(path, rows="")["rows"] == []
    assert here.get(path, start=10**15)["rows"] == []


def test_no_more_rows_at_once_than_that(here: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 2)
    path = f"/talk/{here.id()}/rows"
    assert len(here.get(path, count=100)["rows"]) == 2
    assert len(here.get(path, rows="0,1,2,3")["rows"]) == 2


def test_a_row_laid_open_and_a_body(here: Viewer) -> None:
    path = f"/talk/{here.id()}"
    items = here.get(f"{path}/rows/3")["items"]
    fold = next(item for item in items if "fold" in item)
    place = {"side": fold["side"], "start": fold["start"], "end": fold["end"]}
    assert here.get(f"{path}/body", **place)["lines"] == ["Subject: one", "", "<b>bold</b>"]
    assert here.get(f"{path}/body", **place, at=fold["start"] + 16)["lines"] == ["<b>bold</b>"]
    answer = here.client.get(f"/api{path}/rows/99")
    assert answer.status_code == 422
    assert "no such row" in answer.json()["problem"]


def test_the_row_that_waits_can_be_opened(here: Viewer) -> None:
    assert [item["text"] for item in here.get(f"/talk/{here.id()}/rows/5")["items"]] == ["a4 NOOP"]


def test_matches(here: Viewer) -> None:
    path = f"/talk/{here.id()}/matches"
    assert here.get(path, q="is:error") == {"rows": [4], "all": True}
    assert here.client.get(f"/api{path}", params={"q": ""}).status_code == 400


def test_the_strip(here: Viewer) -> None:
    assert sum(here.get(f"/talk/{here.id()}/strip")["count"]) == 5


def test_a_download(here: Viewer) -> None:
    found = here.id()
    for kind in ("masked", "pseudonyms"):
        answer = here.client.get(f"/api/talk/{found}/download", params={"kind": kind})
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="rawlog-{kind}-')
        assert answer.content.startswith(b"rawlog 1 ")
        assert (b"alice" in answer.content) == (kind == "masked")


class Source:
    """Something that changes."""

    version = 0
    stopped = False


async def pieces(api: Api, source: Source, count: int, look: Any = None) -> list[str]:
    stream = api._events(source, lambda: {"version": source.version}, look)
    found = []
    async for piece in stream:
        found.append(piece)
        source.version += piece.startswith("data")
        if len(found) == count:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    return found


def test_news_comes_when_there_is_some(here: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.001)
    api = Api(None)  # type: ignore[arg-type]
    api._desk = type("Desk", (), {"stopped": False})()  # type: ignore[assignment]
    looked = []
    found = asyncio.run(pieces(api, Source(), 3, lambda: looked.append(1)))
    assert found == [f'data: {{"version": {number}}}\n\n' for number in range(3)]
    assert len(looked) >= 3
    assert api._streams == 0


def test_silence_is_broken_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.001)
    monkeypatch.setattr(module, "BREATH", 0.003)
    api = Api(None)  # type: ignore[arg-type]
    api._desk = type("Desk", (), {"stopped": False})()  # type: ignore[assignment]
    still = type("Still", (), {"version": 0, "stopped": False})()
    stream = api._events(still, dict, None)

    async def two() -> list[str]:
        return [await anext(stream), await anext(stream)]  # type: ignore[call-overload]

    assert asyncio.run(two()) == ["data: {}\n\n", ": still here\n\n"]


def test_too_many_pages(here: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STREAMS_LIMIT", 0)
    assert here.client.get("/api/list/events").status_code == 503
    assert here.client.get(f"/api/talk/{here.id()}/events").status_code == 503


def test_what_is_added_is_seen(tmp_path: Path) -> None:
    encoder = NativeEncoder({})
    path = write(tmp_path / "one.rawlog", small(), encoder)
    with viewer(tmp_path) as here:
        found = here.id()
        append(path, OUT, encoder.chunk(START + 10**7, OUT, b"a4 OK done\r\n"), native=True)
        eventually(lambda: here.get("/list")["rows"][0]["commands"] == 4)
        assert here.get(f"/talk/{found}")["total"] == 6


def strings(value: Any) -> Iterator[str]:
    """Every text in an answer."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def hostile() -> list[Any]:
    """A conversation in which everybody says terrible things."""
    lines = [(OUT, b"* PREAUTH ready\r\n")]
    for number, payload in enumerate(PAYLOADS):
        text = payload.encode() + b"\x1b]0;x\x07\x9b\xe2\x80\xae\x00"
        lines.append((IN, b"a%d SELECT %b\r\n" % (number, text)))
        lines.append((OUT, b"* LIST () %b\r\na%d NO %b\r\n" % (text, number, text)))
    message = b"".join(b"X: %b\r\n" % payload.encode() for payload in PAYLOADS) + b"\r\n<script>window.pwned=1</script>"
    lines.append((IN, b"b FETCH 1 BODY[]\r\n"))
    lines.append((OUT, b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\nb OK\r\n" % (len(message), message)))
    return talk(*lines)


def test_all_texts_are_harmless(tmp_path: Path) -> None:
    """Whatever is recorded: no answer holds a character that is not plain visible text."""
    write(tmp_path / "<img src=x onerror=alert(1)>\u202e" / "one.rawlog", hostile())
    with viewer(tmp_path) as here:
        found = here.id()
        answers = [here.get("/list"), here.get(f"/talk/{found}"), here.get(f"/talk/{found}/rows", count=500)]
        answers += [here.get(f"/talk/{found}/rows/{row}") for row in range(0, len(PAYLOADS) + 2, 7)]
        last = here.get(f"/talk/{found}/rows/{answers[2]['total'] - 1}")
        fold = next(item for item in last["items"] if "fold" in item)
        answers.append(here.get(f"/talk/{found}/body", side="server", start=fold["start"], end=fold["end"]))
        texts = [text for answer in answers for text in strings(answer)]
        assert len(texts) > 1000
        assert {c for text in texts for c in text if not c.isprintable() or unicodedata.category(c) == "Mn"} == set()
        raw = here.client.get(f"/api/talk/{found}/rows")
        assert raw.text.isascii()
        assert json.loads(raw.text)["rows"]
