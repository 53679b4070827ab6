"""One page that needs nothing else, and in which nothing recorded can act."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from rawlog.events import Chunk, Direction, Event, Mark, Recording
from rawlog.reading.opener import open_paths
from rawlog.views.html import BODY_SHOWN, html_page
from tests.support import golden

IN, OUT = Direction.IN, Direction.OUT
EVIL = b"<script>alert(1)</script><img src=x onerror=alert(1)>\"'><a href=javascript:x> \x1b[31m \xe2\x80\xae &amp;"


class Page(HTMLParser):
    """The tags and the text of a page, which must be well-formed."""

    VOID = frozenset(("meta",))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page_of(*recordings: Recording) -> str:
    return "".join(html_page(recordings))


def evil() -> Recording:
    events: list[Event] = [
        Mark(1_000_000, "opened", {"client": EVIL.decode()}),
        Chunk(2_000_000, OUT, b"* PREAUTH " + EVIL + b"\r\n"),
        Chunk(
            3_000_000,
            IN,
            b"a X " + EVIL + b"\r\nb APPEND x {%d+}\r\n" % (len(EVIL) + 11) + b"Subject: x\n" + EVIL + b"\r\n",
        ),
        Chunk(4_000_000, OUT, b"a NO " + EVIL + b"\r\nb OK\r\n"),
    ]
    return Recording(EVIL.decode("latin-1"), events, protocol="imap")


def test_nothing_recorded_becomes_a_tag_or_a_control() -> None:
    text = page_of(evil())
    page = Page(text)
    sections = {"html", "head", "meta", "title", "style", "body", "section", "div", "details", "summary"}
    assert page.tags <= sections | {
        "h1",
        "h2",
        "dl",
        "dt",
        "dd",
        "table",
        "tr",
        "td",
        "meter",
        "pre",
        "time",
        "p",
    }
    assert page.attributes <= {
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "open",
        "min",
        "max",
        "value",
    }
    assert not set(text) & {"\x1b", "\u202e", "\r"}
    assert "alert(1)" in "".join(page.texts)


def test_it_needs_nothing_and_may_nothing() -> None:
    text = page_of(evil())
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert style and policy
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy[1] == f"default-src 'none'; style-src 'sha256-{digest}'"
    assert not re.search(r"https?://|src=|href=|url\(|@import", re.sub(r"&[a-z#0-9]+;", "", style[1]))
    assert "<script" not in text


def test_what_was_said_is_there() -> None:
    texts = Page(page_of(evil())).texts
    joined = "".join(texts)
    for part in (
        "a X ",
        "b APPEND x",
        "a NO <script>",
        "bytes of a literal",
        "Subject: x",
        "2, 1 refused",
        "** opened",
    ):
        assert part in joined, part


def test_a_long_body_is_cut() -> None:
    body = b"Subject: x\r\n\r\n" + b"y" * BODY_SHOWN
    events = [Chunk(1, OUT, b"* PREAUTH\r\n"), Chunk(2, IN, b"a APPEND x {%d+}\r\n" % len(body) + body + b"\r\n")]
    text = page_of(Recording("x", events, protocol="imap"))
    assert "… 14 bytes more" in text
    assert text.count("y" * 100) < 200


@pytest.mark.parametrize("count", [0, 1, 2])
def test_any_number_of_recordings(count: int) -> None:
    assert Page(page_of(*[evil()] * count)).texts[0] is not None


def test_golden_recordings() -> None:
    page = Page(page_of(*open_paths([golden.FOLDER])))
    assert "".join(page.texts).count("Conversation") == len(list(open_paths([golden.FOLDER])))
