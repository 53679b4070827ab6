"""The page is made of its own files alone, and nothing in them asks for anything from elsewhere."""

from __future__ import annotations

import re

import pytest

from rawlog.web.files import TYPES, files

FILES = files()
OURS = [name for name in FILES if not name.startswith("uplot")]
ADDRESS = re.compile(rb"(?:https?:)?//[a-z][\w.-]*\.[a-z]{2,}", re.IGNORECASE)
DANGEROUS = (b"innerHTML", b"outerHTML", b"insertAdjacentHTML", b"document.write", b"eval(", b"Function(", b"srcdoc")


def test_what_there_is() -> None:
    assert {"index.html", "app.js", "look.css", "frame.css", "uplot.js", "uplot-license.txt"} <= FILES.keys()
    assert all("." in name and name.rpartition(".")[2] in TYPES for name in FILES)
    assert FILES["app.js"].type.startswith("text/javascript")
    assert FILES["index.html"].data.startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize("name", OURS)
def test_nothing_from_elsewhere(name: str) -> None:
    found = {address for address in ADDRESS.findall(FILES[name].data) if b"www.w3.org" not in address}
    assert found == set()


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
def test_nothing_that_makes_text_html_or_code(name: str) -> None:
    assert [word for word in DANGEROUS if word in FILES[name].data] == []


def test_no_script_and_no_style_in_the_page_itself() -> None:
    page = FILES["index.html"].data
    assert re.findall(rb"<script(?![^>]*src=)|<style|\son\w+=|style=|javascript:", page) == []


def test_the_page_asks_for_what_there_is() -> None:
    for name in re.findall(rb"/static/([\w.-]+)", FILES["index.html"].data):
        assert name.decode() in FILES
    for name, file in FILES.items():
        for wanted in re.findall(rb'from "\./([\w.-]+)"', file.data):
            assert wanted.decode() in FILES, name


def test_the_licence_of_what_is_not_ours() -> None:
    assert b"MIT License" in FILES["uplot-license.txt"].data
    assert b"uPlot" in FILES["uplot.js"].data[:100]


@pytest.mark.parametrize("name", [name for name in OURS if name.endswith((".js", ".css"))])
def test_our_files_are_small_and_say_what_they_are(name: str) -> None:
    data = FILES[name].data
    assert data.startswith((b"// ", b"/* "))
    assert data.count(b"\n") <= 300
