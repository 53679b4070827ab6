"""A message for people: its headers decoded, and its parts without their content.

Knows: MIME (RFC 2045 to 2049), as far as Python's ``email`` does. Must not know: protocols. Whatever the bytes are, the
result is safe text (escape.py), and nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import HeaderParseError, MessageError
from email.header import decode_header, make_header
from email.message import Message

from rawlog.dialogue.exchange_messages import undotted
from rawlog.views.escape import neutral_text

MESSAGE_LIMIT = 64 * 1024 * 1024
"""A larger message is folded to its size. Few servers take larger ones."""

HEADERS_LIMIT = 200
PARTS_LIMIT = 200
VALUE_LIMIT = 500
"""Headers, parts and characters of a value that are shown; whoever writes more does not write to be read."""

_BEGINS = re.compile(rb"[!-9;-~]{1,70}:[ \t\r]")


def is_message(data: bytes) -> bool:
    """Whether this looks like a message: it begins with a header."""
    return _BEGINS.match(data) is not None


def outline(data: bytes, *, dotted: bool = False) -> Iterator[str]:
    """Headers and structure of a message, line by line; nothing where it is none. ``dotted``: it is a dot block."""
    data = undotted(data) if dotted else data
    if not is_message(data):
        return
    try:
        message = message_from_bytes(data)
        lines = [*_headers(message), *_parts(message, 0)]
    except (MessageError, RecursionError, ValueError, LookupError) as error:
        lines = [f"(a message that can't be read: {type(error).__name__})"]
    yield from lines[: HEADERS_LIMIT + PARTS_LIMIT]


def _headers(message: Message) -> Iterator[str]:
    for name, value in message.items()[:HEADERS_LIMIT]:
        yield f"{neutral_text(name)}: {neutral_text(decoded(str(value))[:VALUE_LIMIT])}"


def decoded(value: str) -> str:
    """A header's value in one line, encoded words decoded (RFC 2047); as it is where that can't be done."""
    plain = " ".join(value.split())
    try:
        return str(make_header(decode_header(plain)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return plain


def _parts(message: Message, depth: int) -> Iterator[str]:
    """The part and those inside it, each indented by its depth."""
    if not message.get_payload() and depth == 0:
        return  # headers only
    details = [neutral_text(message.get_content_type())]
    charset, encoding, name = (
        message.get_content_charset(),
        message.get("Content-Transfer-Encoding"),
        _filename(message),
    )
    details += [neutral_text(str(detail))[:VALUE_LIMIT] for detail in (charset, encoding, name) if detail]
    if message.is_multipart():
        yield f"{'  ' * depth}[{', '.join(details)}]"
        for part in message.get_payload():
            if isinstance(part, Message):
                yield from _parts(part, depth + 1)
        return
    yield f"{'  ' * depth}[{', '.join(details)}, {len(str(message.get_payload()))} bytes]"


def _filename(message: Message) -> str:
    name = message.get_filename()
    return f'"{decoded(name)}"' if name else ""
