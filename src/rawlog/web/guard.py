"""Who may ask for what: everything that is said to the viewer passes here first.

Knows: the dangers of a server on one's own machine (other web pages, other names for its address, other users), and the
headers that forbid a page everything it need not do. Must not know: recordings.

* Host: a name that the server was given, so that no foreign name can be pointed at it (DNS rebinding).
* Origin and Sec-Fetch-Site: the page itself or the person, never another page.
* A cookie, which is given for the token in the printed address. The token stands behind the # there, so no browser
  sends or logs it; the page takes it out of the address at once.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_SIZE = 32
"""Bytes of the token, at random: nobody guesses 256 bits."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""What the page may do: load its own scripts and styles, ask its own server. Nothing becomes HTML or code."""

HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))


class Keys:
    """The token of the address, and the cookie that is given for it. Both are new with each start."""

    def __init__(self, *, secure: bool) -> None:
        self.token = secrets.token_urlsafe(TOKEN_SIZE)
        self._cookie = secrets.token_urlsafe(TOKEN_SIZE)
        # Cookies know no ports: two viewers on one machine must not overwrite each other's.
        self._name = f"rawlog-{secrets.token_hex(4)}"
        self._secure = secure

    def fits(self, token: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())

    def cookie(self) -> str:
        """The value of Set-Cookie."""
        return f"{self._name}={self._cookie}; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if self._secure else "")

    def has(self, headers: Headers) -> bool:
        """Whether a request has the cookie."""
        found = cookie_parser(headers.get("cookie", "")).get(self._name, "")
        return hmac.compare_digest(found.encode("utf-8", "replace"), self._cookie.encode())


class Guard:
    """Lets through what comes from the page itself, and adds the headers to every answer. ``hosts`` are the names of
    the server, without ports: behind ``ssh -L`` the port is another."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], scheme: str) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._scheme = scheme

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] != "http" or not self._comes_from_here(headers):
            await refused(scope, receive, sending)
        else:
            await self._app(scope, receive, sending)

    def _comes_from_here(self, headers: Headers) -> bool:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or host_name(hosts[0]) not in self._hosts:
            return False
        if any(origin != f"{self._scheme}://{hosts[0]}" for origin in headers.getlist("origin")):
            return False
        return all(site in ("same-origin", "none") for site in headers.getlist("sec-fetch-site"))


class Locked:
    """Lets through who has the cookie."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._keys.has(Headers(scope=scope)):
            await self._app(scope, receive, send)
        else:
            await refused(scope, receive, send)


async def refused(scope: Scope, receive: Receive, send: Send) -> None:
    """403, whatever was asked."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    answer = PlainTextResponse("Not allowed: open the address that rawlog web printed.\n", 403)
    await answer(scope, receive, send)


def host_name(host: str) -> str:
    """The name in a Host header, in lower case; empty where it is none."""
    name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
    if port and not (port.isascii() and port.isdigit()):
        return ""
    return name.lower().removeprefix("[").removesuffix("]")
