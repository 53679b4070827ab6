"""What a page shows of a conversation, row by row: exchanges, marks, and lines where the protocol is not known.

Knows: what of an exchange a row says, and that rows are kept packed, as JSON. Must not know: HTTP, files. All texts are
neutral (views/escape.py), so that whatever was recorded, a page can show it by putting it in as text.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from rawlog.dialogue.exchange import Exchange
from rawlog.events import Mark
from rawlog.views.escape import neutral
from rawlog.views.text import mark_text

TEXT_SHOWN = 300
"""Bytes of a command and of an answer that a row shows; all of it is there when the row is opened."""

BLOCK = 128
"""Rows that are packed together: a few screens."""

Row = Mapping[str, Any]


def exchange_row(exchange: Exchange, words: bytes = b"") -> Row:
    """A row for an exchange; ``words`` stand for an answer that has no status line.

    Times are in microseconds; ``said`` and ``heard`` are stretches of the two streams.
    """
    return {
        "kind": "exchange",
        "at": exchange.began if exchange.began is not None else exchange.first,
        "first": exchange.first,
        "ended": exchange.ended,
        "latency": exchange.latency,
        "talking": exchange.talking,
        "verb": exchange.verb,
        "command": _shown(exchange.command),
        "status": exchange.status,
        "answer": _shown(exchange.answer or words),
        "asks": exchange.is_command,
        "failed": exchange.failed,
        "sent": exchange.sent,
        "received": exchange.received,
        "said": exchange.said,
        "heard": exchange.heard,
    }


def mark_row(mark: Mark) -> Row:
    """A row for a mark."""
    return {"kind": "mark", "at": mark.at, "text": mark_text(mark)}


def line_row(at: int | None, side: str, data: bytes, start: int) -> Row:
    """A row for a line of ``client`` or ``server``, of which nobody knows what it means."""
    stretch = [(start, start + len(data))]
    said, heard = (stretch, []) if side == "client" else ([], stretch)
    text = _shown(data.rstrip(b"\r\n"))
    return {"kind": "line", "at": at, "side": side, "text": text, "said": said, "heard": heard}


def _shown(data: bytes) -> str:
    return neutral(data) if len(data) <= TEXT_SHOWN else neutral(data[:TEXT_SHOWN]) + " …"


_ENCODER = json.JSONEncoder(separators=(",", ":"))


def packed(row: Row) -> str:
    """The row as JSON."""
    return _ENCODER.encode(row)


class PackedRows:
    """Rows as JSON, in order. They are only added to, by one thread; others may read meanwhile.

    Packed, a row of a usual conversation takes some 40 bytes.
    """

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._state: tuple[int, list[str]] = (0, [])  # blocks that count, and the rows behind them

    def __len__(self) -> int:
        blocks, tail = self._state
        return blocks * BLOCK + len(tail)

    def append(self, row: str) -> None:
        """One more row."""
        _, tail = self._state
        tail.append(row)
        if len(tail) == BLOCK:
            self._blocks.append(zlib.compress("\n".join(tail).encode("ascii"), 1))
            self._state = (len(self._blocks), [])

    def slice(self, start: int, end: int) -> list[str]:
        """The rows from ``start`` to ``end``, as far as there are such."""
        blocks, tail = self._state
        found: list[str] = []
        for number in range(start // BLOCK, min(blocks, (end + BLOCK - 1) // BLOCK)):
            rows = zlib.decompress(self._blocks[number]).decode("ascii").split("\n")
            found += rows[max(0, start - number * BLOCK) : end - number * BLOCK]
        return found + tail[max(0, start - blocks * BLOCK) : max(0, end - blocks * BLOCK)]
