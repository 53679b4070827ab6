"""The house keeps its own rules; and each rule is shown to fail where it is broken."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import house
from tests.support.house import Tree

TOP = Path(__file__).parent.parent

NOT_OURS = {".git", ".venv", "__pycache__", "dist", "recordings"}
"""What is not part of the project: see .gitignore; the caches of the tools are known by their names."""


def project() -> Iterator[tuple[str, str]]:
    for folder, folders, files in os.walk(TOP):
        folders[:] = [name for name in folders if name not in NOT_OURS and not name.endswith(("_cache", ".egg-info"))]
        folders[:] = [name for name in folders if name != ".hypothesis"]
        for path in (Path(folder, name) for name in files):
            try:
                yield path.relative_to(TOP).as_posix(), path.read_text(encoding="utf-8")
            except (UnicodeDecodeError, OSError):
                continue  # recorded bytes


@pytest.fixture(scope="module")
def tree() -> Tree:
    return dict(project())


@pytest.mark.parametrize("rule", house.RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(tree: Tree, rule: Callable[[Tree], list[str]]) -> None:
    problems = rule(tree)
    assert not problems, "\n".join(problems)


def test_the_tree_is_read(tree: Tree) -> None:
    assert {"src/rawlog/events.py", "tests/test_house.py", "Makefile", ".ci/run"} <= tree.keys()


def source(**files: str) -> Tree:
    """A tree of sources, each with a docstring and a test: ``formats__native`` is ``formats/native.py``."""
    sources = {f"src/rawlog/{name.replace('__', '/', 1)}.py": f'"""D."""\n{text}\n' for name, text in files.items()}
    tests = {}
    for path in sources:
        folder, _, name = path.removeprefix("src/rawlog/").rpartition("/")
        tests["/".join(part for part in ("tests", folder, f"test_{name}") if part)] = ""
    return sources | tests


def test_a_good_sample_keeps_every_rule() -> None:
    good = source(
        errors="",
        formats__native="import json\nfrom rawlog.errors import X\nfrom rawlog import events",
        events="",
        recorder__sinks="import os\nfrom ..formats.native import N\nfrom . import naming",
        recorder__naming="import rawlog.events\nfrom rawlog import __version__",
        demo__server="from rawlog.recorder import sinks",
    )
    for rule in house.RULES:
        assert rule(good) == []


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (source(formats__a="from rawlog.recorder.b import c"), "formats (floor 2) imports rawlog.recorder.b (floor 4)"),
        (source(formats__a="import rawlog.cli"), "formats (floor 2) imports rawlog.cli (floor 6)"),
        (source(formats__a="from rawlog.protocols import b"), "imports rawlog.protocols (floor 2)"),
        (source(demo__a="from rawlog.taps import gateway"), "demo (floor 5) imports rawlog.taps (floor 5)"),
        (source(formats__a="def f():\n    from ..engine import loop"), "src/rawlog/formats/a.py:3: formats"),
        (source(events="from .errors import E"), "imports rawlog.errors (floor 1)"),
        (source(engine__a="from rawlog import taps", taps__b="") | {"src/rawlog/taps/__init__.py": ""}, "rawlog.taps"),
        (source(misc=""), "misc is on no floor"),
    ],
)
def test_an_upward_or_sideways_import_is_found(bad: Tree, told: str) -> None:
    assert told in "\n".join(house.upward_imports(bad))


@pytest.mark.parametrize(
    "bad",
    [
        source(engine__a="from rawlog.engine.b import x", engine__b="from rawlog.engine import a"),
        source(engine__a="from . import b", engine__b="from .c import x", engine__c="import rawlog.engine.a"),
    ],
)
def test_an_import_circle_is_found(bad: Tree) -> None:
    (problem,) = house.circles(bad)
    assert "rawlog.engine.a" in problem
    assert "rawlog.engine.b" in problem


@pytest.mark.parametrize(
    "line", ["import time", "import os.path", "from asyncio import run", "def f():\n import socket"]
)
@pytest.mark.parametrize("part", ["events", "errors", "protocols__x", "formats__x", "dialogue__x"])
def test_an_impure_import_is_found_in_each_pure_part(part: str, line: str) -> None:
    assert len(house.impure_imports(source(**{part: line}))) == 1
    assert house.impure_imports(source(engine__x=line)) == []


def test_a_file_without_docstring_is_found() -> None:
    assert house.missing_docstrings({"src/rawlog/errors.py": "# D.\nX = 1\n"}) == ["src/rawlog/errors.py: no docstring"]


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (["src/rawlog/a/b.py"], "src/rawlog/a/b.py: has no tests/a/test_b.py"),
        (["src/rawlog/a/b.py", "tests/test_b.py"], "src/rawlog/a/b.py: has no tests/a/test_b.py"),
        (["src/rawlog/b.py"], "src/rawlog/b.py: has no tests/test_b.py"),
        (["src/rawlog/a/__init__.py", "tests/a/test_b.py"], "tests/a/test_b.py: there is no src/rawlog/a/b.py"),
    ],
)
def test_a_missing_half_of_the_mirror_is_found(paths: list[str], told: str) -> None:
    assert house.unmirrored(dict.fromkeys(paths, "")) == [told]


def test_what_has_no_mirror_is_not_asked_for() -> None:
    paths = ["src/rawlog/a/__init__.py", "src/rawlog/a/__main__.py", "tests/a/test_a.py", "tests/live/test_x.py"]
    assert house.unmirrored(dict.fromkeys([*paths, "tests/test_x.py", "tests/a/helper.py"], "")) == []


def test_a_long_file_and_a_long_function_are_found() -> None:
    function = "def f():\n" + "    x = 1\n" * (house.FUNCTION_LINES - 1)
    assert house.too_long({"a.py": function, "b.py": "x = 1\n" * house.FILE_LINES}) == []
    assert house.too_long({"a.py": function + "    x = 1\n"}) == ["a.py:1: f has 61 lines, more than 60"]
    assert house.too_long({"b.py": "x = 1\n" * (house.FILE_LINES + 1)}) == ["b.py: 401 lines, more than 400"]


@pytest.mark.parametrize(
    "place", ["/wo" + "rk/main", "/ro" + "ot/x", "https://py" + "pi.org/simple", "deb.debi" + "an.org"]
)
def test_a_place_that_only_exists_here_is_found(place: str) -> None:
    assert len(house.foreign_places({"README.md": f"first\nsee {place}\n"})) == 1
    assert house.foreign_places({"README.md": "see /var/lib, /home/alice and https://dovecot.org\n"}) == []
