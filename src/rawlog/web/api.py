"""What the page asks about recordings, and the answers.

Knows: addresses, arguments, JSON, server-sent events. Must not know: how anything is found out, who may ask. All texts
in the answers are neutral. Conversations are named by ids that the catalog made up, so no path is ever asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from json import dumps, loads
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from rawlog.dialogue.search import parse
from rawlog.errors import RawlogError
from rawlog.views.escape import neutral_text
from rawlog.web.arguments import is_number, number, text, wish
from rawlog.web.desk import Desk
from rawlog.web.download import Kind, file_name
from rawlog.web.index import Index
from rawlog.web.opened import body_text, laid_open
from rawlog.web.talk import Talk

ROWS_AT_ONCE = 500
"""Rows that are given at once: more than a screen shows."""

LOOK = 0.25
"""Seconds between two looks at whether there is news."""

BREATH = 15
"""Seconds after which something is sent although there is no news, so that a connection that is gone is noticed."""

STREAMS_LIMIT = 64
"""Pages that are told of news at the same time."""

PLOT_COLUMNS = 300


class _Changing(Protocol):
    """What a page is told of: it asks anew where the server ends a stream because ``stopped`` is true."""

    stopped: bool

    @property
    def version(self) -> int: ...


class Api:
    """The answers about recordings."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._streams = 0

    def routes(self) -> list[Route]:
        """The addresses below ``/api``."""
        handlers: Mapping[str, Callable[[Request], Any]] = {
            "/list": self.list,
            "/list/plot": self.plot,
            "/list/events": self.list_events,
            "/talk/{id}": self.talk,
            "/talk/{id}/rows": self.rows,
            "/talk/{id}/rows/{row:int}": self.opened,
            "/talk/{id}/body": self.body,
            "/talk/{id}/strip": self.strip,
            "/talk/{id}/matches": self.matches,
            "/talk/{id}/events": self.talk_events,
            "/talk/{id}/download": self.download,
        }
        return [Route(path, handler, methods=["GET"]) for path, handler in handlers.items()]

    def list(self, request: Request) -> Response:
        """A part of the list."""
        selection, wanted = self._desk.selection(text(request, "q")), wish(request)
        start, count = number(request, "start", 0), min(number(request, "count", 100), ROWS_AT_ONCE)
        version = selection.version
        rows = selection.rows(wanted, start, count, time.time_ns() // 1000)
        catalog = self._desk.catalog
        return JSONResponse(
            {
                "version": version,
                "total": len(selection.entries(wanted)),
                "all": len(catalog.entries),
                "start": start,
                "rows": rows,
                "reading": catalog.reading,
                "waiting": selection.waiting,
                "problems": [neutral_text(problem) for problem in catalog.problems],
            }
        )

    def plot(self, request: Request) -> Response:
        """Columns for the plot over all."""
        selection = self._desk.selection(text(request, "q"))
        return JSONResponse(selection.plot(wish(request), number(request, "count", PLOT_COLUMNS)))

    async def list_events(self, request: Request) -> Response:
        """News of the list."""
        selection = self._desk.selection(text(request, "q"))
        return self._stream(selection, lambda: {"version": selection.version})

    def talk(self, request: Request) -> Response:
        """What is known of a conversation."""
        talk, entry = self._talk(request), self._desk.entry(request.path_params["id"])
        summary = talk.index.summarizer.summary
        if not talk.index.complete and entry.summary is not None:
            summary = entry.summary
        facts = {
            name: neutral_text(value) if isinstance(value, str) else value for name, value in asdict(summary).items()
        }
        facts["user"] = neutral_text(talk.index.user)
        name = neutral_text(self._desk.catalog.below(entry.name))
        return JSONResponse({"name": name, "summary": facts, **_state(talk)})

    def rows(self, request: Request) -> Response:
        """Rows of a conversation, by their numbers (``rows``) or from one on."""
        talk = self._talk(request)
        index, state = talk.index, _state(talk)
        if "rows" in request.query_params:
            numbers = [int(one) for one in text(request, "rows").split(",")[:ROWS_AT_ONCE] if is_number(one)]
            rows = [row for one in numbers for row in _rows(index, one, 1)]
        else:
            start, count = number(request, "start", 0), min(number(request, "count", 100), ROWS_AT_ONCE)
            rows = _rows(index, start, count)
        head = dumps(state, separators=(",", ":"))
        return Response(f'{head[:-1]},"rows":[{",".join(rows)}]}}', media_type="application/json")

    def opened(self, request: Request) -> Response:
        """A row laid open."""
        talk = self._talk(request)
        row = next(iter(_rows(talk.index, request.path_params["row"], 1)), None)
        if row is None:
            raise RawlogError("there is no such row; load the page again")
        client = talk.index.client
        since = {client: number(request, "client", 0), client.other: number(request, "server", 0)}
        return JSONResponse(laid_open(talk.index, talk.stretches, loads(row), since))

    def body(self, request: Request) -> Response:
        """A part of a literal, a message, a long line."""
        talk = self._talk(request)
        client = talk.index.client
        direction = client if text(request, "side") == "client" else client.other
        start, end = number(request, "start", 0), number(request, "end", 0)
        return JSONResponse(body_text(talk.index, talk.stretches, direction, start, end, number(request, "at", start)))

    def strip(self, request: Request) -> Response:
        """Columns for the latency strip."""
        return JSONResponse(self._talk(request).strip(number(request, "count", PLOT_COLUMNS)))

    def matches(self, request: Request) -> Response:
        """The rows that match an expression."""
        rows, is_all = self._talk(request).matches(parse(text(request, "q")))
        return JSONResponse({"rows": rows, "all": is_all})

    async def talk_events(self, request: Request) -> Response:
        """News of a conversation."""
        talk = await run_in_threadpool(self._talk, request)
        return self._stream(talk, lambda: _state(talk), talk.grow)

    def download(self, request: Request) -> Response:
        """A safe copy."""
        kind: Kind = "pseudonyms" if text(request, "kind") == "pseudonyms" else "masked"
        pieces = self._desk.copy(request.path_params["id"], kind)
        disposition = f'attachment; filename="{file_name(kind)}"'
        return StreamingResponse(
            pieces, media_type="application/octet-stream", headers={"content-disposition": disposition}
        )

    def _talk(self, request: Request) -> Talk:
        return self._desk.talk(request.path_params["id"])

    def _stream(
        self, source: _Changing, state: Callable[[], Mapping[str, Any]], look: Callable[[], None] | None = None
    ) -> Response:
        if self._streams >= STREAMS_LIMIT:
            raise HTTPException(503, "too many pages are open; close some")
        return StreamingResponse(self._events(source, state, look), media_type="text/event-stream")

    async def _events(
        self, source: _Changing, state: Callable[[], Mapping[str, Any]], look: Callable[[], None] | None
    ) -> AsyncIterator[str]:
        """The state now, and again whenever there is something new."""
        self._streams += 1
        try:
            told, quiet = None, 0.0
            while not (self._desk.stopped or source.stopped):
                if look is not None:
                    await run_in_threadpool(look)
                if told != source.version:
                    told, quiet = source.version, 0.0
                    yield f"data: {dumps(state())}\n\n"
                elif quiet >= BREATH:
                    quiet = 0.0
                    yield ": still here\n\n"
                await asyncio.sleep(LOOK)
                quiet += LOOK
        finally:
            self._streams -= 1


def _state(talk: Talk) -> dict[str, Any]:
    """How far a conversation is known. ``total`` counts all rows, ``stable`` those that will not change."""
    index = talk.index
    stable = len(index.rows)
    return {
        "version": talk.version,
        "edition": talk.edition,
        "total": stable + len(index.pending),
        "stable": stable,
        "complete": index.complete,
        "reading": talk.reading,
        "progress": talk.progress,
        "problem": neutral_text(talk.problem),
    }


def _rows(index: Index, start: int, count: int) -> list[str]:
    """Rows as JSON, those that may change at the end."""
    stable = len(index.rows)
    found = index.rows.slice(start, start + count)
    return found + index.pending[max(0, start - stable) : max(0, start + count - stable)]
