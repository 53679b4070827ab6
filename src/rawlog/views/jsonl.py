"""A recording as JSON, one event a line, without loss.

Knows: the schema that docs/formats/jsonl.md describes. Must not know: formats of recordings, protocols. The output is
ASCII without control characters, so it may go to a terminal as well as to a program.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from rawlog.events import Event, Mark, Recording

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def json_lines(recording: Recording) -> Iterator[str]:
    """The events in order, one JSON object each, without line endings.

    ``recording`` is its name. ``at`` is microseconds since the epoch and ``time`` the same in ISO 8601, UTC; both null
    when unknown. A chunk has ``dir`` (``in`` or ``out``) and its bytes: ``text`` where they are UTF-8, else
    ``base64``. A mark has ``mark`` and ``detail``.
    """
    for event in recording.events:
        line = json.dumps({"recording": recording.name, "at": event.at, "time": _iso(event.at), **_content(event)})
        yield line.replace("\x7f", "\\u007f")  # the one control character that JSON leaves as it is


def _content(event: Event) -> dict[str, object]:
    if isinstance(event, Mark):
        return {"mark": event.name, "detail": dict(event.detail)}
    try:
        return {"dir": event.direction.value, "text": event.data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"dir": event.direction.value, "base64": base64.b64encode(event.data).decode("ascii")}


def _iso(at: int | None) -> str | None:
    if at is None:
        return None
    try:
        return f"{_EPOCH + timedelta(microseconds=at):%Y-%m-%dT%H:%M:%S.%fZ}"
    except OverflowError:
        return None
