"""The viewer's doors: what is open to everybody, to the one with the token, and to nobody."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.routing import Mount, Route

from rawlog.web.files import files
from rawlog.web.guard import HEADERS, Guard
from tests.support.payloads import PAYLOADS
from tests.support.viewing import HERE, Viewer, small, viewer, write

ADDRESSES = (
    "/api/list",
    "/api/list/plot",
    "/api/list/events",
    "/api/talk/x",
    "/api/talk/x/rows",
    "/api/talk/x/rows/0",
    "/api/talk/x/body",
    "/api/talk/x/strip",
    "/api/talk/x/matches",
    "/api/talk/x/events",
    "/api/talk/x/download",
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    place = tmp_path_factory.mktemp("raw")
    write(place / "one.rawlog", small())
    with viewer(place) as found:
        found.settled()
        yield found


@pytest.fixture
def stranger(here: Viewer) -> Iterator[Viewer]:
    """Somebody without the cookie."""
    cookies = dict(here.client.cookies)
    here.client.cookies.clear()
    yield here
    here.client.cookies.clear()
    here.client.cookies.update(cookies)


def addresses(app: Any, before: str = "") -> Iterator[str]:
    """All addresses that an application knows."""
    while not hasattr(app, "routes"):
        app = app._app
    for route in app.routes:
        if isinstance(route, Mount):
            yield from addresses(route.app, before + route.path)
        elif isinstance(route, Route):
            yield before + route.path


def test_no_address_is_forgotten_here(here: Viewer) -> None:
    assert isinstance(here.client.app, Guard)
    known = set(addresses(here.client.app))
    wanted = {address.replace("/x", "/{id}").replace("/0", "/{row:int}") for address in ADDRESSES}
    assert known == wanted | {"/", "/static/{name}", "/session"}


@pytest.mark.parametrize("address", ADDRESSES)
def test_without_the_cookie_everything_is_forbidden(stranger: Viewer, address: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
        answer = stranger.client.request(method, address, params={"token": stranger.keys.token})
        assert answer.status_code == 403, method


@pytest.mark.parametrize(
    "path",
    [
        "/%61pi/list",
        "/api%2flist",
        "/api//list",
        "//api/list",
        "/./api/list",
        "/static/../api/list",
        "/static/%2e%2e/api/list",
        "/API/list",
        "/api/list/",
        "/api",
        "/api/",
        "/api/nothing",
        "/nothing",
        "/docs",
        "/static/",
        "/static/../index.html",
        "/static/%2e%2e%2fguard.py",
        "/static/..%2fguard.py",
        "/static//etc/passwd",
        "/static/%00",
        "/etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_other_ways_of_writing_it(stranger: Viewer, path: str) -> None:
    answer = stranger.client.get(HERE + path, follow_redirects=False)
    assert answer.status_code == 403
    assert b"rawlog 1" not in answer.content


def test_the_page_is_open_and_holds_nothing(stranger: Viewer) -> None:
    assert stranger.client.get("/").content == files()["index.html"].data
    for name, file in files().items():
        answer = stranger.client.get(f"/static/{name}")
        assert answer.content == file.data
        assert answer.headers["content-type"] == file.type


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(here: Viewer, method: str) -> None:
    for address in ("/", "/static/app.js", "/api/list"):
        assert here.client.request(method, address, headers={"origin": HERE}).status_code == 405


def test_every_answer_has_the_headers(here: Viewer) -> None:
    for address in ("/", "/static/app.js", "/static/nothing", "/session", "/nothing", *ADDRESSES):
        if not address.endswith("events"):
            answer = here.client.get(address)
            for name, value in HEADERS.items():
                assert answer.headers[name] == value, address


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'"token"',
        b'{"token": null}',
        b'{"token": ""}',
        b'{"token": "wrong"}',
        b'{"token": ["x"]}',
        b"\xff",
        b'{"token": "\\udcff"}',
        b"[" * 900,
        b'{"token": "' + b"x" * 100_000 + b'"}',
    ],
)
def test_a_wrong_token(stranger: Viewer, body: bytes) -> None:
    answer = stranger.client.post("/session", content=body, headers={"origin": HERE})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_the_token_from_another_page(stranger: Viewer) -> None:
    body = {"token": stranger.keys.token}
    assert stranger.client.post("/session", json=body).status_code == 403
    for origin in ("http://evil.example.com", "null", "http://127.0.0.1:9"):
        assert stranger.client.post("/session", json=body, headers={"origin": origin}).status_code == 403
    assert stranger.client.get("/session", params=body).status_code == 405


def test_the_right_token(stranger: Viewer) -> None:
    answer = stranger.client.post("/session", json={"token": stranger.keys.token}, headers={"origin": HERE})
    assert answer.status_code == 204
    assert stranger.client.get("/api/list").status_code == 200


def test_with_the_cookie_but_from_elsewhere(here: Viewer) -> None:
    for headers in (
        {"host": "evil.example.com"},
        {"origin": "http://evil.example.com"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert here.client.get("/api/list", headers=headers).status_code == 403


def test_problems_are_told_in_a_sentence(here: Viewer) -> None:
    answer = here.client.get("/api/list", params={"q": "(\u202e"})
    assert answer.status_code == 400
    assert answer.json()["problem"].startswith("search expression: character")
    answer = here.client.get("/api/talk/0123")
    assert answer.status_code == 422
    assert answer.json()["problem"].startswith("there is no such conversation")


@pytest.mark.parametrize("place", ["id", "row", "q", "since", "side", "kind"])
def test_whatever_is_asked_for_is_no_page(here: Viewer, place: str) -> None:
    """Payloads in every argument: an answer is JSON or plain text, and never fails."""
    found = here.ids()[0]
    for payload in PAYLOADS:
        if place == "id":
            answer = here.client.get(f"/api/talk/{quote(payload, safe='')}")
        elif place == "row":
            answer = here.client.get(f"/api/talk/{found}/rows", params={"rows": payload, "start": payload})
        elif place == "q":
            answer = here.client.get("/api/list", params={"q": payload})
        elif place == "since":
            answer = here.client.get("/api/list/plot", params={"since": payload, "sort": payload, "count": payload})
        elif place == "side":
            answer = here.client.get(f"/api/talk/{found}/body", params={"side": payload, "start": payload})
        else:
            answer = here.client.get(f"/api/talk/{found}/download", params={"kind": payload})
        assert answer.status_code in (200, 400, 403, 404, 422), payload
        assert answer.headers["content-type"].partition(";")[0] in (
            "application/json",
            "application/octet-stream",
            "text/plain",
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "\u202e" not in answer.text


def test_there_are_enough_payloads() -> None:
    assert len(PAYLOADS) >= 300


def test_no_connection_is_made(here: Viewer) -> None:
    """A trace of connect(): whatever is asked, the viewer asks nobody."""
    seen: list[object] = []
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "urllib.Request"):
            seen.append((event, arguments))

    sys.addaudithook(watch)
    found = here.ids()[0]
    for address in ADDRESSES:
        if not address.endswith("events"):
            here.client.get(address.replace("/x", f"/{found}"), params={"q": "command:*"})
    watching = False
    assert seen == []
