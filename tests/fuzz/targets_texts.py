"""Targets: what people and other programs write: settings, expressions, headers, requests, and what is shown.

Knows: the house's readers. Must not know: where inputs come from.
"""

from __future__ import annotations

import re
import unicodedata

from rawlog.dialogue.pseudonyms import pseudonymous
from rawlog.dialogue.pseudonyms_names import Names
from rawlog.dialogue.search import could_match, parse
from rawlog.dialogue.sharing import shareable
from rawlog.engine.proxyprotocol import (
    V1_LIMIT,
    V2_LIMIT,
    ProxyHeader,
    ProxyProtocolError,
    ProxyReader,
    write_v1,
    write_v2,
)
from rawlog.errors import ConfigError, FormatError
from rawlog.events import Chunk, Direction, Recording
from rawlog.recorder.keeper import Order, decode_order, encode_order
from rawlog.settings import syntax
from rawlog.settings.loader import loads
from rawlog.settings.usertext import Fields
from rawlog.settings.variables import Template, safe_component
from rawlog.taps.postlogin_request import is_complete, parse_request, speaker
from rawlog.views.escape import neutral, neutral_text
from tests.fuzz.shape import events_of, parts_of, pieces_of

_NAMES = Names(b"k" * 32)
_HOME = "/\u2603"
_PLACE = re.compile(r"f:[0-9]+: \S")


def search_expression(data: bytes) -> None:
    """An expression is understood or refused by one line, and can be looked for then."""
    text, _, said = data.decode("utf-8", "replace").partition("\ufffd")
    recording = Recording("f", events_of([(Direction.IN, b"a NOOP\r\n" + said.encode()), (Direction.OUT, b"a OK\r\n")]))
    try:
        query = parse(text)
    except ConfigError as error:
        assert "\n" not in str(error)
        return
    query.needles()
    could_match(recording, query)


def settings_syntax(data: bytes) -> None:
    """A configuration is understood, or refused with its file and line; other files are not read for this."""
    text = data.replace(b"!", b"").replace(b"<", b"").decode("utf-8", "surrogateescape")
    for read in (syntax.parse, loads):
        try:
            read(text, "f")
        except ConfigError as error:
            assert _PLACE.match(str(error)), error
            assert "\n" not in str(error)


def variables(data: bytes) -> None:
    """A template is refused, or no value leads out of the component that it stands in."""
    template, _, value = data.partition(b"\xfe")
    component = safe_component(value)
    assert 0 < len(component) <= 255
    assert not component.startswith(".")
    assert "/" not in component
    assert "\0" not in component
    if len(component) <= 160:
        assert _decoded(component) == value
    text = template.decode("utf-8", "surrogateescape")
    try:
        made = Template("/a/" + text).expand({"user": value, "service": value, "home": _HOME, "env:A": value})
    except ConfigError as error:
        assert "\n" not in str(error)
    else:
        assert made.replace(_HOME, "").count("/") == re.sub(r"%[-0-9.A-Z]*\{[^{}]*\}", "", text).count("/") + 2
    _user_text(text, value.decode("utf-8", "surrogateescape"))


def _decoded(component: str) -> bytes:
    return re.sub(
        r"=([0-9A-F]{2})?", lambda found: chr(int(found[1] or "0", 16)) if found[1] else "", component
    ).encode("latin-1")


def _user_text(text: str, user: str) -> None:
    try:
        made = Fields("home=/x/" + "".join(text.split())).expand(user)
    except ConfigError as error:
        assert "\n" not in str(error)
        return
    assert list(made) == ["home"]
    literal = "/x/" + "".join(text.split())
    assert made["home"].count("/") == literal.count("/")
    assert "\0" not in made["home"] or "\0" in text


