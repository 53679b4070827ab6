"""Whatever is sent, arguments are numbers and known words."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from starlette.requests import Request

from rawlog.web.arguments import NUMBER_LIMIT, number, optional, text, wish
from rawlog.web.selection import Wish


def request(query: str) -> Request:
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


@pytest.mark.parametrize("value", ["", "-1", "1.5", "1e3", "\u0661", "0x10", " 1", "9" * 17, "NaN", "1\n"])
def test_what_is_no_number(value: str) -> None:
    asked = request(f"start={quote(value)}")
    assert number(asked, "start", 7) == 7
    assert optional(asked, "start") is None


def test_numbers() -> None:
    assert number(request("start=12"), "start", 7) == 12
    assert number(request("start=0"), "start", 7) == 0
    assert number(request("start=" + "9" * 16), "start", 7) == NUMBER_LIMIT
    assert number(request(""), "start", 7) == 7


def test_texts() -> None:
    assert text(request("q=a%20b&q=c"), "q") == "c"
    assert text(request(""), "q") == ""


def test_wishes() -> None:
    assert wish(request("")) == Wish()
    assert wish(request("sort=errors&reverse=1&since=5&until=9")) == Wish("errors", True, 5, 9)
    assert wish(request("sort=__class__&reverse=yes&since=-5&until=x")) == Wish()
