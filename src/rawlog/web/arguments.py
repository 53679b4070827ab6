"""The arguments of a request: numbers and known words, whatever was sent.

Knows: names, limits. Must not know: what they are for.
"""

from __future__ import annotations

from starlette.requests import Request

from rawlog.views.listing import SORTS
from rawlog.web.selection import Wish

NUMBER_LIMIT = 1 << 53
"""Numbers of JavaScript are exact below this."""

DIGITS_LIMIT = 16


def text(request: Request, name: str) -> str:
    """A text, empty where there is none."""
    return request.query_params.get(name, "")


def is_number(value: str) -> bool:
    """Whether this is a number from 0 on."""
    return value.isascii() and value.isdigit() and len(value) <= DIGITS_LIMIT


def number(request: Request, name: str, default: int) -> int:
    """A number from 0 on; what is none is ``default``."""
    found = optional(request, name)
    return default if found is None else found


def optional(request: Request, name: str) -> int | None:
    """A number from 0 on, or None."""
    value = text(request, name)
    return min(int(value), NUMBER_LIMIT) if is_number(value) else None


def wish(request: Request) -> Wish:
    """Which part of the list is wanted, in which order."""
    sort = text(request, "sort")
    return Wish(
        sort if sort in SORTS else "start",
        text(request, "reverse") == "1",
        optional(request, "since"),
        optional(request, "until"),
    )
