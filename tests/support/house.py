"""The rules of the house, as functions from a tree of files to a list of what breaks them.

Knows: the floors, the pure folders, the form of a file. Must not know: this project's disk; a tree is a mapping from
path to text, so that each rule can be shown to fail. An empty answer means that the rule is kept.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

Tree = Mapping[str, str]

ROOT = "src/rawlog/"

FLOORS = {
    "cli": 6,
    "taps": 5,
    "demo": 5,
    "web": 5,
    "recorder": 4,
    "views": 4,
    "replay": 4,
    "fleet": 4,
    "dialogue": 3,
    "reading": 3,
    "protocols": 2,
    "formats": 2,
    "settings": 2,
    "engine": 2,
    "events": 1,
    "errors": 1,
}

PURE = ("events", "errors", "protocols", "formats", "dialogue")

IMPURE = re.compile(
    r"(?:asyncio|io|multiprocessing|os|select|selectors|shutil|signal|socket|ssl|subprocess|tempfile|threading|time)\b"
)
"""Modules that read, write, wait or look at the clock."""

FUNCTION_LINES = 60
FILE_LINES = 400

PLACES = re.compile(
    r"/(?:work|root|farm)/|/tmp/(?:research|lab)\b|[.]library\b|\bshared/(?:golden|reference|hooks|design|seed)"
    r"|pypi\.org|pythonhosted\.org|(?:deb|security)\.debian\.org|registry\.npmjs|npmjs\.com/package|proxy\.golang\.org"
)
"""Paths of one machine and hosts of package registries: a clone must work where neither exists."""


def sources(tree: Tree) -> dict[str, str]:
    """The modules of the package: path to text."""
    return {path: text for path, text in tree.items() if path.startswith(ROOT) and path.endswith(".py")}


def module_of(path: str) -> str:
    """``src/rawlog/formats/native.py`` is ``rawlog.formats.native``; a package is named without ``__init__``."""
    return path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(path: str, text: str, modules: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Line and full name of every module that the file at ``path`` imports, wherever in the file it does so.

    ``modules`` are those of the package: ``from rawlog import errors`` imports ``rawlog.errors`` when there is one.
    """
    here = module_of(path) if path.endswith("__init__.py") else module_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = here.split(".")[: len(here.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield node.lineno, full if full in modules else base


def house_imports(tree: Tree) -> Iterator[tuple[str, int, str]]:
    """Path, line and module of every import of the package's own modules."""
    modules = frozenset(map(module_of, sources(tree)))
    for path, text in sources(tree).items():
        for line, name in imports(path, text, modules):
            if name.split(".")[0] == "rawlog":
                yield path, line, name


def part_of(module: str) -> str:
    """The part of the house a module lies in: ``formats`` of ``rawlog.formats.native``."""
    return module.partition(".")[2].partition(".")[0]


def upward_imports(tree: Tree) -> list[str]:
    """Imports that do not go down the floors, and parts that are on no floor.

    ``rawlog/__init__.py`` and ``rawlog/__main__.py`` stand above the floors; of the former anybody may have the
    version.
    """
    problems = []
    for path in sources(tree):
        part = part_of(module_of(path))
        if part not in FLOORS and part not in ("", "__main__"):
            problems.append(f"{path}: {part} is on no floor; add it to FLOORS")
    for path, line, name in house_imports(tree):
        part, wanted = part_of(module_of(path)), part_of(name)
        if part in FLOORS and wanted in FLOORS and part != wanted and FLOORS[wanted] >= FLOORS[part]:
            problems.append(f"{path}:{line}: {part} (floor {FLOORS[part]}) imports {name} (floor {FLOORS[wanted]})")
    return problems


def circles(tree: Tree) -> list[str]:
    """Modules that import each other, directly or by way of others."""
    graph: dict[str, set[str]] = {module_of(path): set() for path in sources(tree)}
    for path, _, name in house_imports(tree):
        if name in graph and name != module_of(path):
            graph[module_of(path)].add(name)
    found = []
    while graph:
        leaves = {module for module, wanted in graph.items() if not wanted & graph.keys()}
        if not leaves:
            found.append("these modules import each other, or something that does: " + ", ".join(sorted(graph)))
            break
        graph = {module: wanted for module, wanted in graph.items() if module not in leaves}
    return found


def impure_imports(tree: Tree) -> list[str]:
    """Input, output and clocks in the folders that must have none."""
    problems = []
    for path, text in sources(tree).items():
        if part_of(module_of(path)) in PURE:
            for line, name in imports(path, text, frozenset()):
                if IMPURE.match(name):
                    problems.append(f"{path}:{line}: {part_of(module_of(path))} is pure and imports {name}")
    return problems


def missing_docstrings(tree: Tree) -> list[str]:
    """Files that do not begin with what they know and must not know."""
    return [f"{path}: no docstring" for path, text in sources(tree).items() if not ast.get_docstring(ast.parse(text))]


def unmirrored(tree: Tree) -> list[str]:
    """Sources without their test file, and test files in a folder of the sources without their source.

    ``src/rawlog/x/y.py`` has ``tests/x/test_y.py``; ``tests/x/test_x.py`` may test the package ``x`` itself.
    """
    problems = []
    for path in sources(tree):
        file = PurePosixPath(path.removeprefix(ROOT))
        test = f"tests/{file.with_name(f'test_{file.name}')}"
        if file.stem not in ("__init__", "__main__") and test not in tree:
            problems.append(f"{path}: has no {test}")
    folders = {str(PurePosixPath(path.removeprefix(ROOT)).parent) for path in sources(tree)} - {"."}
    for path in tree:
        file = PurePosixPath(path.removeprefix("tests/"))
        if not path.startswith("tests/") or str(file.parent) not in folders or not file.match("test_*.py"):
            continue
        stem = file.stem.removeprefix("test_")
        if stem != file.parent.name and f"{ROOT}{file.parent}/{stem}.py" not in tree:
            problems.append(f"{path}: there is no {ROOT}{file.parent}/{stem}.py")
    return problems


def too_long(tree: Tree) -> list[str]:
    """Files and functions that have grown until they do a second thing."""
    problems = []
    for path, text in tree.items():
        if not path.endswith(".py"):
            continue
        if text.count("\n") > FILE_LINES:
            problems.append(f"{path}: {text.count(chr(10))} lines, more than {FILE_LINES}")
        for node in ast.walk(ast.parse(text, path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    problems.append(f"{path}:{node.lineno}: {node.name} has {lines} lines, more than {FUNCTION_LINES}")
    return problems


def foreign_places(tree: Tree) -> list[str]:
    """Paths of one machine, and hosts of package registries."""
    return [
        f"{path}:{number}: {found[0]}"
        for path, text in tree.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if (found := PLACES.search(line))
    ]


RULES = (
    upward_imports,
    circles,
    impure_imports,
    missing_docstrings,
    unmirrored,
    too_long,
    foreign_places,
)
