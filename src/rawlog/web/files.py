"""The files of the page itself: HTML, styles, scripts.

Knows: which there are; they are read once, so that no request can name any other. Must not know: HTTP beyond types.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class File:
    """Its bytes and its media type."""

    data: bytes
    type: str


def files() -> dict[str, File]:
    """The files by their names."""
    found = {}
    for package in ("rawlog.views", "rawlog.web"):  # what the page shares with the exported one lies with the views
        for file in (resources.files(package) / "static").iterdir():
            ending = file.name.rpartition(".")[2]
            if ending in TYPES:
                found[file.name] = File(file.read_bytes(), TYPES[ending])
    return found
