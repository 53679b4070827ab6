"""The viewer as one application: the page, the way to a cookie, and behind that the answers about recordings.

Knows: what is open to whom. Must not know: recordings. Only ``/session`` takes a POST; everything below ``/api`` needs
the cookie; everything passes the guard.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from json import JSONDecodeError, loads

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from rawlog.errors import ConfigError, RawlogError
from rawlog.views.escape import neutral_text
from rawlog.web.api import Api
from rawlog.web.desk import Desk
from rawlog.web.files import files
from rawlog.web.guard import Guard, Keys, Locked

SESSION_LIMIT = 1000
"""Bytes in which a token is sent."""


def make_app(desk: Desk, keys: Keys, *, hosts: frozenset[str], scheme: str) -> ASGIApp:
    """The application. It starts the catalog, and stops everything."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        desk.catalog.start()
        yield
        desk.stop()

    api = Starlette(routes=Api(desk).routes(), exception_handlers={RawlogError: _sorry})
    app = Starlette(
        routes=[*_page(keys), Mount("/api", Locked(api, keys))],
        lifespan=lifespan,
        exception_handlers={404: _nothing},
    )
    app.router.redirect_slashes = api.router.redirect_slashes = False
    return Guard(app, hosts=hosts, scheme=scheme)


# -- what needs no cookie: the page without any recording, and the way to a cookie -------------------------------------


def _page(keys: Keys) -> list[Route]:
    known = files()

    async def page(request: Request) -> Response:
        file = known.get(request.path_params.get("name", "index.html"))
        if file is None:
            raise HTTPException(404)
        return Response(file.data, media_type=file.type)

    async def session(request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > SESSION_LIMIT:
                break
        try:
            token = loads(body)["token"]
        except (JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
            token = None
        if "origin" not in request.headers or not isinstance(token, str) or not keys.fits(token):
            raise HTTPException(403, "the token is not right: open the address that rawlog web printed")
        return Response(status_code=204, headers={"set-cookie": keys.cookie()})

    return [
        Route("/", page, methods=["GET"]),
        Route("/static/{name}", page, methods=["GET"]),
        Route("/session", session, methods=["POST"]),
    ]


async def _nothing(request: Request, _: Exception) -> Response:
    """There is no such page: for who has no cookie, everything unknown is forbidden."""
    return PlainTextResponse("Not allowed: there is no such page here.\n", 403)


async def _sorry(_: Request, error: Exception) -> Response:
    """A sentence about what can't be done."""
    return JSONResponse({"problem": neutral_text(str(error))}, 400 if isinstance(error, ConfigError) else 422)
