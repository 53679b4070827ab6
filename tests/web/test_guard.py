"""Who may ask: the attacks on a server that runs on one's own machine, one by one."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from rawlog.web.guard import HEADERS, LOOPBACK, Guard, Keys, Locked, host_name

GOOD = {"host": "127.0.0.1:8000"}
Sent = list[MutableMapping[str, Any]]


def ask(app: Any, headers: list[tuple[str, str]], kind: str = "http", path: str = "/api/list") -> Sent:
    """Everything that an application sends to a request."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": kind, "method": "GET", "path": path, "headers": raw, "query_string": b"", "http_version": "1.1"}
    sent: Sent = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request" if kind == "http" else "websocket.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def guarded(headers: list[tuple[str, str]], kind: str = "http") -> Sent:
    return ask(Guard(PlainTextResponse("in"), hosts=LOOPBACK, scheme="http"), headers, kind)


def status(sent: Sent) -> int:
    return int(sent[0]["status"])


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]:8000", "127.0.0.1"])
def test_our_own_names(host: str) -> None:
    assert status(guarded([("host", host)])) == 200


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["evil.example.com"],
        ["evil.example.com:8000"],
        ["127.0.0.1.evil.example.com"],
        ["localhost.evil.example.com:8000"],
        ["evil.example.com:127.0.0.1"],
        ["127.0.0.1:8000@evil.example.com"],
        ["127.0.0.1:80x"],
        ["127.1:8000"],
        ["0.0.0.0:8000"],
        ["[::]:8000"],
        ["[::1].evil.example.com"],
        [""],
        [":8000"],
        ["127.0.0.1:8000", "evil.example.com"],
        ["127.0.0.1:8000", "127.0.0.1:8000"],
    ],
)
def test_rebinding_a_foreign_name(hosts: list[str]) -> None:
    assert status(guarded([("host", host) for host in hosts])) == 403


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("origin", "http://evil.example.com"),
        ("origin", "null"),
        ("origin", ""),
        ("origin", "http://127.0.0.1:8001"),
        ("origin", "https://127.0.0.1:8000"),
        ("origin", "http://localhost:8000"),
        ("origin", "http://127.0.0.1:8000.evil.example.com"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "anything"),
    ],
)
def test_another_page(name: str, value: str) -> None:
    assert status(guarded([*GOOD.items(), (name, value)])) == 403


@pytest.mark.parametrize(("name", "value"), [("origin", "http://127.0.0.1:8000"), ("sec-fetch-site", "same-origin")])
def test_our_own_page(name: str, value: str) -> None:
    assert status(guarded([*GOOD.items(), (name, value)])) == 200


def test_a_person_who_types_the_address() -> None:
    assert status(guarded([*GOOD.items(), ("sec-fetch-site", "none")])) == 200


@pytest.mark.parametrize("origin", ["http://evil.example.com", "http://127.0.0.1:8000"])
def test_a_websocket_is_never_taken(origin: str) -> None:
    assert guarded([*GOOD.items(), ("origin", origin)], "websocket")[0]["type"] == "websocket.close"


@pytest.mark.parametrize("headers", [GOOD, {"host": "evil.example.com"}])
def test_every_answer_forbids_what_a_page_need_not_do(headers: dict[str, str]) -> None:
    found = Headers(raw=guarded(list(headers.items()))[0]["headers"])
    for name, value in HEADERS.items():
        assert found[name] == value
    policy = found["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "default-src 'none'" in policy
    assert found["cache-control"] == "no-store"
    assert not any(name.startswith("access-control") for name in found)


def test_keys_are_new_each_time_and_long() -> None:
    one, two = Keys(secure=False), Keys(secure=False)
    assert one.token != two.token
    assert len(one.token) >= 43
    assert one.token not in one.cookie()
    assert one.cookie().split("=")[0] != two.cookie().split("=")[0]


def test_the_cookie() -> None:
    keys = Keys(secure=False)
    words = keys.cookie().split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(words)
    assert "Secure" not in words
    assert "Secure" in Keys(secure=True).cookie().split("; ")
    assert not any(word.lower().startswith(("domain", "expires", "max-age")) for word in words)


def test_the_token() -> None:
    keys = Keys(secure=False)
    assert keys.fits(keys.token)
    for wrong in ("", keys.token[:-1], keys.token + "A", keys.token.swapcase(), "\udcff", "ä"):
        assert not keys.fits(wrong)


def test_only_with_the_cookie() -> None:
    keys = Keys(secure=False)
    app = Locked(PlainTextResponse("in"), keys)
    pair = keys.cookie().split(";")[0]
    name, _, value = pair.partition("=")
    assert status(ask(app, [("cookie", pair)])) == 200
    assert status(ask(app, [("cookie", f"a=b; {pair}; c=d")])) == 200
    for wrong in (
        "",
        f"{name}=",
        f"{name}={value[:-1]}",
        f"x{pair}",
        f"{name}={keys.token}",
        f"a={value}",
        "\xff=\xff",
    ):
        assert status(ask(app, [("cookie", wrong)])) == 403
    assert status(ask(app, [])) == 403
    assert ask(app, [], "websocket")[0]["type"] == "websocket.close"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a", "a"),
        ("a:1", "a"),
        ("[::1]:1", "::1"),
        ("[::1]", "::1"),
        ("A:1", "a"),
        ("a:b", ""),
        ("a:", "a"),
        ("::1", ":"),
    ],
)
def test_names_of_hosts(host: str, name: str) -> None:
    assert host_name(host) == name
