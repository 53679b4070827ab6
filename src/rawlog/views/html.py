"""Recordings as one page that needs nothing else: no script, no style from elsewhere, no network.

Knows: HTML, and how to keep what was recorded from becoming any. Must not know: files, formats. Everything recorded is
neutral text (escape.py) before it is escaped; the page forbids itself scripts and requests, should it ever fail. It
shares its colours and letters with the viewer in the browser (``static/look.css``).
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator
from importlib import resources

from rawlog.dialogue.exchange import Exchange, exchanges
from rawlog.dialogue.exchange_pieces import who_is_client
from rawlog.dialogue.exchange_summary import Summary, summarize
from rawlog.dialogue.merge import in_order
from rawlog.events import Direction, Mark, Recording
from rawlog.protocols.fragments import Kind
from rawlog.protocols.registry import FRAMERS, framer_for
from rawlog.views.escape import neutral, neutral_text
from rawlog.views.fold import Fold, Item, Line, fold
from rawlog.views.mime import outline
from rawlog.views.text import CUT, fold_text, line_text, mark_text
from rawlog.views.time_column import TimeColumn
from rawlog.views.units import duration_text, moment_text, size_text

BODY_SHOWN = 16 * 1024
"""Bytes of a literal or message that are in the page; of a longer one the size and the structure are."""

BODY_KEPT = 4 << 20
"""Bytes of a message that are looked at for its structure."""

_STYLES = resources.files("rawlog.views") / "static"
_STYLE = "".join((_STYLES / name).read_text("utf-8") for name in ("look.css", "page.css"))
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEAD = f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{_STYLE_HASH}'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Recordings</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Recordings</h1>
"""


def html_page(recordings: Iterable[Recording]) -> Iterator[str]:
    """The page in pieces: of each recording what is known, its exchanges, and the conversation."""
    yield _HEAD
    for recording in recordings:
        yield from _recording(recording)
    yield "</body>\n</html>\n"


def _recording(recording: Recording) -> Iterator[str]:
    summary = summarize(recording)
    yield f"<section>\n<h2>{_text(recording.name)}</h2>\n"
    yield from _facts(summary)
    yield from _exchanges(recording, summary)
    yield "<details open><summary>Conversation</summary>\n<div class=talk>\n"
    yield from _conversation(recording)
    yield "</div>\n</details>\n</section>\n"


def _facts(summary: Summary) -> Iterator[str]:
    facts = {
        "Protocol": summary.protocol,
        "User": summary.user,
        "Client": summary.client,
        "Software": summary.software,
        "Start": moment_text(summary.started),
        "Duration": duration_text(summary.duration),
        "Commands": f"{summary.commands}, {summary.errors} refused",
        "Bytes": f"{size_text(summary.in_bytes)} in, {size_text(summary.out_bytes)} out",
        "End": summary.end,
    }
    yield "<dl>\n"
    yield from (
        f'<div><dt>{name}</dt><dd class="said">{_text(value)}</dd></div>\n' for name, value in facts.items() if value
    )
    yield "</dl>\n"


def _exchanges(recording: Recording, summary: Summary) -> Iterator[str]:
    column = TimeColumn("wall" if recording.timed else "none")
    yield "<details open><summary>Commands</summary>\n<table>\n"
    for exchange in exchanges(recording):
        yield _exchange(exchange, column, summary.slowest or 0)
    yield "</table>\n</details>\n"


def _exchange(exchange: Exchange, column: TimeColumn, slowest: int) -> str:
    """A row: when, what the client said, how long the answer took, what it was, how much."""
    at = exchange.began if exchange.began is not None else exchange.first
    latency = exchange.latency
    waits = exchange.is_command and not exchange.answered
    kind = "failed" if exchange.failed else "open" if waits else ""
    meter = f'<meter min="0" max="{slowest}" value="{latency}"></meter>' if latency is not None and slowest else ""
    said = f'<td class="said c">{_neutral(exchange.command)}</td>'
    cells = [
        f"<td class=n>{column.show(at).strip()}</td>",
        said if exchange.is_command else f'<td class="dim">{exchange.verb}</td>',
        f"<td>{'no answer' if waits else duration_text(latency)}{meter}</td>",
        f'<td class="said s">{_neutral(exchange.answer)}</td>',
        f"<td class=n>{size_text(exchange.sent + exchange.received)}</td>",
    ]
    return f'<tr class="{kind}">{"".join(cells)}</tr>\n'


def _conversation(recording: Recording) -> Iterator[str]:
    client, events = who_is_client(in_order(recording).events)
    framer = None
    if recording.protocol in FRAMERS:
        framer = framer_for(recording.protocol, client=client, hold_limit=None)
    column = TimeColumn("wall" if recording.timed else "none")
    for item in fold(events, framer, keep=BODY_KEPT):
        yield from (f"<pre><time>{_text(day)}</time></pre>\n" for day in column.new_day(item.at))
        yield _item(item, f"<time>{column.show(item.at)}</time>", client)


def _item(item: Item, time: str, client: Direction) -> str:
    if isinstance(item, Mark):
        return f"<pre class=m>{time}** {html.escape(mark_text(item))}</pre>\n"
    who = "C" if item.direction is client else "S"
    if isinstance(item, Line):
        return f"<pre class={who.lower()}>{time}{who}{html.escape(line_text(item, CUT))}</pre>\n"
    return f"<details class={who.lower()}><summary>{time}{who}{fold_text(item)}</summary>\n{_body(item)}</details>\n"


def _body(item: Fold) -> str:
    """What is folded, as far as it is in the page."""
    if item.data is None:
        return "<p>Too large for this page.</p>\n"
    lines = [html.escape(line) for line in outline(item.data, dotted=item.kind is Kind.BLOCK)]
    shown = f"<pre class=m>{chr(10).join(lines)}</pre>\n" if lines else ""
    text = [neutral(line.removesuffix(b"\r")) for line in item.data[:BODY_SHOWN].split(b"\n")]
    more = f"\n… {item.size - BODY_SHOWN} bytes more" if item.size > BODY_SHOWN else ""
    return f"{shown}<pre>{html.escape(chr(10).join(text))}{more}</pre>\n"


def _neutral(data: bytes) -> str:
    return html.escape(neutral(data))


def _text(text: str) -> str:
    return html.escape(neutral_text(text))