def proxy_header(data: bytes) -> None:
    """A header is read or refused the same in any pieces, holds little, and what it says can be said again."""
    parts = parts_of(data)
    outcome = _header(parts)
    whole = b"".join(parts)
    assert _header([whole[at : at + 1] for at in range(min(len(whole), V2_LIMIT))] + [whole[V2_LIMIT:]]) == outcome
    if not isinstance(outcome, ProxyHeader) or outcome.source is None or outcome.destination is None:
        return
    for write in (write_v1, write_v2) if outcome.source.host else (write_v2,):
        again = ProxyReader().feed(write(outcome.source, outcome.destination))
        assert again is not None
        assert again.source is not None
        assert (again.source, again.destination) == (outcome.source, outcome.destination)


def _header(parts: list[bytes]) -> ProxyHeader | str | None:
    """What comes of it: a header with all that follows as its rest, why there is none, or None: more is needed."""
    reader = ProxyReader()
    for number, part in enumerate(parts):
        try:
            header = reader.feed(part)
        except ProxyProtocolError as error:
            return str(error)
        if header is not None:
            return ProxyHeader(header.source, header.destination, header.rest + b"".join(parts[number + 1 :]))
        assert len(reader._data) <= max(V1_LIMIT, V2_LIMIT)
    return None


def postlogin_message(data: bytes) -> None:
    """A request is refused in one line, or goes back as it came."""
    if not is_complete(data):
        return
    try:
        asked = speaker(data)
        request = parse_request(data)
    except FormatError as error:
        assert "\n" not in str(error)
        return
    assert asked
    assert request.answer.endswith(b"\n")
    assert request.answer[:-1] in data
    assert request.answer != b"\n"
    assert str(request.number("uid"))
    assert request.home == "" or request.home.endswith(request.fields["home"])


def keeper_order(data: bytes) -> None:
    """An order comes through as it was; one that is none is refused by FormatError, which ends no keeper."""
    text = data.decode("utf-8", "surrogateescape")
    home, _, address = text.partition("\ufffd")
    order = Order("/" + home, 7, 8, len(data), 9, address.replace("\0", ""), (Direction.OUT,))
    assert decode_order(encode_order(3, order)) == (
        3,
        Order(order.home, 7, 8, len(data), 9, order.address, [Direction.OUT]),
    )
    try:
        decode_order(data)
    except FormatError as error:
        assert "\n" not in str(error)


def pseudonyms(protocol: str, data: bytes) -> None:
    """A copy for others moves no byte, and is the same each time; the one before it shows no secret's length."""
    recording = Recording("f", events_of(pieces_of(data)), protocol=protocol)
    shared = shareable(recording).recording
    hidden = pseudonymous(recording, _NAMES).recording
    assert list(pseudonymous(recording, _NAMES).recording.events) == list(hidden.events)
    for direction in Direction:
        assert len(_side(hidden, direction)) == len(_side(shared, direction))


def _side(recording: Recording, direction: Direction) -> bytes:
    chunks = (event for event in recording.events if isinstance(event, Chunk))
    return b"".join(chunk.data for chunk in chunks if chunk.direction is direction)


def escaping(data: bytes) -> None:
    """What is shown holds nothing that a terminal obeys, and says exactly which bytes it was."""
    shown = neutral(data)
    for character in shown:
        assert character.isprintable(), shown
        assert unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cn", "Cs", "Mn", "Me", "Zl", "Zp"), shown
    assert _unescaped(shown) == data
    neutral_text(data.decode("utf-8", "replace"))


def _unescaped(text: str) -> bytes:
    """The bytes that an escaped text stands for."""
    pattern = re.compile(r"\\(?:x([0-9a-f]{2})|u\{([0-9a-f]+)\}|([\\nrt]))|(.)", re.DOTALL)
    single = {"n": b"\n", "r": b"\r", "t": b"\t", "\\": b"\\"}

    def meant(found: re.Match[str]) -> bytes:
        if found[1]:
            return bytes([int(found[1], 16)])
        if found[2]:
            return chr(int(found[2], 16)).encode()
        return single[found[3]] if found[3] else found[4].encode()

    return b"".join(map(meant, pattern.finditer(text)))
