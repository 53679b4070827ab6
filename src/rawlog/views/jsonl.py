"""A recording as JSON, one event a line, without loss.

Knows: the schema that docs/formats/jsonl.md describes. Must not know: formats of recordings, protocols. The output is
ASCII without control characters, so it may go to a terminal as well as to a program.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from rawlog.events import Event, Mark, Recording
from rawlog.views.units import iso_text
from rawlog.views.window import EVERYTHING, Window


def json_lines(recording: Recording, *, window: Window = EVERYTHING) -> Iterator[str]:
    """The events in order, one JSON object each, without line endings; only those in the window.

    ``recording`` is its name. ``at`` is microseconds since the epoch and ``time`` the same in ISO 8601, UTC; both null
    when unknown. A chunk has ``dir`` (``in`` or ``out``) and its bytes: ``text`` where they are UTF-8, else
    ``base64``. A mark has ``mark`` and ``detail``.
    """
    fits = window.fits(recording)
    for event in recording.events:
        if not fits.has(event.at):
            continue
        line = json.dumps({"recording": recording.name, "at": event.at, "time": iso_text(event.at), **_content(event)})
        yield line.replace("\x7f", "\\u007f")  # the one control character that JSON leaves as it is


def _content(event: Event) -> dict[str, object]:
    if isinstance(event, Mark):
        return {"mark": event.name, "detail": dict(event.detail)}
    try:
        return {"dir": event.direction.value, "text": event.data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"dir": event.direction.value, "base64": base64.b64encode(event.data).decode("ascii")}
